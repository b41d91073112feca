"""The genai-prices catalogue, offline and effective-dated, read into our rates."""

from __future__ import annotations

import re
import threading
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from collectors.llm.pricing.rates import Priced, Quote, Rates, Tier

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, PriceVariant, Provider

_REMEMBERED = 20_000  # (provider, model, tier, day): a year of 50 models

PRICE_KEYS = {
    "input_mtok": "input",
    "cache_read_mtok": "cached",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "input_audio",
    "cache_audio_read_mtok": "cached_audio",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "output_audio",
    "web_searches_kcount": "search",
    "requests_kcount": "request",
}
BATCH = {"processing": "batch"}
NOT_PRICED = "standard rate"  # in a version: nobody has a price for the tier, and this is the standard one


@dataclass(frozen=True, slots=True)
class Model:
    """A model that the catalogue knows. `clocks`: conditions that depend on the time of day."""

    info: ModelInfo
    clocks: tuple[Any, ...]
    variants: tuple[PriceVariant, ...]

    def rates(self, ts: datetime, tier: Tier) -> tuple[Rates, bool]:
        """The rates at `ts` (UTC-aware); False: the catalogue has no price for this tier, these are the standard ones.

        genai-prices itself answers a context that it does not know with the standard price and says nothing.
        """
        active = [v.when for v in self.variants if v.constraint is None or v.constraint.active(ts)]
        context: dict[str, str] = {}
        complete = True
        for names in _contexts(tier):
            found = next((name for name in names if name in active), None)
            context |= found or {}
            complete = complete and found is not None
        return read(self.info.get_prices(ts, context or None)), complete


def _contexts(tier: Tier) -> Iterator[tuple[dict[str, str], ...]]:
    """What the catalogue may call each part of a tier."""
    if tier.batch:
        yield (BATCH,)
    if tier.name:
        yield {"service_tier": tier.name}, {"speed": tier.name}


_found: dict[tuple[str, str], Model | None] = {}
_priced: dict[Hashable, Priced | None] = {}
_remembering = threading.Lock()


def priced(provider: str, model: str, ts: datetime, tier: Tier) -> Priced | None:
    """The rates at `ts` (UTC-aware), remembered; None where there are none for this model of this provider."""
    found = find(provider, model)
    if found is None:
        return None
    moment = tuple(active(ts) for active in found.clocks) if found.clocks else ()
    key = (provider, model, tier.name, tier.batch, ts.date(), moment)
    try:
        return _priced[key]
    except KeyError:
        rates, complete = found.rates(ts, tier)
        answer = Priced(rates, version() if complete else f"{version()}, {NOT_PRICED}") if rates else None
        _remember(_priced, key, answer)
        return answer


def find(provider: str, model: str) -> Model | None:
    """The model of this name, or a dated snapshot of it; `azure` falls back to the makers of its models."""
    key = (provider, model)
    try:
        return _found[key]
    except KeyError:
        answer = _find(provider, model)
        _remember(_found, key, answer)
        return answer


def _find(provider: str, model: str) -> Model | None:
    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    everybody = get_snapshot().providers
    owner = _owner(provider)
    if provider.lower() == "litellm":  # names the real one in front of the model, or leaves it to the model's name
        prefix, slash, rest = model.partition("/")
        owner = _owner(prefix) if slash else None
        model = rest if owner else model
        owner = owner or _maker(model)
    info = None if owner is None else owner.find_model(model.lower(), all_providers=everybody)
    if owner is None or info is None:
        return None
    own = any(info is each for each in owner.models)  # tiers are the owner's: Azure does not sell OpenAI's
    variants = tuple(info.price_variants or ()) if own else ()
    conditions = [] if isinstance(info.prices, ModelPrice) else [entry.constraint for entry in info.prices]
    conditions += [variant.constraint for variant in variants]
    clocks = tuple(condition.active for condition in conditions if isinstance(condition, TimeOfDateConstraint))
    return Model(info, clocks, variants)


