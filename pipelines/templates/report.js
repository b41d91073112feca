// Draws a report's charts in the page's own colours, light, dark and on paper, sorts its tables and shows its code;
// on the index, says which pages are stale.
"use strict";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const plots = Array.from(document.querySelectorAll(".plot"));
const PAPER = { ink: "#1d1d1b", muted: "#5f5d57", rule: "#e3e0d8", paper: "#ffffff", scheme: "light" };
const PAPER_WIDTH = 640;
const touch = window.matchMedia("(hover: none), (pointer: coarse)").matches;
// For figures that choose no colours: legible on the light page and on the dark one.
const SERIES = ["#1f8a99", "#d9772b", "#6f7fd0", "#b5518f", "#5a9e4b", "#b8921a", "#8a8f98", "#c9534a"];
const PLOTLY_DEFAULT = "#636efa";

function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue("--" + name).trim();
  return { ink: read("ink"), muted: read("muted"), rule: read("rule"), paper: read("paper"), scheme: dark.matches ? "dark" : "light" };
}

function themed(layout, colour, width, height) {
  const made = structuredClone(layout);
  const clear = "rgba(0,0,0,0)";
  const family = getComputedStyle(document.documentElement).getPropertyValue("--sans").trim();
  Object.assign(made, { autosize: true, paper_bgcolor: clear, plot_bgcolor: clear });
  if (width) Object.assign(made, { autosize: false, width, height });
  made.font = { size: 13, ...made.font, family, color: colour.ink };
  made.margin = { t: 24, r: 8, b: 40, l: 48, ...made.margin };
  made.hoverlabel = { ...made.hoverlabel, bgcolor: colour.paper, bordercolor: colour.rule, font: { family, color: colour.ink } };
  made.modebar = { bgcolor: clear, color: colour.muted, activecolor: colour.ink };
  // Titles of panels stand where the legend would be.
  const titled = (made.annotations || []).some((note) => note.yref === "paper" && note.y >= 0.99);
  const place = titled ? { yref: "container", y: 0, yanchor: "bottom" } : { y: 1.02, yanchor: "bottom" };
  made.legend = { orientation: "h", x: 0, xanchor: "left", ...place, ...made.legend, bgcolor: clear };
  const own = made.template?.layout?.colorway;
  if (!own || own[0] === PLOTLY_DEFAULT) made.colorway ??= SERIES;
  if (touch) made.dragmode = false; // a finger scrolls the page
  const axes = new Set(["xaxis", "yaxis", ...Object.keys(made).filter((key) => /^[xy]axis\d*$/.test(key))]);
  const lying = made.yaxis?.type === "category"; // bars from left to right are read against the x axis
  for (const axis of axes) {
    made[axis] = {
      showgrid: axis.startsWith(lying ? "x" : "y"), ...made[axis], automargin: true, gridcolor: colour.rule, zerolinecolor: colour.rule, linecolor: colour.muted, tickcolor: colour.rule,
    };
  }
  for (const shape of made.shapes || []) shape.line = { color: colour.muted, ...shape.line };
  return made;
}

async function draw(plot, colour, width) {
  const { data, layout } = JSON.parse(document.getElementById(plot.dataset.figure).textContent);
  const config = { responsive: !width, displaylogo: false, displayModeBar: touch || width ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
  try {
    await Plotly.react(plot, data, themed(layout, colour, width, plot.clientHeight), config);
    plot.dataset.drawn = colour.scheme;
    if (width) plot.dataset.paper = "true";
    else delete plot.dataset.paper;
  } catch (error) {
    plot.textContent = "This chart could not be drawn: " + error.message;
    plot.classList.add("notice");
  }
}

function drawAll() {
  const colour = colours();
  for (const plot of plots) draw(plot, colour);
}

if (window.Plotly) {
  drawAll();
  dark.addEventListener("change", drawAll);
  window.addEventListener("beforeprint", () => plots.forEach((plot) => draw(plot, PAPER, PAPER_WIDTH)));
  window.addEventListener("afterprint", drawAll);
} else {
  for (const plot of plots) {
    plot.textContent = plot.getAttribute("aria-label") + " (not drawn: assets/plotly.min.js is not beside this page)";
    plot.classList.add("notice");
    plot.style.height = "auto";
  }
}

// On the index: a page is stale once its next slot is overdue, whether or not anything runs that could say so.
for (const badge of document.querySelectorAll("[data-after]")) badge.hidden = Date.now() < Date.parse(badge.dataset.after);

// The code that the notebook ran is in the page and hidden.
const code = document.querySelectorAll(".code");
const button = document.getElementById("code");
if (button && code.length) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", shown);
    for (const one of code) one.hidden = !shown;
  });
}

// What a cell is sorted by: its number, with the unit that a column of people's numbers may change, or its text.
const UNITS = { k: 1e3, M: 1e6, G: 1e9, B: 1e9, T: 1e12, "µs": 1e-6, us: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600, d: 86400, day: 86400, days: 86400, week: 604800, weeks: 604800, "%": 1 };

function worth(text) {
  const found = text.replace(/\u2212/g, "-").match(/^([-+]?)[$€£]?([-+]?[\d.,\u202f\u00a0]*\d)\s*(\S*)/);
  if (!found || (found[3] && !(found[3] in UNITS))) return null;
  const number = Number(found[2].replace(/[^\d.+-]/g, "")) * (UNITS[found[3]] ?? 1);
  return Number.isNaN(number) ? null : found[1] === "-" ? -number : number;
}

function sort(table, head, column) {
  const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => {
    const text = row.cells[column]?.textContent.trim() ?? "";
    return { row, text, empty: ["", "\u2013", "\u2014"].includes(text), number: worth(text) };
  });
  // A date begins with a number, too: a column is one of numbers only if all of it is.
  const numeric = head.matches(".num, .n") && rows.every((one) => one.empty || one.number !== null);
  const sign = direction === "ascending" ? 1 : -1;
  rows.sort((a, b) => {
    if (a.empty || b.empty) return a.empty - b.empty; // what is not known stays below
    return sign * (numeric ? a.number - b.number : a.text.localeCompare(b.text, "en", { numeric: true }));
  });
  body.append(...rows.map((one) => one.row));
}

for (const table of document.querySelectorAll("main table")) {
  const rows = table.tHead?.rows;
  if (table.tBodies.length !== 1 || table.tBodies[0].rows.length < 2 || rows?.length !== 1) continue;
  if (table.querySelector("[rowspan], [colspan]")) continue;
  Array.from(rows[0].cells).forEach((head, column) => {
    const name = head.textContent.trim();
    if (!name) return;
    const press = document.createElement("button");
    press.type = "button";
    press.className = "sort";
    press.append(...head.childNodes);
    press.addEventListener("click", () => sort(table, head, column));
    head.append(press);
  });
}
