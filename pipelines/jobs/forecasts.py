"""Forecasts of the largest series and of the whole: a row per step, and the sum over each horizon."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from analytics.spans import WIDTH
from pipelines.jobs.keep import Asked, Result, Rows
from pipelines.jobs.series import (
    SOURCES,
    By,
    Days,
    GrainOf,
    KeepDays,
    Source,
    Top,
    Value,
    checked,
    dimensions,
    series,
    target,
)
from store.errors import ParameterInvalid, TooShort

if TYPE_CHECKING:
    from analytics import Forecast

LEVELS = (80, 95)
BOUNDS = tuple(f"{side}_{level}" for level in LEVELS for side in ("lo", "hi"))
TRAINED = ("engine", "trained_from", "trained_until")
STEPS = ("target", "source", "by", "unique_id", "ds", "y_hat", *BOUNDS, *TRAINED)
TOTALS = ("target", "source", "by", "unique_id", "horizon", "since", "until", "total", *BOUNDS, *TRAINED)
_HORIZON = re.compile(r"(\d{1,4})([hd])")

Horizons = Annotated[str, "how far ahead, with commas between them: 24h,7d; the steps of the longest are written"]


def forecasts(
    asked: Asked,
    *,
    value: Value = "cost_usd",
    source: Source = "llm",
    by: By = "team",
    grain: GrainOf = "hourly",
    horizons: Horizons = "24h,7d",
    engine: Annotated[str, "as `gaugebook forecast --engine` names it"] = "ensemble",
    days: Days = 90,
    top: Top = 50,
    keep_days: KeepDays = 400,
) -> Result:
    """Forecast every series for each horizon: an interval of a sum is right for the horizon that it was made for."""
    del keep_days  # a matter of `keep`
    from analytics import forecast

    checked(source, value)
    spans = ahead(horizons, WIDTH[grain])
    frame = series(asked, source, value, by, grain, days, top, rest=True)
    if frame.is_empty():
        return Result()
    what = (target(grain, value), SOURCES[source], list(dimensions(by)))
    additive = source != "queues"
    steps: list[tuple[object, ...]] = []
    totals: list[tuple[object, ...]] = []
    longest = max(spans.values())
    for name, buckets in spans.items():
        if not additive and buckets < longest:
            continue
        try:
            made = forecast(frame, buckets, LEVELS, engine=engine, additive=additive)
        except TooShort:
            return Result()
        if buckets == longest:
            steps = list(_steps(made, what))
        if additive:
            totals += _totals(made, what, name, WIDTH[grain])
    kept = [Rows("analytics.forecasts", STEPS, steps), Rows("analytics.forecast_totals", TOTALS, totals)]
    return Result(kept)


def ahead(horizons: str, width: timedelta) -> dict[str, int]:
    """Buckets in each horizon of a text.

    Raises:
        ParameterInvalid: it is not such a text, or one is shorter than a bucket.

    >>> ahead("24h, 7d", timedelta(hours=1))
    {'24h': 24, '7d': 168}
    """
    found: dict[str, int] = {}
    for name in dimensions(horizons):
        match = _HORIZON.fullmatch(name)
        span = timedelta(**{{"h": "hours", "d": "days"}[match[2]]: int(match[1])}) if match else timedelta()
        if not match or span < width:
            raise ParameterInvalid("horizons", f"must be hours or days such as 24h,7d, a bucket at least, not {name!r}")
        found[name] = span // width
    if not found:
        raise ParameterInvalid("horizons", "must name one horizon at least, such as 24h")
    return found


def _steps(made: Forecast, what: tuple[object, ...]) -> Iterator[tuple[object, ...]]:
    trained = _trained(made)
    for row in made.to_polars().iter_rows(named=True):
        bounds = (row[f"y_hat-{bound.replace('_', '-')}"] for bound in BOUNDS)
        yield (*what, row["unique_id"], row["ds"], row["y_hat"], *bounds, *trained[row["unique_id"]])


def _totals(made: Forecast, what: tuple[object, ...], name: str, width: timedelta) -> Iterator[tuple[object, ...]]:
    trained = _trained(made)
    for row in made.totals().iter_rows(named=True):
        of = trained[row["unique_id"]]
        since = of[2] + width
        bounds = (row[f"total-{bound.replace('_', '-')}"] for bound in BOUNDS)
        span = (name, since, since + made.horizon * width)
        yield (*what, row["unique_id"], *span, row["total"], *bounds, *of)


def _trained(made: Forecast) -> dict[str, tuple[str, datetime, datetime]]:
    import polars as pl

    spans = made.history.group_by("unique_id").agg(pl.col("ds").min().alias("first"), pl.col("ds").max().alias("last"))
    return {name: (made.engine, first, last) for name, first, last in spans.iter_rows()}
