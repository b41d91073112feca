"""Anomalies as they come: a scorer per series goes on where the last slot left it."""

from __future__ import annotations

from typing import Annotated

from pipelines.jobs.keep import Asked, Result, Rows
from pipelines.jobs.series import By, Days, GrainOf, KeepDays, Source, Top, Value, checked, series, target
from store.errors import TooShort

ENGINE = "streaming scorer"
FINDING = ("unique_id", "ds", "until", "y", "expected", "score", "lo", "hi", "severity", "impact")
COLUMNS = ("target", *FINDING, "engine", "trained_from", "trained_until")


def anomalies(
    asked: Asked,
    *,
    value: Value = "cost_usd",
    source: Source = "llm",
    by: By = "team",
    grain: GrainOf = "hourly",
    rate: Annotated[float, "false alarms a point (0.000001 to 0.2)"] = 1e-3,
    days: Days = 60,
    top: Top = 50,
    keep_days: KeepDays = 400,
) -> Result:
    """Score the points since the last slot, and write those that do not fit and that no verdict silences.

    A series that is new is scored from its first point in `days`. What the others add up to is not watched: it changes
    whenever a series comes or goes.
    """
    del keep_days  # a matter of `keep`
    import polars as pl

    from analytics.detection import severity
    from analytics.mutes import silent, verdicts
    from analytics.streaming import MAGIC
    from analytics.watching import advance, states

    checked(source, value)
    frame = series(asked, source, value, by, grain, days, top, rest=False)
    if frame.filter(pl.col("y").is_not_null()).is_empty():
        return Result(replaces=False)
    what = target(grain, value)
    # A replica may lag behind what the last slot has learnt.
    primary = asked.settings.model_copy(update={"dsn_read": None})
    try:
        # What another release has learnt cannot be read: such a series is scored anew.
        learnt = {name: one for name, one in states(primary, what).items() if bytes(one[1]).startswith(MAGIC)}
        scored, kept = advance(learnt, frame, what, rate=rate)
    except TooShort:
        return Result(replaces=False)
    width = {"hourly": pl.duration(hours=1), "daily": pl.duration(days=1)}[grain]
    # Taught by the points before it, of which it remembers so many.
    flagged = scored.filter("is_anomaly").with_columns(
        until=pl.col("ds") + width,
        severity=pl.col("score").map_elements(severity, return_dtype=pl.String),
        impact=pl.when(pl.lit(value) == "cost_usd").then(pl.col("y") - pl.col("expected")),
        engine=pl.lit(ENGINE),
        trained_from=pl.col("ds") - width * pl.col("remembered"),
        trained_until=pl.col("ds") - width,
        target=pl.lit(what),
    )
    flagged = flagged.filter(~silent(flagged, verdicts(primary, what), "unique_id", "ds", end="until"))
    return Result([Rows("analytics.anomalies", COLUMNS, flagged.select(COLUMNS).rows())], kept, replaces=False)
