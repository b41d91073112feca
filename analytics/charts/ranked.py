"""Bars of one value by name, in the order given: what there is most of on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analytics import words
from analytics.charts.theme import BLUE, GREY, dressed, name_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def ranked(
    names: Sequence[str],
    values: Sequence[float | None],
    *,
    title: str,
    unit: str,
    alt: str,
    most: int = 12,
    mark: float | None = None,
) -> Figure:
    """Horizontal bars; a value that is null has none.

    Args:
        names: what each bar stands for.
        values: of the same length.
        title: of the chart.
        unit: of the values; "USD" for money, "seconds", "share" (0 to 1) and others as they are.
        alt: the sentence that stands for it where it is not seen.
        most: bars at most, the first ones.
        mark: a value to compare with, drawn as a line.

    >>> [bar.y for bar in ranked(["a", "b"], [2.0, 1.0], title="", unit="USD", alt="").data]
    [('b', 'a')]
    """
    from plotly import graph_objects as go

    rows = list(zip(names, values, strict=True))[:most][::-1]
    texts = ["" if value is None else _text(value, unit) for _, value in rows]
    labels = [name_of(str(name)) for name, _ in rows]
    bars = go.Bar(x=[value for _, value in rows], y=labels, orientation="h", text=texts, marker_color=BLUE)
    figure = dressed(go.Figure(bars), title, "", alt)
    if mark is not None:
        figure.add_vline(x=mark, line_color=GREY, line_dash="dash")
    axis = {"title": name_of(unit), **({"tickformat": ".0%"} if unit == "share" else {})}
    return figure.update_layout(
        height=140 + 30 * len(rows), xaxis=axis, hovermode="closest", yaxis={"type": "category"}
    )


def _text(value: float, unit: str) -> str:
    if unit == "share":
        return words.share(value)
    return words.seconds(value) if unit == "seconds" else words.amount(value, unit if unit == "USD" else "")
