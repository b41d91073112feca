"""Why a bill and what was metered differ, for one model and day: the likeliest cause, from a fixed list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum

ALIKE = Decimal("0.01")  # shares that differ by less are the same
PENNY = Decimal("0.01")  # USD, likewise
SHIFTED = Decimal("0.2")  # of a gap that may be left when the day beside it makes up for it


class Cause(Enum):
    """The likely cause of a gap, as it is shown."""

    AGREES = "agrees"
    NO_REPORT = "no cost report of this day: import it"
    NOT_FINAL = "the report was made before the day was over: import it again"
    NOT_TOKENS = "billed apart from tokens (tools, storage, sessions): not metered"
    UNPRICED = "metered calls without a known price: `gaugebook prices missing`"
    DAY_BOUNDARY = "calls around midnight: the day beside it makes up for it"
    NOT_METERED = "calls that were not metered"
    MISSING_USAGE = "metered calls without usage (cancelled streams, or not asked for)"
    NOT_BILLED = "metered and not billed: another account, a free tier, or reported twice"
    CACHE_WRITES = "cache writes are counted differently"
    CACHE_READS = "cache reads are counted differently"
    DISCOUNT = "batch or flex discount that the meter did not see"
    PRICE = "same tokens at another price (contract, price change, tier)"
    NO_USAGE = "not known: import the usage report too"


Rules = tuple[tuple[Cause, bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side's sums; None where it does not count such a thing."""

    requests: int | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None
    unpriced: int = 0
    unmetered: int = 0
    discounted_tokens: int | None = None
    discounted_usd: Decimal | None = None
    final: bool = True

    @property
    def tokens(self) -> int:
        return (self.input_tokens or 0) + (self.output_tokens or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One day (UTC) and model, or a line item that belongs to no model; a side that has nothing is None."""

    day: date
    model: str
    item: str = ""
    metered: Side | None = None
    usage: Side | None = None
    billed: Side | None = None
    reported: bool = True  # whether there is a cost report of this day at all

    @property
    def gap_usd(self) -> Decimal | None:
        """Billed less metered, in USD: positive where more is billed. None where the day has no cost report."""
        if not self.reported:
            return None
        return _cost(self.billed) - _cost(self.metered)


def cause_of(line: Line, beside: Iterable[Line] = ()) -> Cause:
    """The likely cause of the gap of `line`; `beside` are the lines of the same model on the day before and after.

    The rules, the first that holds: no report; agreement within 1 % or a cent; what has no tokens; a report that came
    too early; calls without a price; the day beside it; tokens, where there is a usage report; what money alone tells.
    """
    gap = line.gap_usd
    if gap is None:
        return Cause.NO_REPORT
    metered, billed = line.metered or Side(), line.billed or Side()
    rules = (
        (Cause.AGREES, abs(gap) <= max(PENNY, ALIKE * abs(_cost(billed)))),
        (Cause.NOT_TOKENS, bool(line.item)),
        (Cause.NOT_FINAL, not billed.final),
        (Cause.UNPRICED, gap > 0 and metered.unpriced > 0),
        (Cause.DAY_BOUNDARY, any(_makes_up(gap, other.gap_usd) for other in beside)),
    )
    tokens = _by_money(metered, billed, gap) if line.usage is None else _by_tokens(metered, line.usage, gap)
    return _first((*rules, *tokens))


def _by_tokens(metered: Side, usage: Side, gap: Decimal) -> Rules:
    lost = _more(usage.tokens, metered.tokens)
    as_many_calls = not _more(usage.requests or 0, metered.requests or 0)
    return (
        (Cause.MISSING_USAGE, lost and metered.unmetered > 0 and as_many_calls),
        (Cause.NOT_METERED, lost),
        (Cause.NOT_BILLED, _more(metered.tokens, usage.tokens)),
        (Cause.CACHE_WRITES, _differ(usage.cache_write_tokens, metered.cache_write_tokens)),
        (Cause.CACHE_READS, _differ(usage.cached_tokens, metered.cached_tokens)),
        (Cause.DISCOUNT, gap < 0 and _more(usage.discounted_tokens or 0, metered.discounted_tokens or 0)),
        (Cause.PRICE, True),
    )


def _by_money(metered: Side, billed: Side, gap: Decimal) -> Rules:
    return (
        (Cause.NOT_METERED, gap > 0 and not metered.requests),
        (Cause.MISSING_USAGE, gap > 0 and metered.unmetered > 0),
        (Cause.DISCOUNT, gap < 0 and bool(billed.discounted_usd) and not metered.discounted_tokens),
        (Cause.NOT_BILLED, gap < 0 and not billed.cost_usd),
        (Cause.NO_USAGE, True),
    )


def _first(rules: Rules) -> Cause:
    return next(cause for cause, holds in rules if holds)


def _makes_up(gap: Decimal, other: Decimal | None) -> bool:
    return other is not None and gap * other < 0 and abs(gap + other) <= SHIFTED * min(abs(gap), abs(other))


def _more(one: int, other: int) -> bool:
    return one - other > ALIKE * max(one, other)


def _differ(one: int | None, other: int | None) -> bool:
    one, other = one or 0, other or 0
    return _more(one, other) or _more(other, one)


def _cost(side: Side | None) -> Decimal:
    return (side.cost_usd if side else None) or Decimal(0)
