"""The price book: the user's price file before the catalogue, and what each price is called."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from collectors.llm.pricing import catalogue
from collectors.llm.pricing.pricefile import Entry, PriceFile, read
from collectors.llm.pricing.rates import Priced, Tier
from collectors.llm.usage import Usage

_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Price:
    """A cost in US dollars and where its rates are from; both None when the price is not known."""

    cost_usd: Decimal | None
    version: str | None


UNKNOWN = Price(None, None)


class PriceBook:
    """Chooses the rates of a request.

    >>> from datetime import UTC
    >>> found = PriceBook().find("openai", "o3", datetime(2025, 7, 1, tzinfo=UTC), Tier())
    >>> found.version.startswith("genai-prices"), str(found.rates.quotes["input"].base)
    (True, '2')
    """

    def __init__(self, file: PriceFile | None = None) -> None:
        self.file = file
        self._fitting: dict[tuple[str, str], list[tuple[str, Entry]]] = {}
        self._priced: dict[Hashable, Priced | None] = {}

    @classmethod
    def of(cls, path: Path | None) -> PriceBook:
        """A book with the price file at `path`; None: the catalogue alone.

        Raises:
            SettingsError: the file cannot be read or holds what it should not.
        """
        return cls(None if path is None else read(path))

    def price(self, provider: str, model: str, ts: datetime, usage: Usage, tier: Tier) -> Price:
        """What a request costs; `UNKNOWN` where that is not known."""
        found = self.find(provider, model, catalogue.utc(ts), tier)
        if found is None:
            return UNKNOWN
        cost = found.rates.cost(usage)
        return UNKNOWN if cost is None else Price(cost, found.version)

    def find(self, provider: str, model: str, ts: datetime, tier: Tier) -> Priced | None:
        """The rates of a model at `ts` (UTC); None where neither the file nor the catalogue has any."""
        if self.file is not None:
            for name, entry in self._entries(provider, model):
                if entry.holds(ts.date()):
                    return self._by_entry(name, entry, catalogue.priced(provider, model, ts, tier), tier)
        return catalogue.priced(provider, model, ts, tier)

    def label(self, provider: str, model: str) -> str | None:
        """The name under which a model may become a label: the file's pattern, else the catalogue's name of it."""
        if self.file is not None:
            for _, entry in self._entries(provider, model):
                if entry.rates:
                    return entry.model
        found = catalogue.find(provider, model)
        return None if found is None else str(found.info.id)

    def _by_entry(self, name: str, entry: Entry, listed: Priced | None, tier: Tier) -> Priced | None:
        key = (name, tier) if entry.rates else (name, listed)
        try:
            return self._priced[key]
        except KeyError:
            assert self.file is not None
            version = f"{self.file.version}, {name}"
            priced = None
            if entry.rates:
                rates, complete = entry.of(tier)
                priced = Priced(rates, version if complete else f"{version}, {catalogue.NOT_PRICED}")
            elif listed is not None:
                priced = Priced(listed.rates.less(entry.discount), f"{version}, {listed.version}")
            if len(self._priced) >= _REMEMBERED:
                self._priced.clear()
            self._priced[key] = priced
            return priced

    def _entries(self, provider: str, model: str) -> list[tuple[str, Entry]]:
        key = (provider, model)
        fitting = self._fitting.get(key)
        if fitting is None:
            assert self.file is not None
            fitting = self.file.fitting(provider, model)
            if len(self._fitting) >= _REMEMBERED:
                self._fitting.clear()
            self._fitting[key] = fitting
        return fitting
