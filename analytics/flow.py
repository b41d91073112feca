"""The door for rows of queues: any frame of depths and rates in, arrays on one clock out, and usual rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics.frames import Floats, Grid, Kind, Names, Panel, panel, polars
from store.errors import ColumnMissing, NoRows, ParameterInvalid

if TYPE_CHECKING:
    from analytics.frames import Frame

QUEUE = ("cluster", "vhost", "queue")
NUMBERS = ("messages", "consumers", "arriving_per_s", "served_per_s")
WINDOW = 24  # latest buckets that say what is usual now
BACK = 7  # windows in which a queue may have shown what it can serve
IN_HAND_S = 15.0  # seconds of service that consumers may have in hand: so many messages wait for nobody
SEEN = 3  # busy buckets that are enough to tell


@dataclass(frozen=True)
class Rates:
    """What the latest buckets say of each queue; arrays (queue,), NaN unknown.

    `per_consumer` is what one consumer serves a second, `seen` whether the queue was busy, so that it is known and not
    only a lower bound; `consumers` are those of the latest bucket.
    """

    arriving: Floats
    served: Floats
    depth: Floats
    consumers: Floats
    per_consumer: Floats
    seen: NDArray[np.bool_]

    @property
    def capacity(self) -> Floats:
        """Messages a second that the present consumers can serve."""
        return self.per_consumer * self.consumers


@dataclass(frozen=True)
class Flow:
    """Queues on one clock: `ids` (cluster, vhost, queue), arrays (queue, time) that end at tick `last`, NaN unknown."""

    ids: pl.DataFrame
    messages: Floats
    consumers: Floats
    arriving_per_s: Floats
    served_per_s: Floats
    max_length: Floats
    grid: Grid
    last: int
    kind: Kind

    @property
    def step_s(self) -> float:
        """Seconds in a bucket."""
        return float(self.grid.step_s or 0.0)

    @property
    def depth(self) -> Floats:
        """The latest depth that is known of each queue, 0 where none is."""
        return latest(self.messages)

    def arrivals(self, rows: slice) -> Panel:
        """Arrivals of some queues as series; one of which nothing is known is 0."""
        values = self.arriving_per_s[rows].copy()
        values[~np.isfinite(values).any(axis=1)] = 0.0
        ids = pl.Series(range(len(self.ids)), dtype=pl.Int64)[rows]
        return Panel(ids, values, np.full(len(ids), self.last, np.int64), self.grid, Names(), "polars")

    def rates(self, window: int | None = None) -> Rates:
        """Rates over the latest `window` buckets, capacity over seven times as many."""
        recent = -(window or WINDOW)
        back = BACK * recent
        served, messages = self.served_per_s[:, back:], self.messages[:, back:]
        consumers = np.where(np.isfinite(self.consumers[:, back:]), self.consumers[:, back:], 1.0)
        each = np.where(consumers > 0, served / np.where(consumers > 0, consumers, 1.0), np.nan)
        # Only between two depths that are more than what consumers have in hand was there always something to serve.
        waits = messages > np.nan_to_num(served) * IN_HAND_S
        # One in which nothing was served shows that consumers hung, not what they can serve.
        busy = waits & np.roll(waits, 1, axis=1) & (np.nan_to_num(each) > 0)
        busy[:, 0] = False
        seen = busy.sum(axis=1) >= SEEN
        shown = np.where(seen, _over(np.nanmedian, np.where(busy, each, np.nan)), _over(np.nanmax, each))
        return Rates(
            _over(np.nanmean, self.arriving_per_s[:, recent:]),
            _over(np.nanmean, self.served_per_s[:, recent:]),
            _over(np.nanmean, self.messages[:, recent:]),
            latest(self.consumers, missing=1.0),
            np.asarray(shown),
            seen,
        )


def flows(frame: Frame, columns: Mapping[str, str]) -> Flow:
    """Check rows of queues and lay them on one clock.

    Args:
        frame: one row per bucket and queue; cluster, vhost and `max_length` (messages) where there are such columns.
        columns: the frame's names of ds, queue, messages, consumers, arriving_per_s and served_per_s, as name: ours.

    Raises:
        NoRows: nothing in it.
        ColumnMissing: a column is not there; names the closest match.
        TooShort, ParameterInvalid: as `panel` does; integer times, rates or depths below zero.
    """
    data, kind = polars(frame)
    for name in columns:
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    if data.is_empty():
        raise NoRows("the queue frame")
    taken = {ours: name for name, ours in columns.items()}
    data = data.select(
        *(pl.col(name) if name in data.columns else pl.lit("").alias(name) for name in ("cluster", "vhost")),
        *(pl.col(name).alias(ours) for ours, name in taken.items()),
        (pl.col("max_length") if "max_length" in data.columns else pl.lit(None)).cast(pl.Float64).alias("max_length"),
    ).with_columns(pl.col(QUEUE).cast(pl.String).fill_null(""))
    data = data.with_columns(_number(data[name], taken[name]) for name in NUMBERS)
    ids = data.select(QUEUE).unique().sort(QUEUE).with_row_index("unique_id")
    rows = data.join(ids, on=list(QUEUE)).with_row_index("y").with_columns(pl.col("y").cast(pl.Float64))
    laid = panel(rows.rename({"ds": taken["ds"]}), time_col=taken["ds"])
    if laid.grid.step_s is None:
        raise ParameterInvalid(taken["ds"], "expected datetimes: rates are per second, and integers have no length")
    last, width = int(laid.ends.max()), laid.values.shape[1]
    late = (last - laid.ends) // laid.grid.step
    alive = late < WINDOW  # a queue that is not sampled any more is gone
    place = np.full((int(alive.sum()), width + int(late[alive].max())), np.nan)
    for row, found, gap in zip(place, laid.values[alive], late[alive], strict=True):
        row[len(row) - int(gap) - width : len(row) - int(gap)] = found
    there = np.isfinite(place)
    at = np.where(there, place, 0).astype(np.int64)
    arrays = {name: np.where(there, rows[name].to_numpy()[at], np.nan) for name in (*NUMBERS, "max_length")}
    limits = latest(arrays.pop("max_length"), missing=np.inf)
    growth = np.diff(arrays["messages"], axis=1, prepend=np.nan) / float(laid.grid.step_s)
    balance = np.maximum(arrays["served_per_s"] + growth, 0.0)
    arrays["arriving_per_s"] = np.where(np.isfinite(arrays["arriving_per_s"]), arrays["arriving_per_s"], balance)
    kept = ids.filter(pl.Series(alive)).drop("unique_id")
    return Flow(kept, **arrays, max_length=limits, grid=laid.grid, last=last, kind=kind)


def latest(values: Floats, missing: float = 0.0) -> Floats:
    """The latest known value of each row.

    >>> latest(np.array([[1.0, 2.0, np.nan], [np.nan, np.nan, np.nan]])).tolist()
    [2.0, 0.0]
    """
    known = np.isfinite(values)
    at = values.shape[1] - 1 - known[:, ::-1].argmax(axis=1)
    return np.asarray(np.where(known.any(axis=1), values[np.arange(len(values)), at], missing))


def _number(column: pl.Series, name: str) -> pl.Series:
    if not (column.dtype.is_numeric() or column.dtype == pl.Null):
        raise ParameterInvalid(name, f"expected numbers, got {column.dtype}")
    values = column.cast(pl.Float64).fill_null(float("nan"))
    if values.is_infinite().any() or (values < 0).any():
        raise ParameterInvalid(name, "expected numbers of zero or more; drop or mend the rows that are not")
    return values


def _over(statistic: Callable[..., Floats], values: Floats) -> Floats:
    """A statistic that leaves out NaN, over time; NaN where nothing is known, without a warning."""
    known = np.isfinite(values).any(axis=1)
    out = np.full(len(values), np.nan)
    if known.any():
        out[known] = statistic(values[known], axis=1)
    return out
