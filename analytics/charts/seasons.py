"""Figures of seasons: the week as a heat map, and a series taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.charts.theme import BLUE, GREY, PALETTE, dressed, name_of, panels, trace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.seasonal import Seasonality

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SCALE = "Cividis"  # reads the same to colour-blind eyes, and in grey


def profile(found: Seasonality, unique_id: object = None) -> Figure:
    """Mean by hour of the day and day of the week; by position in the season where times have no clock."""
    from plotly import graph_objects as go

    rows = found.profile(unique_id)
    name = found.panel.ids[0] if unique_id is None else unique_id
    if "weekday" not in rows.columns:
        line = go.Scatter(x=rows["position"].to_list(), y=rows["mean"].to_list(), line_color=BLUE, name="mean")
        return dressed(go.Figure(line), f"Profile of {name}", "", found.sentence())
    week = rows.pivot("hour", index="weekday", values="mean").sort("weekday")
    hours = sorted((column for column in week.columns if column != "weekday"), key=int)
    days = [DAYS[day - 1] for day in week["weekday"]]
    cells = week.select(hours).rows()
    map_ = go.Heatmap(x=[f"{int(hour):02d}" for hour in hours], y=days, z=cells, colorscale=SCALE, hoverongaps=False)
    figure = dressed(go.Figure(map_), f"Week of {name}", "", found.sentence())
    figure.update_xaxes(title_text="hour", type="category").update_yaxes(autorange="reversed")
    return figure.update_layout(hovermode="closest")


def decomposition(found: Seasonality, unique_id: object = None) -> Figure:
    """A series, its trend, its seasons and its remainder, one above the other."""
    rows = found.decomposition(unique_id)
    time, *parts = rows.columns
    name = found.panel.ids[0] if unique_id is None else unique_id
    figure = panels(["series" if part == "y" else part for part in parts], always=True)
    when = rows[time].to_list()
    for row, part in enumerate(parts, start=1):
        colour = GREY if part in ("y", "remainder") else PALETTE[(row - 2) % len(PALETTE)]
        trace(figure, row, part, when, rows[part].to_list(), mode="lines", line_color=colour, showlegend=False)
    dressed(figure, f"{name_of(str(name))}, taken apart", "", found.sentence())
    return figure.update_layout(height=100 + 130 * len(parts))
