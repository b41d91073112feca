// Draws a report's charts in the page's own colours, light, dark and on paper; on the index, says which pages are stale.
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
