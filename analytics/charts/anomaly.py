"""Figures of anomalies: the timeline, what explains one, and levels between changes."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from analytics.charts.theme import BAND, BLUE, GREY, ORANGE, PALETTE, dressed, name_of, panels, trace

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.changes import ChangePoints
    from analytics.detection import Anomalies
    from analytics.explain import Contributions


def timeline(anomalies: Anomalies, *, most: int = 4) -> Figure:
    """Values, the range they were expected in, and the findings; the series with the worst findings first."""
    worst = anomalies.table.group_by(anomalies.id_col).agg(pl.col("score").max())
    order = worst.sort("score", anomalies.id_col, descending=[True, False], nulls_last=True)
    names = order[anomalies.id_col].head(most).to_list()
    figure = panels(names)
    for row, name in enumerate(names, start=1):
        rows = anomalies.table.filter(pl.col(anomalies.id_col) == name)
        when = rows[anomalies.time_col].to_list()
        hits = rows.filter("is_anomaly")
        y, hit_y = rows[anomalies.target_col].to_list(), hits[anomalies.target_col].to_list()
        edge = {"mode": "lines", "line_width": 0, "hoverinfo": "skip", "legendgroup": "range"}
        figure.add_scatter(x=when, y=rows["lo"].to_list(), showlegend=False, row=row, col=1, **edge)
        fill = {"fill": "tonexty", "fillcolor": BAND, "name": "expected range", "showlegend": row == 1}
        figure.add_scatter(x=when, y=rows["hi"].to_list(), row=row, col=1, **edge, **fill)
        trace(figure, row, "expected", when, rows["expected"].to_list(), mode="lines", line_color=PALETTE[0])
        trace(figure, row, "measured", when, y, mode="lines", line_color=GREY)
        dots = {"mode": "markers", "marker_color": PALETTE[5], "marker_size": 8}
        trace(figure, row, "anomaly", hits[anomalies.time_col].to_list(), hit_y, **dots)
    dressed(figure, "Measured, expected, anomalies", anomalies.unit, anomalies.sentence())
    return figure.update_layout(height=160 + 240 * len(names))


def contributions(made: Contributions, *, most: int = 12) -> Figure:
    """Changes by dimension value, the largest on top; what rose and what fell in two colours."""
    from plotly import graph_objects as go

    rows = made.table.head(most).reverse()
    labels = [name_of(f"{dimension} {value}") for dimension, value in rows.select("dimension", "value").iter_rows()]
    colours = [ORANGE if change >= 0 else BLUE for change in rows["change"]]
    bars = go.Bar(x=rows["change"].to_list(), y=labels, orientation="h", marker_color=colours)
    figure = dressed(go.Figure(bars), "More or less than expected", "", made.sentence())
    figure.update_xaxes(title_text=name_of(made.unit))
    return figure.update_layout(hovermode="closest", height=140 + 26 * len(rows))


def levels(found: ChangePoints, *, most: int = 4) -> Figure:
    """Values and the levels between changes, with the interval of each date; the largest changes first."""
    size = (pl.col("size").abs() / (pl.col("before").abs() + pl.col("after").abs())).max().alias("size")
    order = found.table.group_by(found.id_col).agg(size).sort("size", found.id_col, descending=[True, False])
    names = order[found.id_col].head(most).to_list() or found.panel.ids.head(1).to_list()
    history = found.panel.history()
    figure = panels(names)
    for row, name in enumerate(names, start=1):
        rows = history.filter(pl.col(found.id_col) == name)
        when = rows[found.time_col].to_list()
        trace(figure, row, "measured", when, rows[found.panel.names.target].to_list(), mode="lines", line_color=GREY)
        changes = found.table.filter(pl.col(found.id_col) == name).sort(found.time_col)
        ends = [when[0], *changes[found.time_col].to_list(), when[-1]]
        held = [*changes["before"].to_list(), *changes["after"].tail(1).to_list()]
        x = [at for start, stop in pairwise(ends) for at in (start, stop, None)] if held else []
        y = [at for level in held for at in (level, level, None)]
        trace(figure, row, "level", x, y, mode="lines", line_color=BLUE, line_width=3)
        for low, high in changes.select(f"{found.time_col}-lo", f"{found.time_col}-hi").iter_rows():
            figure.add_vrect(x0=low, x1=high, fillcolor=ORANGE, opacity=0.3, line_width=0, row=row, col=1)
    dressed(figure, "Changes of level", found.unit, found.sentence())
    return figure.update_layout(height=160 + 240 * len(names))
