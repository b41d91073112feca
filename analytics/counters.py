"""Rates from counters: single samples of queues in, rows per bucket out, restarts and churn not taken for traffic."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from analytics.frames import native, polars
from store.errors import ColumnMissing, NoRows, ParameterInvalid

if TYPE_CHECKING:
    from analytics.frames import Frame

COUNTERS = ("published", "delivered", "acked")
QUEUE = ("cluster", "vhost", "queue")


def rates(frame: Frame, every: timedelta = timedelta(hours=1), *, time_col: str = "ts") -> Frame:
    """Samples of queues as rows per bucket, with the rates that their counters tell.

    A counter that fell tells nothing of that interval: a broker that restarted counts from zero, but one whose channels
    closed has only forgotten what they had counted, and taking the new value for traffic, as PromQL's increase() does,
    invents messages. Where no interval of a bucket tells, the rate is null.

    Args:
        frame: one row per queue and sample, as `load.queue_samples` gives them: ts (datetimes), queue, messages,
            consumers, published_total, delivered_total, acked_total; cluster, vhost and max_length where known.
        every: width of a bucket.
        time_col: name of the column of times.

    Returns:
        Columns of `load.queue_metrics`: bucket, cluster, vhost, queue, samples, avg_messages, min_messages,
        max_messages, last_messages, avg_consumers, avg_published_per_s, avg_delivered_per_s, avg_acked_per_s; and
        max_length. The kind of frame that came in.

    Raises:
        NoRows: nothing in it.
        ColumnMissing: a column is not there; names the closest match.
        ParameterInvalid: times that are no datetimes, a width of zero or less.

    >>> from datetime import datetime, UTC
    >>> moments = [datetime(2026, 3, 2, 0, minute, tzinfo=UTC) for minute in (0, 1, 2, 3)]
    >>> samples = pl.DataFrame({"ts": moments, "queue": "q", "messages": 5, "consumers": 1, "delivered_total": 0,
    ...     "acked_total": [0, 0, 60, 60], "published_total": [8000, 8060, 0, 120]})
    >>> rates(samples).select("avg_published_per_s", "avg_acked_per_s").row(0)
    (1.5, 0.3333333333333333)
    """
    if every <= timedelta(0):
        raise ParameterInvalid("every", f"expected a width of more than zero, got {every}")
    data, kind = polars(frame)
    for name in (time_col, "queue", "messages", "consumers", *(f"{name}_total" for name in COUNTERS)):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    if data.is_empty():
        raise NoRows("the queue samples")
    if not isinstance(data[time_col].dtype, pl.Datetime):
        raise ParameterInvalid(time_col, f"expected datetimes, got {data[time_col].dtype}")
    given = {name: pl.col(name) if name in data.columns else pl.lit("") for name in ("cluster", "vhost")}
    limit = pl.col("max_length") if "max_length" in data.columns else pl.lit(None, pl.Float64)
    data = data.with_columns(max_length=limit.cast(pl.Float64), **given).unique([*QUEUE, time_col], keep="last")
    data = data.sort(*QUEUE, time_col)
    seconds = pl.col(time_col).diff().over(QUEUE).dt.total_microseconds() / 1e6
    steps = []
    for name in COUNTERS:
        grown = pl.col(f"{name}_total").cast(pl.Float64).diff().over(QUEUE)
        told = grown >= 0
        steps += [pl.when(told).then(grown).alias(f"{name}_n"), pl.when(told).then(seconds).alias(f"{name}_s")]
    data = data.with_columns(steps).with_columns(bucket=pl.col(time_col).dt.truncate(every))
    counted = [
        pl.when(pl.col(f"{name}_s").sum() > 0)
        .then(pl.col(f"{name}_n").sum() / pl.col(f"{name}_s").sum())
        .alias(f"avg_{name}_per_s")
        for name in COUNTERS
    ]
    made = data.group_by("bucket", *QUEUE).agg(
        pl.len().cast(pl.Int64).alias("samples"),
        pl.col("messages").mean().alias("avg_messages"),
        pl.col("messages").min().alias("min_messages"),
        pl.col("messages").max().alias("max_messages"),
        pl.col("messages").sort_by(time_col).last().alias("last_messages"),
        pl.col("consumers").mean().alias("avg_consumers"),
        *counted,
        pl.col("max_length").drop_nulls().last(),
    )
    return native(made.sort("bucket", *QUEUE), kind)
