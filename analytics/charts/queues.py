"""Figures of queues: backlog and capacity, and which series moves first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.charts.theme import BAND, BLUE, GREEN, GREY, ORANGE, RED, dressed, panels, trace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.capacity import Capacity
    from analytics.lags import LeadLag

TAIL = 4  # horizons of the past that are shown, and two days at least


def capacity(made: Capacity, *, most: int = 3) -> Figure:
    """Of each queue two panels: its depth with the fan, and arrivals against what its consumers can serve.

    >>> from analytics import queues
    >>> hours = pl.datetime_range(pl.datetime(2026, 3, 2), pl.datetime(2026, 3, 4, 23), "1h", eager=True)
    >>> rows = pl.DataFrame({"bucket": hours, "queue": "q", "last_messages": 3600 * 4, "avg_consumers": 2.0,
    ...     "avg_published_per_s": 8.0, "avg_acked_per_s": 8.0})
    >>> len(capacity(queues.capacity(rows, 4)).data)
    7
    """
    queue = ("cluster", "vhost", "queue")
    rows = made.table.head(most)
    names = [str(row["queue"]) for row in rows.iter_rows(named=True)]
    figure = panels([f"{name}: {what}" for name in names for what in ("messages", "messages/s")], always=True)
    for k, row in enumerate(rows.iter_rows(named=True)):
        own = [pl.col(name) == row[name] for name in queue]
        past = made.history.filter(*own).sort("ds").tail(max(48, TAIL * made.horizon))
        ahead = made.backlog.filter(*own).sort("ds")
        top, bottom = 2 * k + 1, 2 * k + 2
        when, coming = past["ds"].to_list(), ahead["ds"].to_list()
        for level in sorted(made.level, reverse=True) if len(ahead) else ():
            low, high = (ahead[f"messages-{side}-{level:g}"].to_list() for side in ("lo", "hi"))
            band = {"fill": "toself", "fillcolor": BAND, "line_width": 0, "hoverinfo": "skip", "mode": "lines"}
            trace(figure, top, f"{level:g} % interval", coming + coming[::-1], high + low[::-1], **band)
        trace(figure, top, "so far", when, past["messages"].to_list(), mode="lines", line_color=GREY)
        if coming:
            trace(figure, top, "expected", coming, ahead["messages"].to_list(), mode="lines", line_color=BLUE)
        if row["max_length"] is not None:
            figure.add_hline(y=row["max_length"], line_color=RED, line_dash="dash", row=top, col=1)
        arrivals = past["arriving_per_s"].to_list() + ahead["arriving_per_s"].to_list()
        trace(figure, bottom, "arriving", when + coming, arrivals, mode="lines", line_color=ORANGE, showlegend=k == 0)
        served = past["served_per_s"].to_list()
        style = {"mode": "lines", "line_color": GREEN, "line_width": 1.2, "showlegend": k == 0}
        trace(figure, bottom, "served", when, served, **style)
        if row["capacity_per_s"] is not None:
            style = {"mode": "lines", "line_color": RED, "line_dash": "dash", "showlegend": k == 0}
            ends = [*when[:1], *(coming or when)[-1:]]
            trace(figure, bottom, "capacity", ends, [row["capacity_per_s"]] * len(ends), **style)
    title = f"Backlog and capacity, {made.horizon} {words.plural(words.step(made.step_s), made.horizon)} ahead"
    dressed(figure, title, "", made.sentence())
    figure.update_yaxes(rangemode="tozero")
    return figure.update_layout(height=160 + 400 * len(rows))


def lag_bars(made: LeadLag) -> Figure:
    """Correlation at each lag of the surest pair, and what chance reaches at some lag in one of twenty cases.

    >>> from analytics import queues
    >>> one = pl.DataFrame({"unique_id": "a", "ds": range(100), "y": [(k * k) % 7 for k in range(100)]})
    >>> lag_bars(queues.lead_lag(one, one, 2)).data[0].x
    (-2, -1, 0, 1, 2)
    """
    from plotly import graph_objects as go

    pair = made.table.row(0, named=True)
    rows = made.lags.filter(first=pair["first"], second=pair["second"])
    bound = rows["bound"][0]
    colours = [BLUE if abs(value) > bound else GREY for value in rows["correlation"]]
    bars = go.Bar(x=rows["lag"].to_list(), y=rows["correlation"].to_list(), marker_color=colours, showlegend=False)
    figure = go.Figure(bars)
    for edge in (-bound, bound):
        figure.add_hline(y=edge, line_color=ORANGE, line_dash="dash")
    step = words.plural(words.step(made.grid.step_s), 2)
    dressed(figure, f"{pair['first']} and {pair['second']}", "correlation of surprises", made.sentence())
    return figure.update_layout(
        height=380, hovermode="closest", xaxis_title=f"{step} that {pair['first']} is ahead of {pair['second']}"
    )
