"""A panel drawn from what its queries brought: a chart for Plotly, or markup, in the units that Grafana shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from pipelines.dashboards.answers import Answer, Series, seconds
from pipelines.dashboards.units import say, scale

Panel = dict[str, Any]
Figure = dict[str, Any]
COLOURS = ("#3b78c3", "#e0762f", "#4a9d5b", "#8a63b8", "#c94f4f", "#4bb0b5", "#b38f2d", "#d46aa7", "#6b7785", "#8fb339")
NAMED = {"green": "#2f8f4e", "orange": "#c46a00", "red": "#c4303c", "blue": "#2f63b3"}
MOST_ROWS = 30


def markup(panel: Panel, answers: Sequence[Answer], now: datetime) -> str:
    """A number, bars or a table, as HTML; what is said where there is nothing."""
    errors = [answer.error for answer in answers if answer.error]
    if errors:
        return f'<p class="fault">{escape(errors[0])}</p>'
    if all(answer.empty for answer in answers):
        return '<p class="nothing">No data</p>'
    if panel["type"] == "stat":
        return _number(panel, answers, now)
    if panel["type"] == "bargauge":
        return _ranking(panel, answers)
    return _table(panel, answers, now)


def chart(
    panel: Panel, answers: Sequence[Answer], since: datetime, until: datetime, marks: Sequence[float] = ()
) -> Figure | None:
    """A figure of Plotly for a panel over time, with annotations at `marks`; None where there is nothing to draw."""
    if any(answer.error for answer in answers) or all(answer.empty for answer in answers):
        return None
    traces = _cells(panel, answers) if panel["type"] == "heatmap" else _lines(panel, answers)
    defaults = panel["fieldConfig"]["defaults"]
    axis: dict[str, Any] = {
        "rangemode": "tozero" if defaults.get("min") == 0 else "normal",
        "zeroline": False,
        "automargin": True,
    }
    unit = defaults["unit"]
    largest = max((abs(value) for one in _all(answers) for value in one.values if value is not None), default=0)
    by, behind = scale(unit, largest) if panel["type"] != "heatmap" else (1.0, "")
    axis |= {"ticksuffix": behind if behind == "%" else f" {behind}" if behind else "", "nticks": 6}
    if unit == "currencyUSD":
        axis["tickprefix"] = "$"
    if defaults.get("max") is not None:
        axis["range"] = [0, defaults["max"] / by]
    if panel["type"] == "heatmap":
        axis |= {"type": "category", "title": {"text": f"≤ {unit}"}}
    shapes = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": step["value"] / by, "y1": step["value"] / by}
        | {"line": {"dash": "dash", "width": 1, "color": NAMED.get(step["color"], step["color"])}}
        for step in defaults.get("thresholds", {}).get("steps", [])
        if step.get("value") is not None and defaults.get("custom", {}).get("thresholdsStyle")
    ]
    shapes += [
        {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": _at(at), "x1": _at(at)}
        | {"line": {"dash": "dot", "width": 1, "color": NAMED["orange"]}}
        for at in marks
        if since.timestamp() <= at <= until.timestamp()
    ]
    layout = {
        "margin": {"l": 62, "r": 10, "t": 6, "b": 24},
        "xaxis": {"range": [_at(since.timestamp()), _at(until.timestamp())], "type": "date"}
        | {"nticks": max(3, panel["gridPos"]["w"] // 2), "tickangle": 0},
        "yaxis": axis,
        "showlegend": panel["type"] != "heatmap",
        "legend": {"orientation": "h", "font": {"size": 10}, "y": -0.18, "yanchor": "top"},
        "font": {"size": 11, "family": "system-ui, sans-serif"},
        "shapes": shapes,
        "barmode": "stack",
        "bargap": 0.05,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    }
    return {"data": traces, "layout": layout}


def _lines(panel: Panel, answers: Sequence[Answer]) -> list[Figure]:
    custom, defaults = panel["fieldConfig"]["defaults"].get("custom", {}), panel["fieldConfig"]["defaults"]
    every = _all(answers)
    largest = max((abs(value) for one in every for value in one.values if value is not None), default=0)
    by, _ = scale(defaults["unit"], largest)
    fan = {one["matcher"]["options"]: one for one in panel["fieldConfig"]["overrides"]}
    # The wide band lies below the narrow one, and both below the lines.
    order = {"lower 95": 0, "upper 95": 1, "lower 80": 2, "upper 80": 3}
    traces: list[Figure] = []
    for place, one in enumerate(sorted(every, key=lambda each: order.get(each.name, 4))):
        colour = COLOURS[place % len(COLOURS)]
        trace: Figure = {
            "x": [_at(at) for at in one.times],
            "y": [None if value is None else value / by for value in one.values],
            "name": one.name,
            "marker": {"color": colour},
            "connectgaps": False,
        }
        if custom.get("drawStyle") == "bars":
            traces.append(trace | {"type": "bar"})
            continue
        line = {"color": colour, "width": 1.4}
        if one.name in order and one.name in fan:
            line["width"] = 0
            fill = {"fillcolor": "rgba(47,99,179,0.18)"} | ({"fill": "tonexty"} if one.name.startswith("upper") else {})
            trace |= fill | {"showlegend": False, "hoverinfo": "skip"}
        elif custom.get("stacking", {}).get("mode") == "normal":
            trace |= {"stackgroup": "all"}
        mode = "lines" if len(one.times) > 1 else "markers"
        traces.append(trace | {"type": "scatter", "mode": mode, "line": line})
    return traces


def _cells(panel: Panel, answers: Sequence[Answer]) -> list[Figure]:
    """Buckets of a histogram, which count up: each less the one below it."""
    ordered = sorted(_all(answers), key=lambda one: float(one.labels["le"]))
    times = sorted({at for one in ordered for at in one.times})
    below: dict[float, float] = {}
    rows = []
    for one in ordered:
        found = {at: value or 0.0 for at, value in zip(one.times, one.values, strict=True)}
        rows.append([max(0.0, found.get(at, 0.0) - below.get(at, 0.0)) or None for at in times])
        below = found
    unit = panel["fieldConfig"]["defaults"]["unit"]
    names = ["more" if one.labels["le"] == "+Inf" else say(float(one.labels["le"]), unit) for one in ordered]
    cells = {"type": "heatmap", "x": [_at(at) for at in times], "y": names, "z": rows}
    return [cells | {"colorscale": "Blues", "reversescale": True, "showscale": False}]


def _number(panel: Panel, answers: Sequence[Answer], now: datetime) -> str:
    value: Any = next((one.last for one in _all(answers) if one.last is not None), None)
    if value is None:
        value = next((cell for answer in answers for row in answer.rows for cell in row if cell is not None), None)
    defaults = panel["fieldConfig"]["defaults"]
    for mapping in defaults.get("mappings", []):
        for given, meant in mapping["options"].items():
            if value is not None and float(given) == value:
                return f'<p class="number" style="color:{NAMED.get(meant["color"], "")}">{escape(meant["text"])}</p>'
    text = say(value, defaults["unit"], defaults.get("decimals"), now=now)
    return f'<p class="number" style="color:{_colour(defaults, value)}">{escape(text)}</p>'


def _ranking(panel: Panel, answers: Sequence[Answer]) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    told = [(one.name, one.last) for one in _all(answers)]
    told += [(str(row[0]), float(row[1])) for answer in answers for row in answer.rows if row[1] is not None]
    most = max((value for _, value in told if value is not None), default=0) or 1
    bars = [
        f'<tr><th>{escape(name or "all")}</th><td class="bar"><i style="width:{100 * (value or 0) / most:.1f}%;'
        f'background:{_colour(defaults, value)}"></i></td><td>{escape(say(value, defaults["unit"]))}</td></tr>'
        for name, value in told
    ]
    return f'<table class="bars">{"".join(bars)}</table>'


def _table(panel: Panel, answers: Sequence[Answer], now: datetime) -> str:
    columns, rows = (answers[0].columns, answers[0].rows) if answers[0].columns else _merged(panel, answers)
    for by in panel["options"].get("sortBy", []):
        if by["displayName"] in columns:
            place = columns.index(by["displayName"])
            rows = tuple(sorted(rows, key=lambda row: (row[place] is None, -(row[place] or 0))))
    looks: dict[str, dict[str, Any]] = {}
    for one in panel["fieldConfig"]["overrides"]:
        looks[one["matcher"]["options"]] = {each["id"]: each["value"] for each in one["properties"]}
    numeric = [any(isinstance(row[place], (int, float)) for row in rows) for place in range(len(columns))]
    right = [" class=right" if each else "" for each in numeric]
    cells = []
    for row in rows[:MOST_ROWS]:
        told = []
        for name, value, side in zip(columns, row, right, strict=True):
            look = looks.get(name, {})
            text = escape(say(value, look.get("unit", ""), now=now))
            if "links" in look:
                text = f"<u>{text}</u>"
            colour = f' style="color:{_colour(look, value)}"' if "thresholds" in look and value is not None else ""
            told.append(f"<td{side}{colour}>{text}</td>")
        cells.append(f"<tr>{''.join(told)}</tr>")
    head = "".join(f"<th{side}>{escape(name)}</th>" for side, name in zip(right, columns, strict=True))
    return f'<div class="scroll"><table class="rows"><tr>{head}</tr>{"".join(cells)}</table></div>'


def _merged(panel: Panel, answers: Sequence[Answer]) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
    """Rows of several queries, those with the same labels as one, and of these the columns that the panel keeps."""
    steps = {each["id"]: each["options"] for each in panel.get("transformations", [])}
    kept, names = steps["filterFieldsByName"]["include"]["names"], steps["organize"]["renameByName"]
    merged: dict[tuple[str, ...], dict[str, Any]] = {}
    labels = [name for name in kept if not name.startswith("Value")]
    for answer in answers:
        value = "Value" if len(answers) == 1 else f"Value #{answer.ref}"
        for one in answer.series:
            key = tuple(one.labels.get(label, "") for label in labels)
            merged.setdefault(key, dict(zip(labels, key, strict=True)))[value] = one.last
    rows = tuple(tuple(row.get(name) for name in kept) for row in merged.values())
    return tuple(names.get(name, name) for name in kept), rows


def _colour(look: dict[str, Any], value: object) -> str:
    steps = look.get("thresholds", {}).get("steps", [])
    found = "blue"
    for step in steps:
        least = step.get("value")
        if least is None or (isinstance(value, (int, float)) and value >= least):
            found = step["color"]
    return NAMED.get(found, found)


def _all(answers: Sequence[Answer]) -> list[Series]:
    return [one for answer in answers for one in answer.series]


def _at(at: float | datetime) -> str:
    return datetime.fromtimestamp(seconds(at), UTC).strftime("%Y-%m-%dT%H:%M:%S")
