"""All rates of a model as lines of a list: those of the price file, then those of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from collectors.llm.pricing import catalogue
from collectors.llm.pricing.book import PriceBook
from collectors.llm.pricing.pricefile import Entry
from collectors.llm.pricing.rates import Quote

# Kinds in the order in which a reader looks for them, and their headings.
NAMES = {
    "input": "input",
    "cached": "cached",
    "cache_write": "cache write",
    "cache_write_1h": "write 1 h",
    "output": "output",
    "reasoning": "reasoning",
    "input_audio": "audio in",
    "cached_audio": "audio cached",
    "output_audio": "audio out",
    "search": "1,000 searches",
    "request": "1,000 requests",
}


@dataclass(frozen=True, slots=True)
class Line:
    """Rates by kind (USD for a million tokens, a thousand searches or requests), and when they hold (half-open, UTC).

    `above`: of requests of more than so many input tokens; `hours`: of the day, None: all.
    """

    source: str
    model: str
    label: str
    since: date | None
    until: date | None
    hours: str | None
    above: int
    rates: Mapping[str, Decimal]

    def holds(self, day: date) -> bool:
        """Whether it holds on a day, at some hour."""
        return (self.since is None or day >= self.since) and (self.until is None or day < self.until)


def lines(book: PriceBook, provider: str, model: str) -> list[Line]:
    """Every price that the book has for a model; empty where it has none."""
    own: list[Line] = []
    if book.file is not None:
        for name, entry in book.file.fitting(provider, model):
            own += _of_entry(f"{book.file.version}, {name}", entry)
    found = catalogue.find(provider, model)
    return [*own, *(_of_catalogue(found) if found else ())]


def _of_entry(source: str, entry: Entry) -> Iterator[Line]:
    off = f", -{entry.discount * 100:f} %".replace(".00 %", " %") if entry.discount else ""
    if not entry.rates:
        yield Line(source, entry.model, f"the catalogue's{off}", entry.since, entry.until, None, 0, {})
        return
    variants = {"standard": entry, **({"batch": entry.batch} if entry.batch else {}), **entry.tier}
    for label, variant in variants.items():
        quotes = {kind: quote.less(entry.discount) for kind, quote in variant.quotes().items()}
        line = Line(source, entry.model, f"{label}{off}", entry.since, entry.until, None, 0, {})
        yield from _by_size(line, quotes)


def _of_catalogue(found: catalogue.Model) -> Iterator[Line]:
    listed = catalogue.listed(found)
    for each in listed:
        later = [
            other.since
            for other in listed
            if (other.label, other.hours) == (each.label, each.hours)
            and other.since
            and other.since > (each.since or date.min)
        ]
        hours = "{:%H:%M}-{:%H:%M}".format(*each.hours) if each.hours else None
        line = Line(catalogue.version(), found.info.id, each.label, each.since, min(later, default=None), hours, 0, {})
        yield from _by_size(line, catalogue.read(each.prices).quotes)


def _by_size(line: Line, quotes: Mapping[str, Quote]) -> Iterable[Line]:
    sizes = sorted({0, *(size for quote in quotes.values() for size, _ in quote.above)})
    for size in sizes:
        yield replace(line, above=size, rates={kind: quote.at(size + 1) for kind, quote in quotes.items()})
