"""How much of its capacity each queue uses, when it is empty, and when it is full."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from pipelines.jobs.keep import Asked, Result, Rows
from pipelines.jobs.series import Days, KeepDays, Top
from store.errors import TooShort

if TYPE_CHECKING:
    import polars as pl

QUEUE = ("cluster", "vhost", "queue")
FLOW = ("messages", "consumers", "arriving_per_s", "served_per_s", "capacity_per_s", "capacity_seen", "utilisation")
TIMES = ("age_s", "drain_s", "max_length", "full_s", "p_full", "peak_messages", "consumers_needed")
COLUMNS = (*QUEUE, "horizon_s", *FLOW, *TIMES, "arriving_ahead_per_s", "engine", "trained_from", "trained_until")
ENGINE = "ensemble"

MaxLength = Annotated[float, "messages in a queue whose own limit is not known; 0: no limit (0 to 1000000000000)"]
HOUR = timedelta(hours=1)


def queues(
    asked: Asked,
    *,
    horizon_h: Annotated[int, "hours that are simulated (1 to 1000)"] = 24,
    target_age_s: Annotated[float, "seconds that a message may wait (0.001 to 1000000)"] = 60.0,
    max_length: MaxLength = 0.0,
    days: Days = 14,
    top: Top = 200,
    keep_days: KeepDays = 90,
) -> Result:
    """An outlook of the `top` deepest queues by the hours before the slot."""
    del keep_days  # a matter of `keep`
    import polars as pl

    from analytics import load
    from analytics import queues as analyses

    rows = load.queue_metrics(asked.settings, since=asked.slot - timedelta(days=days), until=asked.slot)
    assert isinstance(rows, pl.DataFrame)
    if rows.is_empty():
        return Result()
    rows = _with_limits(asked, _deepest(rows, top), max_length)
    try:
        made = analyses.capacity(rows, horizon_h, target_age_s=target_age_s)
    except TooShort:
        return Result()
    spans = made.history.group_by(QUEUE).agg(
        pl.col("ds").min().alias("trained_from"), (pl.col("ds").max() + HOUR).alias("trained_until")
    )
    ahead = made.backlog.group_by(QUEUE, maintain_order=True).agg(
        pl.col("arriving_per_s").alias("arriving_ahead_per_s")
    )
    told = made.table.join(spans, on=QUEUE, how="inner").join(ahead, on=QUEUE, how="left")
    told = told.with_columns(horizon_s=pl.lit(horizon_h * HOUR.total_seconds()), engine=pl.lit(ENGINE))
    return Result([Rows("analytics.queue_outlooks", COLUMNS, told.select(COLUMNS).rows())])


def _deepest(rows: pl.DataFrame, top: int) -> pl.DataFrame:
    import polars as pl

    depth = pl.col("last_messages").sort_by("bucket").last().alias("depth")
    ranked = rows.group_by(QUEUE).agg(depth, pl.col("max_messages").max().alias("most"))
    kept = ranked.sort("depth", "most", *QUEUE, descending=[True, True, False, False, False], nulls_last=True).head(top)
    return rows.join(kept.select(QUEUE), on=QUEUE, how="semi")


def _with_limits(asked: Asked, rows: pl.DataFrame, otherwise: float) -> pl.DataFrame:
    """The rows with `max_length`: rollups know no limits, the samples of the last hour do."""
    import polars as pl

    from analytics import load

    until: datetime = rows["bucket"].to_list()[-1] + HOUR  # they are in the order of time
    samples = load.queue_samples(asked.settings, since=until - HOUR, until=until)
    assert isinstance(samples, pl.DataFrame)
    limits = samples.group_by(QUEUE).agg(pl.col("max_length").drop_nulls().last())
    known = rows.join(limits, on=QUEUE, how="left")
    return known.with_columns(pl.col("max_length").fill_null(otherwise)) if otherwise else known
