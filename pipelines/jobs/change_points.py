"""Lasting changes of level in the largest series and in the whole."""

from __future__ import annotations

from pipelines.jobs.keep import Asked, Result, Rows
from pipelines.jobs.series import By, Days, GrainOf, KeepDays, Source, Top, Value, checked, series, target
from store.errors import TooShort

ENGINE = "KernelCPD"
CHANGE = ("unique_id", "ds", "ds_lo", "ds_hi", "before", "after", "size", "size_lo", "size_hi", "relative")
COLUMNS = ("target", *CHANGE, "engine", "trained_from", "trained_until")


def change_points(
    asked: Asked,
    *,
    value: Value = "cost_usd",
    source: Source = "llm",
    by: By = "team",
    grain: GrainOf = "hourly",
    days: Days = 60,
    top: Top = 50,
    keep_days: KeepDays = 400,
) -> Result:
    """Look at the whole span for changes: the rows of a slot replace, for a reader, those of the slot before."""
    del keep_days  # a matter of `keep`
    import polars as pl

    from analytics import changepoints

    checked(source, value)
    frame = series(asked, source, value, by, grain, days, top, rest=False)
    if frame.filter(pl.col("y").is_not_null()).is_empty():
        return Result()
    try:
        found = changepoints(frame).table
    except TooShort:
        return Result()
    spans = frame.group_by("unique_id").agg(
        pl.col("ds").min().alias("trained_from"), pl.col("ds").max().alias("trained_until")
    )
    dashed = {name.replace("_", "-"): name for name in ("ds_lo", "ds_hi", "size_lo", "size_hi")}
    rows = (
        found.rename(dashed)
        .join(spans, on="unique_id", how="left")
        .with_columns(target=pl.lit(target(grain, value)), engine=pl.lit(ENGINE))
    )
    return Result([Rows("analytics.change_points", COLUMNS, rows.select(COLUMNS).rows())])
