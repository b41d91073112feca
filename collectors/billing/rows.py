"""Rows of usage and of cost as a provider reports them, merged to the keys of their tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from collectors.sink import Batch

USAGE_TABLE, BILLED_TABLE = "metrics.llm_usage", "metrics.llm_billed"
DEFAULT_ACCOUNT = "default"
UNASSIGNED = "unassigned"
NOTHING = "nothing"  # the line item of a bucket for which a report has none
DISCOUNTED = ("batch", "flex")  # tiers that cost half

_COUNTS = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A span of time that a report sums up: from `ts` (UTC), `width_s` seconds."""

    ts: datetime
    width_s: int

    @property
    def end(self) -> float:
        """When it ends, in seconds since 1970."""
        return self.ts.timestamp() + self.width_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Usage of one model in one bucket; `input_tokens` includes `cached_tokens` and `cache_write_tokens`.

    `source` is that of the row, such as `openai-usage`. `requests` is 0 where the provider does not count them. `extra`
    holds further counts, which are added up in `attrs`.
    """

    bucket: Bucket
    source: str
    provider: str
    model: str
    project: str
    requests: int = 0
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    extra: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """Money for one line item in one bucket; `model` is empty where it belongs to none, `tier` is batch, flex, ..."""

    bucket: Bucket
    source: str
    provider: str
    line_item: str
    model: str = ""
    project: str = UNASSIGNED
    cost_usd: Decimal
    quantity: Decimal | None = None
    tier: str | None = None


def usage_batch(rows: Iterable[Usage], account: str) -> Batch:
    """The rows of `metrics.llm_usage`: one for each key, with the sums of the rows that share it.

    An `account` other than the default one is part of the source, which is part of the key.
    """
    suffix = "" if account == DEFAULT_ACCOUNT else f"@{account}"
    merged: dict[tuple[object, ...], list[Usage]] = {}
    for row in rows:
        same_key = (row.bucket.ts, row.bucket.width_s, row.provider, row.model, row.project, row.source + suffix)
        merged.setdefault(same_key, []).append(row)
    columns = ("ts", "width_s", "provider", "model", "project", "source", "requests", *_COUNTS, "usage_source", "attrs")
    made = []
    for key, same in merged.items():
        counts = [_sum(getattr(row, name) for row in same) for name in _COUNTS]
        reported = "missing" if all(count is None for count in counts) else "reported"
        extra: dict[str, int] = {}
        for row in same:
            for name, count in row.extra.items():
                extra[name] = extra.get(name, 0) + count
        made.append((*key, sum(row.requests for row in same), *counts, reported, extra or None))
    return Batch(USAGE_TABLE, columns, made)


def billed_batch(rows: Iterable[Billed], account: str, reported_at: datetime) -> Batch:
    """The rows of `metrics.llm_billed`, as the provider said at `reported_at`: one for each key, summed."""
    merged: dict[tuple[object, ...], list[Billed]] = {}
    for row in rows:
        same_key = (row.bucket.ts, row.bucket.width_s, row.source, row.provider, row.line_item, row.model, row.project)
        merged.setdefault(same_key, []).append(row)
    columns = ("ts", "width_s", "source", "provider", "line_item", "model", "project", "cost_usd", "quantity", "attrs")
    made = []
    for key, same in merged.items():
        quantities = [row.quantity for row in same]
        known = [each for each in quantities if each is not None]
        quantity = sum(known, Decimal(0)) if len(known) == len(quantities) else None
        cost = sum((row.cost_usd for row in same), Decimal(0))
        made.append((*key, cost, quantity, {"tier": same[0].tier} if same[0].tier else None, account, reported_at))
    return Batch(BILLED_TABLE, (*columns, "account", "reported_at"), made)


def nothing(bucket: Bucket, source: str, provider: str) -> Billed:
    """Says that a report has no item for this bucket: it was looked at, and costs nothing."""
    return Billed(bucket=bucket, source=source, provider=provider, line_item=NOTHING, cost_usd=Decimal(0))


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
