"""The door for rows of spend: any frame of costs in, checked columns under one set of names and a span of time out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.frames import Kind, polars
from analytics.spans import WIDTH, When, moment
from store.errors import ColumnMissing, NoRows, ParameterInvalid

if TYPE_CHECKING:
    from analytics.frames import Frame

HOUR = WIDTH["hourly"]
TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
COUNTS = ("requests", "errors", *TOKENS, "unpriced")
INTEGER = pl.Int128  # billionths of a dollar, of sums that no 64 bits hold


@dataclass(frozen=True)
class Columns:
    """How the caller calls the columns of time, cost and requests."""

    time: str = "bucket"
    cost: str = "total_cost"
    requests: str = "requests"


def spend(
    frame: Frame, by: str | Sequence[str], columns: Columns, *, timed: bool = True
) -> tuple[pl.DataFrame, tuple[str, ...], Kind]:
    """Check rows of spend and give their columns the names bucket, total_cost, requests, and the counts in `COUNTS`.

    A cost that is null or NaN is not known and stays null; a count that is null or absent is 0; times become UTC.

    Args:
        frame: one row per time and combination of dimensions; polars or pandas.
        by: the dimensions wanted.
        columns: how the frame calls its columns.
        timed: whether it needs a time.

    Raises:
        NoRows: nothing in it.
        ColumnMissing: a column is not there; names the closest match.
        ParameterInvalid: times without a zone, an infinite cost, a count below zero, text where numbers belong.

    >>> rows = pl.DataFrame({"team": ["a"], "usd": [2], "calls": [3]})
    >>> spend(rows, "team", Columns(cost="usd", requests="calls"), timed=False)[0].row(0)[:3]
    ('a', 2.0, 3)
    """
    data, kind = polars(frame)
    dims = (by,) if isinstance(by, str) else tuple(dict.fromkeys(by))
    if not dims:
        raise ParameterInvalid("by", "expected at least one dimension, such as team")
    needed = ([columns.time] if timed else []) + [columns.requests, columns.cost]
    for name in (*needed, *dims):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    if data.is_empty():
        raise NoRows("the cost frame")
    data = data.rename({columns.cost: "total_cost", columns.requests: "requests"})
    data = data.rename({columns.time: "bucket"}) if timed else data
    data = data.with_columns(_cost(data["total_cost"], columns.cost), *(_count(data, name) for name in COUNTS))
    return (_in_utc(data, columns.time) if timed else data), dims, kind


def bounds(data: pl.DataFrame, since: When, until: When) -> tuple[datetime, datetime, bool]:
    """The span asked for, half-open, and whether the rows reach back over the one of equal length before it.

    Raises:
        ParameterInvalid: a time cannot be used, or since is not before until.
    """
    first, end = reach(data)
    stop = moment(until, end, "until") or end
    begin = moment(since, end, "since") or first
    if begin >= stop:
        raise ParameterInvalid("since", f"{words.moment(begin)} is not before until, {words.moment(stop)}")
    # A quiet first day may have no row; a frame that starts later than that was not there.
    slack = min((stop - begin) / 4, 24 * HOUR)
    return begin, stop, first <= begin - (stop - begin) + slack and first < begin


def reach(data: pl.DataFrame) -> tuple[datetime, datetime]:
    """From the first bucket to the end of the last one."""
    buckets = data["bucket"].unique().sort()
    gaps = buckets.diff().drop_nulls()
    width = gaps.min() if len(gaps) else None
    return buckets[0], buckets[-1] + (width if width is not None else HOUR)


def _cost(column: pl.Series, name: str) -> pl.Series:
    if not (column.dtype.is_numeric() or column.dtype == pl.Null):
        raise ParameterInvalid(name, f"expected dollars as numbers, got {column.dtype}")
    values = column.cast(pl.Float64).fill_nan(None)
    if values.is_infinite().any():
        raise ParameterInvalid(name, f"{values.is_infinite().sum()} values are infinite; drop or cap them")
    return values


def _count(data: pl.DataFrame, name: str) -> pl.Series:
    if name not in data.columns:
        return pl.repeat(0, len(data), dtype=pl.Int64, eager=True).alias(name)
    column = data[name]
    if not (column.dtype.is_numeric() or column.dtype == pl.Null):
        raise ParameterInvalid(name, f"expected counts, got {column.dtype}")
    values = column.cast(pl.Float64).fill_nan(None)
    if values.is_infinite().any() or (values < 0).any():
        raise ParameterInvalid(name, "expected counts of zero or more; drop or mend the rows that are not")
    return column.fill_nan(0).fill_null(0) if column.dtype.is_float() else column.fill_null(0).cast(pl.Int64)


def _in_utc(data: pl.DataFrame, name: str) -> pl.DataFrame:
    dtype = data["bucket"].dtype
    if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
        advice = "; give them one, e.g. by dt.replace_time_zone('UTC')" if isinstance(dtype, pl.Datetime) else ""
        raise ParameterInvalid(name, f"expected datetimes with a zone, got {dtype}{advice}")
    if data["bucket"].null_count():
        raise ParameterInvalid(name, f"{data['bucket'].null_count()} rows are null; drop or fill them")
    return data.with_columns(pl.col("bucket").dt.convert_time_zone("UTC"))