def providers(model: str) -> list[str]:
    """The providers that have this model: first its maker, as far as its name tells, then the others by name."""
    from genai_prices.data_snapshot import get_snapshot

    having = sorted(owner.id for owner in get_snapshot().providers if owner.find_model(model.lower()))
    maker = _maker(model)
    return sorted(having, key=lambda name: maker is None or name != maker.id)


def names(provider: str) -> list[str]:
    """The models of a provider that the catalogue knows; none where it does not know the provider."""
    owner = _owner(provider)
    return [] if owner is None else sorted(model.id for model in owner.models)


def _owner(provider: str) -> Provider | None:
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

    # Not the snapshot's own look-up, which keeps every name that it is ever asked for.
    return find_provider_by_id(get_snapshot().providers, provider)


def _maker(model: str) -> Provider | None:
    """Whose model this is, by its name."""
    from genai_prices.data_snapshot import get_snapshot

    everybody = get_snapshot().providers
    return next((each for each in everybody if each.model_match and each.model_match.is_match(model.lower())), None)


def every_name() -> list[str]:
    """All models that the catalogue knows, of whichever provider."""
    from genai_prices.data_snapshot import get_snapshot

    return sorted({model.id for owner in get_snapshot().providers for model in owner.models})


def provider_of(url: str) -> str | None:
    """The catalogue's name of the provider that serves `url` (without its query), or None."""
    from genai_prices.data_snapshot import get_snapshot

    owners: list[Provider] = get_snapshot().providers
    return next((owner.id for owner in owners if re.match(owner.api_pattern, url)), None)


@cache
def version() -> str:
    """The catalogue and its release."""
    from genai_prices import __version__

    return f"genai-prices {__version__}"


def read(prices: ModelPrice) -> Rates:
    """The catalogue's prices as our rates; fees for tools that no usage counts (file search, code) are left out."""
    quotes, hidden = {}, []
    for key, value in prices.__dict__.items():
        if value is None:
            continue
        kind = PRICE_KEYS.get(key)
        if kind:
            quotes[kind] = quote(value)
        elif key.endswith("_mtok"):
            hidden.append(("output" if key.startswith("output") else "input", quote(value)))
    return Rates(quotes, hidden)


def quote(value: Any) -> Quote:
    """One price of the catalogue, which may depend on the size of the request."""
    if isinstance(value, Decimal):
        return Quote(value)
    return Quote(value.base, tuple((tier.start, tier.price) for tier in value.tiers))


@dataclass(frozen=True, slots=True)
class Listed:
    """A price as the catalogue lists it: `label` is standard, or the tier; `hours` of the day and `since` in UTC."""

    label: str
    since: date | None
    hours: tuple[time, time] | None
    prices: ModelPrice


def listed(model: Model) -> list[Listed]:
    """All prices of a model, the oldest first, then those of its tiers."""
    from genai_prices.types import ModelPrice

    info = model.info
    entries: list[tuple[Any, ModelPrice]]
    if isinstance(info.prices, ModelPrice):
        entries = [(None, info.prices)]
    else:
        entries = [(entry.constraint, entry.prices) for entry in info.prices]
    labelled = [("standard", condition, prices) for condition, prices in entries]
    labelled += [(", ".join(v.when.values()), v.constraint, v.prices) for v in model.variants if v.prices.__dict__]
    return [
        Listed(
            label,
            getattr(condition, "start_date", None),
            (condition.start_time, condition.end_time) if hasattr(condition, "start_time") else None,
            prices,
        )
        for label, condition, prices in labelled
    ]


def utc(ts: datetime) -> datetime:
    """`ts` in UTC; a naive time is UTC."""
    if ts.tzinfo is UTC:
        return ts
    return ts.astimezone(UTC) if ts.tzinfo is not None else ts.replace(tzinfo=UTC)


def _remember(memory: dict[Any, Any], key: Hashable, answer: object) -> None:
    with _remembering:
        if len(memory) >= _REMEMBERED:
            memory.clear()
        memory[key] = answer
