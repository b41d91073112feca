"""Figure of a month: spend added up day by day, what is to come with its fan, and the month before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from analytics.charts.theme import BAND, BLUE, GREY, ORANGE, dressed

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.landing import Landing


def month(made: Landing) -> Figure:
    """Spend added up: this month so far, expected with its intervals, and the month before on the same days.

    >>> from datetime import datetime
    >>> from analytics.landing import landing
    >>> hours = pl.datetime_range(datetime(2026, 2, 1), datetime(2026, 3, 15, 23), "1h", time_zone="UTC", eager=True)
    >>> [trace.name for trace in month(landing(pl.DataFrame({"ds": hours, "y": 1.0}))).data]
    ['February', 'expected', 'March']
    """
    from plotly import graph_objects as go

    start = made.table["month"][0]
    fan = made.outlook.fan.filter(pl.col("expected").is_not_null())
    so_far = made.path.filter(pl.col("month") == "this")
    before = made.path.filter(pl.col("month") == "before")
    last = so_far.tail(1)
    ahead = ((fan["ds"] - start).dt.total_seconds() / 86_400).to_list()
    days, spent = [*last["day"], *ahead], last["y"].to_list()
    figure = go.Figure()
    for level in sorted(made.outlook.level, reverse=True):
        low, high = (spent + fan[f"{side}-{level:g}"].to_list() for side in ("lo", "hi"))
        if len(fan) and low != high:
            band: dict[str, Any] = {"fill": "toself", "fillcolor": BAND, "line_width": 0, "hoverinfo": "skip"}
            x, y = days + days[::-1], low + high[::-1]
            figure.add_scatter(x=x, y=y, name=f"{level:g} % interval", mode="lines", **band)
    if len(before):
        name = f"{before['ds'][0]:%B}"
        figure.add_scatter(x=before["day"].to_list(), y=before["y"].to_list(), name=name, line_color=GREY)
    if len(fan):
        expected = spent + fan["expected"].to_list()
        figure.add_scatter(x=days, y=expected, name="expected", line_color=BLUE, line_dash="dot")
    figure.add_scatter(x=so_far["day"].to_list(), y=so_far["y"].to_list(), name=f"{start:%B}", line_color=ORANGE)
    what = "Spend" if made.unit == "USD" else made.unit.capitalize()
    dressed(figure, f"{what} of {start:%B}, added up", made.unit, made.sentence())
    return figure.update_xaxes(title_text="day of the month", rangemode="tozero")
