"""What a request costs: the genai-prices catalogue, offline and effective-dated."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

_REMEMBERED = 20_000  # (provider, model, tier, day): a year of 50 models
_COUNTED = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class Price:
    """A cost in US dollars and the catalogue it is from; both None when the price is not known."""

    cost_usd: Decimal | None
    version: str | None


UNKNOWN = Price(None, None)


def price(
    *,
    provider: str,
    model: str,
    ts: datetime,
    input_tokens: int,
    output_tokens: int,
    cached_tokens: int = 0,
    cache_write_tokens: int = 0,
    service_tier: str | None = None,
) -> Price:
    """The price of one request at the list price of its day.

    Args:
        provider: as in the catalogue, e.g. `openai`; `azure` falls back to the makers of its models.
        model: a name or a dated snapshot of it.
        ts: when the request was sent; a naive time is UTC.
        input_tokens: prompt tokens, those read from and written to a cache included.
        output_tokens: generated tokens, reasoning included.
        cached_tokens: the part of `input_tokens` that was read from a cache.
        cache_write_tokens: the part of `input_tokens` that was written to a cache.
        service_tier: the tier that served it (`flex`, `priority`), as the response says.

    Returns:
        What genai-prices itself answers; `Price(None, None)` for a provider or model it does not know, a model
        without a price per token, or counts that contradict each other. Never raises, never uses the network.
        A tier that the catalogue has no price for gets the standard one.

    >>> from datetime import UTC, datetime
    >>> day = datetime(2025, 7, 1, tzinfo=UTC)
    >>> price(provider="openai", model="o3", ts=day, input_tokens=10**6, output_tokens=10**6).cost_usd
    Decimal('10.0')
    """
    try:
        rates = _rates(provider, model, service_tier, ts)
        if rates is None:
            return UNKNOWN
        cost = rates.cost(input_tokens, cached_tokens, cache_write_tokens, output_tokens)
        return UNKNOWN if cost is None else Price(cost, _version())
    except Exception:  # noqa: BLE001 - the catalogue is other people's code and data: whatever it does, a call must not fail
        return UNKNOWN


def provider_of(url: str) -> str | None:
    """The catalogue's name of the provider that serves `url` (without its query), or None."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        return str(get_snapshot().find_provider(None, None, url).id)
    except LookupError:
        return None


@dataclass(frozen=True, slots=True)
class _Rate:
    """The price of `per` tokens of one kind, of which there are counts[of] - sum(counts[less])."""

    of: int
    less: tuple[int, ...]
    per: int
    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...]  # (above this many input tokens, price), highest first


class _Rates:
    """The prices of one model at one moment, ready to multiply."""

    def __init__(self, prices: ModelPrice) -> None:
        from genai_prices.types import TieredPrices
        from genai_prices.units import _get_registry

        registry = _get_registry()
        units = {name: registry.units[name] for name in _COUNTED}
        priced: dict[str, Any] = {}
        others = []
        for key, value in prices.__dict__.items():
            if value is None or key.startswith("_"):
                continue
            unit = registry.unit_for_price_key(key)
            if unit.usage_key in units:
                priced[unit.usage_key] = value
            else:
                others.append(unit)
        # A unit above ours, or one that every request pays, needs the catalogue's own arithmetic.
        above = any(other.dimensions.items() <= unit.dimensions.items() for other in others for unit in units.values())
        self._slow = prices if above or any(other.usage_key == "requests" for other in others) else None
        self.priced = bool(priced) or self._slow is not None
        self._rates: list[_Rate] = []
        for name, value in priced.items():
            below = [n for n in priced if n != name and units[name].dimensions.items() <= units[n].dimensions.items()]
            tiered = isinstance(value, TieredPrices)
            self._rates.append(
                _Rate(
                    of=_COUNTED.index(name),
                    less=tuple(_COUNTED.index(n) for n in below),
                    per=units[name].per,
                    base=value.base if tiered else value,
                    tiers=tuple((tier.start, tier.price) for tier in reversed(value.tiers)) if tiered else (),
                )
            )

    def cost(self, *counts: int) -> Decimal | None:
        if any(isinstance(count, bool) or count < 0 for count in counts):
            return None
        if self._slow is not None:
            return self._by_catalogue(counts)
        total = Decimal(0)
        for rate in self._rates:
            count = counts[rate.of]
            for index in rate.less:
                count -= counts[index]
            if count < 0:
                return None  # more tokens from the cache than tokens in all
            each = rate.base
            for start, tier_price in rate.tiers:
                if counts[0] > start:
                    each = tier_price
                    break
            total += each * count / rate.per
        return total

    def _by_catalogue(self, counts: tuple[int, ...]) -> Decimal | None:
        from genai_prices import Usage

        assert self._slow is not None
        return self._slow.calc_price(Usage(**dict(zip(_COUNTED, counts, strict=True))))["total_price"]


_remembered: dict[Hashable, _Rates | None] = {}
_remembering = threading.Lock()


def _rates(provider: str, model: str, tier: str | None, ts: datetime) -> _Rates | None:
    ts = ts.astimezone(UTC) if ts.tzinfo is not None else ts.replace(tzinfo=UTC)
    found = _find(provider, model)
    if found is None:
        return None
    info, by_the_clock, tiers_apply = found
    moment: Hashable = tuple(active(ts) for active in by_the_clock)
    key = (provider, model, tier, ts.date(), moment)
    try:
        return _remembered[key]
    except KeyError:
        pass
    rates = _Rates(info.get_prices(ts, {"service_tier": tier} if tier and tiers_apply else None))
    answer = rates if rates.priced else None
    with _remembering:
        if len(_remembered) >= _REMEMBERED:
            _remembered.clear()
        _remembered[key] = answer
    return answer


_found: dict[tuple[str, str], tuple[ModelInfo, tuple[Any, ...], bool] | None] = {}


def _find(provider: str, model: str) -> tuple[ModelInfo, tuple[Any, ...], bool] | None:
    """The catalogue's entry, those of its conditions that depend on the time of day, and whether tiers apply to it."""
    key = (provider, model)
    try:
        return _found[key]
    except KeyError:
        pass
    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    answer = None
    try:
        owner, info = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        pass
    else:
        conditions = [] if isinstance(info.prices, ModelPrice) else [entry.constraint for entry in info.prices]
        conditions += [variant.constraint for variant in info.price_variants or ()]
        clocks = tuple(condition.active for condition in conditions if isinstance(condition, TimeOfDateConstraint))
        answer = info, clocks, any(info is own for own in owner.models)
    with _remembering:
        if len(_found) >= _REMEMBERED:
            _found.clear()
        _found[key] = answer
    return answer


@cache
def _version() -> str:
    from genai_prices import __version__

    return f"genai-prices {__version__}"
