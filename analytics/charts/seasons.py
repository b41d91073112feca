"""Figures of seasons: the week as a heat map, days against an objective, and a series taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics import words
from analytics.charts.theme import BLUE, GREY, PALETTE, RED, dressed, name_of, panels, trace
from analytics.frames import polars
from store.errors import ColumnMissing, NoRows

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.attainment import Attainment
    from analytics.frames import Frame
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


def week(frame: Frame, value: str, *, title: str, unit: str = "") -> Figure:
    """A value by hour of the day and day of the week.

    Args:
        frame: one row per weekday (1 is Monday) and hour, as `records.week` gives them.
        value: the column that is drawn.
        title: of the chart.
        unit: of the values, for the scale.

    Raises:
        NoRows: no hour has a value.
        ColumnMissing: `value` is not there.

    >>> import polars as pl
    >>> hours = pl.DataFrame({"weekday": [1, 1], "hour": [9, 10], "ttft_s": [0.4, 0.8]})
    >>> week(hours, "ttft_s", title="First token", unit="seconds").data[0].z
    ([0.4, 0.8],)
    """
    from plotly import graph_objects as go

    rows, _ = polars(frame)
    if value not in rows.columns:
        raise ColumnMissing(value, rows.columns)
    known = rows.drop_nulls(value)
    if known.is_empty():
        raise NoRows(f"the week of {value.removesuffix('_s')}")
    cells = known.pivot("hour", index="weekday", values=value).sort("weekday")
    hours = sorted((name for name in cells.columns if name != "weekday"), key=int)
    days = [DAYS[day - 1] for day in cells["weekday"]]
    names = [f"{int(hour):02d}" for hour in hours]
    bar = {"title": {"text": name_of(unit), "side": "right"}}
    shade = {"colorscale": SCALE, "hoverongaps": False, "colorbar": bar}
    map_ = go.Heatmap(x=names, y=days, z=[list(row) for row in cells.select(hours).rows()], **shade)
    top = known.sort(value, descending=True).row(0, named=True)
    when = f"{DAYS[top['weekday'] - 1]} at {top['hour']:02d}:00 UTC"
    alt = f"{title}: highest on {when}, {words.amount(top[value])} {unit}."
    figure = dressed(go.Figure(map_), title, "", alt)
    figure.update_xaxes(title_text="hour, UTC", type="category").update_yaxes(autorange="reversed")
    return figure.update_layout(hovermode="closest")


def attained(made: Attainment) -> Figure:
    """Good requests by day, against the share that the objective asks for."""
    from plotly import graph_objects as go

    share = made.days["good_share"].to_list()
    line = go.Scatter(x=made.days["ds"].to_list(), y=share, mode="lines+markers", line_color=BLUE, name="good requests")
    figure = dressed(go.Figure(line), f"Good requests by day, of {words.share(made.target)}", "", made.sentence())
    figure.add_hline(y=made.target, line_color=RED, line_dash="dash")
    return figure.update_yaxes(tickformat=".1%", title_text="share of requests")


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
