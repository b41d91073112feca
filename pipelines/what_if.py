"""What the requests of a span would have cost on another model: their tokens, at its rates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg.rows import dict_row

from collectors.llm.pricing.book import PriceBook
from collectors.llm.pricing.catalogue import NOT_PRICED
from collectors.llm.pricing.rates import Priced, Tier, counted
from store.connect import connect
from store.queries import named
from store.settings import Settings

_PARTS = ("cached", "cache_write", "cache_write_1h", "input_audio", "cached_audio", "reasoning", "output_audio")
_KINDS = ("input", "output", *_PARTS, "search")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Target:
    """What the requests are moved to; `at`: with the prices of that day, None: of each request's own."""

    provider: str
    model: str
    tier: Tier
    at: date | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The requests to move: those of `since` to `until` (half-open, UTC days); None: whoever's, and whichever.

    `model` may have the wildcards `*` and `?`.
    """

    since: date
    until: date
    provider: str | None = None
    model: str | None = None
    team: str | None = None
    project: str | None = None


@dataclass(slots=True)
class Compared:
    """One model that was used, beside the target.

    `requests` and tokens are those that could be moved; `cost_usd`, what they did cost, of `priced` requests alone.
    `unmetered` requests have no usage, and `unpriced` ones tokens that the target has no rate for; both are in no sum.
    `inexact` requests are known by their day alone.
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    priced: int = 0
    cost_usd: Decimal = Decimal(0)
    would_cost_usd: Decimal = Decimal(0)
    unmetered: int = 0
    unpriced: int = 0
    inexact: int = 0

    def add(self, other: Compared) -> None:
        """Add up two."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Answer:
    """By provider and model that was used; `versions` of the prices that the target has had."""

    used: dict[tuple[str, str], Compared] = field(default_factory=dict)
    versions: set[str] = field(default_factory=set)

    @property
    def total(self) -> Compared:
        """The sum of all."""
        total = Compared()
        for each in self.used.values():
            total.add(each)
        return total

    @property
    def standard(self) -> bool:
        """Whether a tier was asked for that nobody has a price for."""
        return any(version.endswith(NOT_PRICED) for version in self.versions)


def compare(
    settings: Settings, book: PriceBook, target: Target, chosen: Chosen, progress: Progress | None = None
) -> Answer:
    """Work it out, a day at a time.

    The cost is exact, request by request, for days whose raw rows are kept: their tokens are summed up by what decides
    the rate. Of other days only the sum is known, and each request is taken for one of mean size.
    """
    answer = Answer()
    classes = _classes(book, target, chosen)
    parameters = {
        "sizes": [size + 1 for size in classes],
        "provider": chosen.provider,
        "model": None if chosen.model is None else _like(chosen.model),
        "team": chosen.team,
        "project": chosen.project,
    }
    days = (chosen.until - chosen.since).days
    with connect(settings, autocommit=True) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        for done, (since, until) in enumerate(_days(chosen), 1):
            rows = cursor.execute(named("prices_whatif").sql, {**parameters, "since": since, "until": until})
            for row in rows:
                _add(answer, book, target, classes, row)
            if progress:
                progress(done, days)
    return answer


def _add(answer: Answer, book: PriceBook, target: Target, classes: tuple[int, ...], row: dict[str, Any]) -> None:
    compared = answer.used.setdefault((row["provider"], row["model"]), Compared())
    requests = row["requests"]
    if not row["metered"]:
        compared.unmetered += requests
        return
    found = book.find(target.provider, target.model, _moment(target, row["at"]), target.tier)
    cost = _cost(found, classes, row)
    if found is None or cost is None:
        compared.unpriced += requests
        return
    answer.versions.add(found.version)
    inexact = 0 if row["exact"] else requests
    compared.add(Compared(requests, row["input"], row["output"], row["priced"], row["cost_usd"], cost, inexact=inexact))


def _cost(found: Priced | None, classes: tuple[int, ...], row: dict[str, Any]) -> Decimal | None:
    if found is None or row["unclear"]:
        return None
    counts = counted(**{kind: row[kind] for kind in _KINDS})
    if row["exact"]:
        size = classes[row["size_class"] - 1] + 1 if row["size_class"] else 0
    else:
        size = row["input"] // row["requests"] if row["requests"] > 0 else 0
    return found.rates.sum(counts, size=size, requests=max(0, row["requests"]))


def _classes(book: PriceBook, target: Target, chosen: Chosen) -> tuple[int, ...]:
    """Every size at which a rate of the target changes, on any day."""
    sizes: set[int] = set()
    days = [target.at] if target.at else [since.date() for since, _ in _days(chosen)]
    for day in days:
        for hour in range(24):
            moment = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
            found = book.find(target.provider, target.model, moment, target.tier)
            sizes.update(found.rates.sizes if found else ())
    return tuple(sorted(sizes))


def _moment(target: Target, at: datetime) -> datetime:
    """When the target's price is looked up: the day may be another, the time of day is the request's own."""
    return at if target.at is None else at.replace(year=target.at.year, month=target.at.month, day=target.at.day)


def _days(chosen: Chosen) -> Iterator[tuple[datetime, datetime]]:
    since = datetime(chosen.since.year, chosen.since.month, chosen.since.day, tzinfo=UTC)
    for number in range((chosen.until - chosen.since).days):
        yield since + timedelta(days=number), since + timedelta(days=number + 1)


def _like(pattern: str) -> str:
    r"""A pattern with * and ? as SQL's LIKE has it.

    >>> print(_like("gpt_4*"))
    gpt\_4%
    """
    for special in ("\\", "%", "_"):
        pattern = pattern.replace(special, "\\" + special)
    return pattern.replace("*", "%").replace("?", "_")
