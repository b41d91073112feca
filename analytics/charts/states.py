"""Figures of how things stand: bars by name, stacked where there are several measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from analytics.charts.theme import PALETTE, dressed, name_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

BARS = 20  # names that a chart shows


def stacked(
    names: Sequence[object],
    measures: Mapping[str, Sequence[float | None]],
    title: str,
    alt: str,
    *,
    axis: str = "",
    texts: Sequence[str] | None = None,
) -> Figure:
    """Bars of the first `BARS` names, the first on top; the measures of a name lie side by side in one bar.

    Args:
        names: of the bars.
        measures: {what: values}, as many values as names.
        title: of the chart.
        alt: the sentence that stands for the figure.
        axis: what the values are, with their unit.
        texts: what is written beside each bar of the last measure.

    >>> len(stacked(["a", "b"], {"ready": [1, 2], "unacked": [0, 1]}, "Depth", "").data)
    2
    """
    from plotly import graph_objects as go

    shown = [name_of(str(name)) for name in names[:BARS]][::-1]
    figure = go.Figure()
    last = len(measures) - 1
    for k, (what, values) in enumerate(measures.items()):
        written = list(texts[:BARS])[::-1] if texts is not None and k == last else None
        figure.add_bar(
            x=list(values[:BARS])[::-1], y=shown, orientation="h", name=what, text=written,
            marker_color=PALETTE[k % len(PALETTE)], showlegend=len(measures) > 1,
        )  # fmt: skip
    dressed(figure, title, "", alt)
    figure.update_yaxes(type="category")  # a name may look like a number
    return figure.update_layout(
        barmode="stack", hovermode="closest", height=160 + 28 * len(shown), xaxis_title=name_of(axis)
    )
