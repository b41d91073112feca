"""Figures that compare: sums of many series, engines in a backtest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from analytics.charts.theme import BLUE, GREY, PALETTE, dressed, name_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BARS = 20  # series that a chart of sums shows


def totals(sums: pl.DataFrame, id_col: str, level: Sequence[float], alt: str, *, most: int = BARS) -> Figure:
    """The `most` largest totals as dots on their intervals, the largest at the top.

    >>> sums = pl.DataFrame({"unique_id": ["a"], "total": [2.0], "total-lo-80": [1.0], "total-hi-80": [3.0]})
    >>> len(totals(sums, "unique_id", (80,), "").data)
    2
    """
    from plotly import graph_objects as go

    rows = sums.sort("total", descending=True).head(most).reverse()
    names = [name_of(str(name)) for name in rows[id_col]]
    figure = go.Figure()
    for width, one in zip((8, 3), sorted(level)[:2], strict=False):
        lines: dict[str, list[object]] = {"x": [], "y": []}
        for name, low, high in zip(names, rows[f"total-lo-{one:g}"], rows[f"total-hi-{one:g}"], strict=True):
            lines["x"] += [low, high, None]
            lines["y"] += [name, name, None]
        style = {"color": BLUE, "width": width}
        figure.add_scatter(**lines, mode="lines", line=style, opacity=0.45, name=f"{one:g} % interval")
    figure.add_scatter(x=rows["total"].to_list(), y=names, mode="markers", marker_color=BLUE, name="forecast")
    dressed(figure, "Sums over the horizon", "", alt)
    figure.update_yaxes(type="category").update_xaxes(rangemode="tozero")  # a name may look like a number
    return figure.update_layout(height=180 + 26 * len(names), hovermode="closest")


def leaderboard(table: pl.DataFrame, metrics: Sequence[str], alt: str) -> Figure:
    """One group of bars a metric, one bar an engine, each as a multiple of the best; shorter is better.

    Args:
        table: `engine` and a column for each metric, lower is better.
        metrics: which columns to show.
        alt: the sentence that stands for the figure.

    >>> len(leaderboard(pl.DataFrame({"engine": ["a", "b"], "mae": [1.0, 2.0]}), ["mae"], "").data)
    2
    """
    from plotly import graph_objects as go

    figure = go.Figure()
    best = {name: table[name].drop_nulls().min() for name in metrics}
    for place, row in enumerate(table.iter_rows(named=True)):
        scaled = [row[m] / best[m] if row[m] is not None and best[m] else None for m in metrics]
        told = [None if row[m] is None else f"{row[m]:.3g}" for m in metrics]
        colour = PALETTE[place % len(PALETTE)]
        figure.add_bar(y=list(metrics), x=scaled, text=told, orientation="h", name=row["engine"], marker_color=colour)
    figure.add_vline(x=1, line_color=GREY, line_width=1)
    dressed(figure, "Errors of engines, as multiples of the best", "", alt)
    figure.update_yaxes(autorange="reversed").update_xaxes(rangemode="tozero")
    return figure.update_layout(height=200 + 22 * len(metrics) * max(1, len(table)), hovermode="closest")
