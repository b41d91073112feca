"""Figure of gaps: when nothing was recorded, one line a series."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.charts.theme import GREY, RED, dressed, name_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.gaps import Gaps


def absent(found: Gaps, *, most: int = 12) -> Figure:
    """The span of each series as a thin line, its gaps as thick ones; those with the longest gaps on top.

    >>> import polars as pl
    >>> from analytics.gaps import gaps
    >>> rows = pl.DataFrame({"ds": range(50), "y": [5.0] * 20 + [0.0] * 10 + [5.0] * 20})
    >>> [trace.name for trace in absent(gaps(rows)).data]
    ['recorded', 'gap']
    """
    from plotly import graph_objects as go

    names = found.table["series"].unique(maintain_order=True).head(most).to_list()
    history = found.panel.history()
    ends = history[found.panel.names.time].min(), history[found.panel.names.time].max()
    figure = go.Figure()
    x, y = [at for _ in names for at in (*ends, None)], [name_of(name) for name in names for _ in range(3)]
    figure.add_scatter(x=x, y=y, name="recorded", mode="lines", line_color=GREY, line_width=2, hoverinfo="skip")
    rows = [row for row in found.table.iter_rows(named=True) if row["series"] in names]
    when = [at for row in rows for at in (row["ds"], row["until"], None)]
    where = [name_of(row["series"]) for row in rows for _ in range(3)]
    figure.add_scatter(x=when, y=where, name="gap", mode="lines+markers", line_color=RED, line_width=10)
    dressed(figure, "When nothing was recorded", "", found.sentence())
    return figure.update_layout(height=160 + 30 * len(names), hovermode="closest", yaxis={"type": "category"})
