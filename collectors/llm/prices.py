"""What a request costs: the door to the price file and the genai-prices catalogue, both effective-dated and offline."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path

from collectors.llm.pricing.book import UNKNOWN, Price, PriceBook
from collectors.llm.pricing.catalogue import provider_of, utc
from collectors.llm.pricing.rates import Tier
from collectors.llm.usage import Usage

__all__ = ["UNKNOWN", "Price", "label", "price", "provider_of", "use", "worst_case"]

_book = PriceBook()


def use(file: Path | None) -> None:
    """Look into the price file at `file` before the catalogue from now on, in this process; None: no file.

    The file is read once, here. Rows that are written already keep their cost.

    Raises:
        SettingsError: it cannot be read or holds what it should not; what was used before stays.
    """
    global _book  # noqa: PLW0603 - a price is asked for where no settings are at hand
    _book = PriceBook.of(file)


def price(
    *,
    provider: str,
    model: str,
    ts: datetime,
    usage: Usage,
    service_tier: str | None = None,
    batch: bool = False,
) -> Price:
    """The price of one request at the rates of its moment.

    Args:
        provider: as in the catalogue, e.g. `openai`; `azure` falls back to the makers of its models.
        model: a name or a dated snapshot of it.
        ts: when the request was sent; a naive time is UTC.
        usage: its token counts, and its searches.
        service_tier: the tier that served it (`flex`, `priority`), as the response says.
        batch: whether it was part of a batch.

    Returns:
        The exact cost and the version of the rates. `UNKNOWN` for a provider or model that nobody knows, for counts
        that contradict each other or are not reported, and for audio, cache writes for an hour and searches without a
        rate of their own. A tier or batch that nobody has a price for gets the standard rates, and the version says
        so. Never raises, never uses the network.

    >>> from datetime import UTC, datetime
    >>> day, million = datetime(2025, 7, 1, tzinfo=UTC), Usage(input_tokens=10**6, output_tokens=10**6)
    >>> price(provider="openai", model="o3", ts=day, usage=million).cost_usd == 10
    True
    >>> price(provider="openai", model="o3", ts=day, usage=million, service_tier="flex").version.partition(", ")[2]
    'standard rate'
    """
    try:
        return _book.price(provider, model, ts, usage, Tier.of(service_tier, batch=batch))
    except Exception:  # noqa: BLE001 - the catalogue is other people's code and data: whatever it does, a call must not fail
        return UNKNOWN


def worst_case(
    *,
    provider: str,
    model: str,
    ts: datetime,
    input_tokens: int,
    max_output_tokens: int,
    service_tier: str | None = None,
) -> Decimal | None:
    """The most that a request can cost (USD) with so many tokens; None where the model has no price.

    Each token is taken for the dearest kind it could turn out to be: written to a cache for an hour, audio. Searches by
    the server are not in it: nobody knows beforehand how many there will be. Never raises.

    >>> from datetime import UTC, datetime
    >>> day = datetime(2026, 11, 1, tzinfo=UTC)
    >>> at_most = worst_case(provider="openai", model="gpt-4o", ts=day, input_tokens=1000, max_output_tokens=1000)
    >>> at_most == Decimal("0.0125")
    True
    """
    try:
        found = _book.find(provider, model, utc(ts), Tier.of(service_tier))
        return None if found is None else found.rates.worst_case(input_tokens, max_output_tokens)
    except Exception:  # noqa: BLE001 - as above
        return None


def label(provider: str, *models: str | None) -> str | None:
    """The first of `models` that is known, by the catalogue's name of it or the price file's pattern; None: none is.

    There are only so many of these, whatever names requests ask for.

    >>> label("openai", "my-deployment", "gpt-4o-2024-08-06"), label("openai", "junk")
    ('gpt-4o', None)
    """
    try:
        named = (_book.label(provider, model) for model in models if model)
        return next((name for name in named if name is not None), None)
    except Exception:  # noqa: BLE001 - as above
        return None
