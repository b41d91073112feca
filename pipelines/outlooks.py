"""Outlooks of the budgets that are declared: each from the spend that it counts, to the end of its period."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from collectors.llm.budget.declare import Standing
from store.settings import Settings

if TYPE_CHECKING:
    from analytics import Outlook

Span = tuple[datetime | None, datetime | None]

SCOPE = ("team", "project", "model")


def outlooks(
    settings: Settings, budgets: Sequence[Standing], *, at: datetime | None = None, days: int | None = None
) -> Iterator[tuple[Standing, Outlook | None, Span]]:
    """An outlook of each budget and the span that it was made from, None where nothing that it counts is on record.

    What a budget counts is taken from the rollup of requests, not from its ledger, which knows only calls that went
    through it. A budget of an API key has no outlook: rollups know no keys.

    Args:
        settings: where the store is.
        budgets: as they stand now.
        at: as of which moment, UTC: the budget is told in the period that this is in, by what was on record then.
            Default: now.
        days: how far the past reaches back from there. Default: all of it.
    """
    from analytics import budget, load
    from analytics.declared_budgets import STALE, whose

    end = at or datetime.now(UTC)
    since = None if days is None else end - timedelta(days=days)
    spend = load.llm(settings, by=SCOPE, since=since, until=at)
    for each in budgets:
        one = each if at is None else _standing(each, at)
        rows = whose(spend, one.team, one.project, one.model)  # type: ignore[arg-type]  # it is polars, as asked
        span: Span = (rows["ds"].min(), rows["ds"].max())  # type: ignore[assignment]  # datetimes, or null
        if one.key is not None or span[1] is None or span[1] < one.starts_at - STALE:
            yield one, None, span
            continue
        limit = float(one.limit_usd)
        yield one, budget.outlook(rows, limit, since=one.starts_at, until=one.resets_at), span


def _standing(one: Standing, at: datetime) -> Standing:
    """The budget in the calendar day or month, in UTC, that a moment is in."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if one.period == "day":
        return replace(one, starts_at=day, resets_at=day + timedelta(days=1))
    month = day.replace(day=1)
    return replace(one, starts_at=month, resets_at=(month + timedelta(days=32)).replace(day=1))
