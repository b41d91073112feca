"""Series of a long frame over time: lines, stacks, latency percentiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.charts.theme import MOST, dressed, name_of
from analytics.frames import panel, polars
from store.errors import ColumnMissing, NoRows

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame


def lines(frame: Frame, *, unit: str = "", title: str = "", stacked: bool = False, most: int = MOST) -> Figure:
    """Series of a long frame over time; the smallest beyond `most` are added up as "other" when stacked, else left out.

    A series without any value is not drawn.

    Raises:
        NoRows, TooShort, ColumnMissing, ParameterInvalid: as `analytics.frames.panel` does.
    """
    from plotly import graph_objects as go

    data, _ = polars(frame)
    if {"unique_id", "y"} <= set(data.columns):
        data = data.filter(pl.col("y").count().over("unique_id") > 0)
    history = panel(data).history()
    sums = history.group_by("unique_id").agg(pl.col("y").sum())
    order = sums.sort("y", "unique_id", descending=[True, False])["unique_id"]
    top, rest = order.head(most), order.tail(max(0, len(order) - most))
    figure, group = go.Figure(), "all" if stacked else None
    for name in top:
        _line(figure, history.filter(pl.col("unique_id") == name), str(name), group)
    if stacked and len(rest):
        others = history.filter(pl.col("unique_id").is_in(rest.implode())).group_by("ds").agg(pl.col("y").sum())
        _line(figure, others.sort("ds"), f"other ({len(rest)})", group)
    left = "" if stacked or not len(rest) else f", the {most} largest of {len(order)}"
    span = f"{words.moment(history['ds'].min())} to {words.moment(history['ds'].max())}"
    return dressed(figure, title, unit, f"{title}: {len(order)} series from {span}{left}.")


def latency(frame: Frame, *, value: str = "ttft_p95_s", title: str = "", most: int = MOST) -> Figure:
    """A latency percentile over time, one line per combination of dimensions, as `load.latency` gives them.

    Raises:
        NoRows: nothing in it.
        ColumnMissing: `value` is not there.
    """
    data, _ = polars(frame)
    measures = ("ttft_", "duration_", "tpot_")
    dims = [name for name in data.columns if name not in ("ds", "requests", "errors") and not name.startswith(measures)]
    label = pl.concat_str(pl.col(dims).cast(pl.String), separator="/") if dims else pl.lit("all")
    if value not in data.columns:
        raise ColumnMissing(value, data.columns)
    long = data.with_columns(label.alias("unique_id")).rename({value: "y"})
    known = long.filter(pl.col("y").count().over("unique_id") > 0)
    if known.is_empty():
        raise NoRows(f"latency ({value.removesuffix('_s').replace('_', ' ')})")
    return lines(known, unit="seconds", title=title or f"{value.removesuffix('_s').replace('_', ' ')}", most=most)


def _line(figure: Figure, rows: pl.DataFrame, name: str, stackgroup: str | None) -> None:
    figure.add_scatter(
        x=rows["ds"].to_list(),
        y=rows["y"].to_list(),
        name=name_of(name),
        mode="lines",
        stackgroup=stackgroup,
        line_width=0.5 if stackgroup else 1.5,
    )
