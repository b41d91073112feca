"""Outlooks of the budgets that are declared: each from the spend that it counts, to the end of its period."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from collectors.llm.budget.declare import Standing
from store.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from analytics import Outlook

SCOPE = ("team", "project", "model")
STALE = timedelta(days=1)  # before the period began: what ended earlier tells nothing of it


def outlooks(settings: Settings, budgets: Sequence[Standing]) -> Iterator[tuple[Standing, Outlook | None]]:
    """An outlook of each budget, None where nothing that it counts is on record since its period began.

    What a budget counts is taken from the rollup of requests, not from its ledger, which knows only calls that went
    through it. A budget of an API key has no outlook: rollups know no keys.
    """
    from analytics import budget, load

    spend = load.llm(settings, by=SCOPE)
    for one in budgets:
        rows = _counted(spend, one)  # type: ignore[arg-type]  # it is polars, as asked
        if one.key is not None or rows.is_empty() or rows["ds"].max() < one.starts_at - STALE:  # type: ignore[operator]
            yield one, None
            continue
        limit = float(one.limit_usd)
        yield one, budget.outlook(rows, limit, since=one.starts_at, until=one.resets_at)


def _counted(spend: pl.DataFrame, one: Standing) -> pl.DataFrame:
    """The series that a budget counts; a star in its model stands for any text."""
    import polars as pl

    rows = spend
    for dim in ("team", "project"):
        wanted = getattr(one, dim)
        rows = rows if wanted is None else rows.filter(pl.col(dim) == wanted)
    if one.model is not None:
        # Only the star is special in a budget.
        pattern = one.model.replace("[", "[[]").replace("?", "[?]")
        models = [name for name in rows["model"].unique() if fnmatchcase(name, pattern)]
        rows = rows.filter(pl.col("model").is_in(models))
    return rows
