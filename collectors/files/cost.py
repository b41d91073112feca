"""The cost of imported rows that have none of their own."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import cast

from collectors.files.columns import Row
from collectors.llm.prices import price
from collectors.llm.usage import Usage

KINDS = ("input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")


def cost_of(row: Row) -> None:
    """Fill `cost_usd` and `price_version` of a request or a bucket where the row has no cost and the price is known.

    The requests of a bucket are priced as if they were alike: prices may depend on the size of a request, and the sum
    of a thousand small ones must not be taken for a large one.
    """
    unmetered = row.get("input_tokens") is None or row.get("output_tokens") is None
    if row.get("cost_usd") is not None or unmetered or row.get("model") == "unknown":
        return
    model, provider, ts = cast("str", row["model"]), cast("str", row["provider"]), cast("datetime", row["ts"])
    counts = [cast("int", row.get(name) or 0) for name in KINDS]
    total, version = Decimal(0), None
    for many, tokens in _alike(cast("int", row.get("requests", 1)), counts):
        usage = Usage(**dict(zip(KINDS, tokens, strict=True)))
        part = price(provider=provider, model=model, ts=ts, usage=usage)
        if part.cost_usd is None:
            return
        total, version = total + many * part.cost_usd, part.version
    row["cost_usd"], row["price_version"] = total, version


def _alike(requests: int, sums: list[int]) -> list[tuple[int, list[int]]]:
    """Share `sums` out over `requests` as evenly as whole numbers allow: (how many requests, tokens of each).

    >>> _alike(3, [7, 3])
    [(1, [3, 1]), (2, [2, 1])]
    """
    if requests <= 0:
        return [(1, sums)]
    edges = sorted({0, requests, *(each % requests for each in sums)})
    return [(after - at, [each // requests + (at < each % requests) for each in sums]) for at, after in pairwise(edges)]
