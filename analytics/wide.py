"""Wide rows as series: what a report has read once, on a complete clock, without asking the store again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from analytics.frames import polars
from analytics.teams import TOTAL
from store.errors import ColumnMissing, NoRows

if TYPE_CHECKING:
    from analytics.frames import Frame

HOUR = timedelta(hours=1)


def series(frame: Frame, value: str = "total_cost", by: Sequence[str] = (), *, every: timedelta = HOUR) -> pl.DataFrame:
    """Add wide rows up to series: `unique_id, ds, y` and the dimensions in `by`, 0 where there was nothing.

    Args:
        frame: wide rows as `load.metrics` gives them.
        value: the column to add up; null counts 0.
        by: the columns that make a series; `unique_id` joins them with "/". None of them: one series "total".
        every: width of a bucket.

    Raises:
        NoRows: nothing in it.
        ColumnMissing: a column is not there.

    >>> from datetime import datetime, UTC
    >>> hours = [datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (1, 3)]
    >>> rows = pl.DataFrame({"bucket": hours, "total_cost": [1.0, 2.0]})
    >>> series(rows)["y"].to_list()
    [1.0, 0.0, 2.0]
    """
    data, _ = polars(frame)
    for name in ("bucket", value, *by):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    if data.is_empty():
        raise NoRows("the LLM rollup")
    sums = data.group_by(pl.col("bucket").alias("ds"), *by).agg(pl.col(value).cast(pl.Float64).sum().alias("y"))
    first, last = sums["ds"].min(), sums["ds"].max()
    clock: pl.Series = pl.datetime_range(first, last, every, eager=True).alias("ds")  # type: ignore[arg-type,assignment]
    names = sums.select(by).unique() if by else pl.DataFrame({"unique_id": [TOTAL]})
    grid = clock.cast(sums["ds"].dtype).to_frame().join(names, how="cross")
    label = pl.concat_str(by, separator="/") if by else pl.lit(TOTAL)
    filled = grid.join(sums, on=["ds", *by], how="left").with_columns(pl.col("y").fill_null(0.0))
    return filled.select(label.alias("unique_id"), "ds", "y", *by).sort("unique_id", "ds")
