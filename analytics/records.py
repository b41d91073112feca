"""What the store keeps besides series: budgets, failures, stored forecasts, bills, prices that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from analytics.spans import WIDTH, Span, floor
from store.errors import ParameterInvalid
from store.read import read
from store.settings import Settings
from store.settings import load as load_settings

DAY = WIDTH["daily"]
PROVIDERS = ("openai", "anthropic")  # those whose cost reports `gaugebook import billing` reads


def budgets(at: datetime, *, team: str = "", settings: Settings | None = None) -> pl.DataFrame:
    """Every enabled budget, or those of one team, with the period that holds the moment before `at`, the end of a span.

    Columns: name, team, project, model (null: all), `by_key` (whether it counts one API key), period (day or month),
    `limit_usd`, `booked_usd` (by its own ledger, which knows only calls that went through it), `starts_at`, `ends_at`.
    """
    found = _read(settings, "budget_periods", at=at - timedelta(microseconds=1))
    return found.filter(pl.col("team") == team) if team else found


def within(
    span: Span, bound_s: float, *, by: Sequence[str] = ("model",), team: str = "", settings: Settings | None = None
) -> pl.DataFrame:
    """How many requests began to answer within `bound_s` seconds, by hour: what `performance.slo` takes.

    Columns: `ds` (UTC), the dimensions, requests, errors, `measured` (those that told a time to first token), `within`.

    Raises:
        ParameterInvalid: the bound is not above zero.
    """
    if not bound_s > 0:
        raise ParameterInvalid("bound_s", f"expected seconds, more than zero, got {bound_s!r}")
    rows = _read(settings, "llm_within", bound_s=bound_s, by=list(by), team=team or None, **_over(span))
    return rows.select("ds", *by, "requests", "errors", "measured", "within")


def week(
    span: Span, *, quantile: float = 0.95, team: str = "", model: str = "", settings: Settings | None = None
) -> pl.DataFrame:
    """The week by the hour, UTC.

    Columns: weekday (1 is Monday), hour, `hours` (seen), requests, errors, output_tokens, `ttft_s` (of the quantile).
    """
    rows = _read(settings, "llm_week", quantiles=[quantile], team=team or None, model=model or None, **_over(span))
    first = pl.col("ttft").list.get(0, null_on_oob=True).cast(pl.Float64).alias("ttft_s")
    return rows.with_columns(first).drop("ttft")


def errors(span: Span, *, team: str = "", settings: Settings | None = None) -> pl.DataFrame:
    """Failures by day (UTC) and model: ds, model, requests, errors, and the five classes of which they are the sum."""
    return _read(settings, "llm_errors", team=team or None, **_over(span))


def spans(*, settings: Settings | None = None) -> pl.DataFrame:
    """From which hour to which hour each source has data: source, first, last (null where it has none)."""
    return _read(settings, "data_spans")


def forecasts(
    since: datetime, until: datetime, *, target: str | None = None, settings: Settings | None = None
) -> pl.DataFrame:
    """Stored forecasts beside what came, as the query `forecast_outcomes` gives them: what `outcomes` takes."""
    return _read(settings, "forecast_outcomes", target=target, since=since, until=until, lead_h=None)


def bills(span: Span, *, settings: Settings | None = None) -> pl.DataFrame:
    """What was metered and what each provider billed, by whole day (UTC): what `quality.bills` takes.

    Columns: provider, day, `side` (metered, usage or billed), cost_usd, tokens, final.
    """
    since, until = floor(span.since, DAY), floor(span.until, DAY)
    sides = [
        _read(settings, "reconcile", provider=provider, since=since, until=until).select(
            pl.lit(provider).alias("provider"), "day", "side", pl.col("cost_usd").cast(pl.Float64),
            (pl.col("input_tokens") + pl.col("output_tokens")).cast(pl.Int64).alias("tokens"), "final",
        )
        for provider in PROVIDERS
    ]  # fmt: skip
    return pl.concat(sides)


def unpriced(span: Span, *, settings: Settings | None = None) -> pl.DataFrame:
    """Models without a price: provider, model, requests, their tokens, first and last day."""
    since, until = floor(span.since, DAY), floor(span.until, DAY) + DAY
    return _read(settings, "prices_missing", since=since, until=until).drop("mixed")


def _over(span: Span) -> dict[str, Any]:
    return {"since": span.since, "until": span.until}


def _read(settings: Settings | None, query: str, **parameters: Any) -> pl.DataFrame:
    return read(settings or load_settings(), query, as_="polars", **parameters)
