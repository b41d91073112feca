"""The user's own price file (TOML): its entries win over the catalogue, the first that fits first."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from collectors.llm.pricing.rates import FEES, KINDS, Quote, Rates, Tier
from store.errors import SettingsError

SETTING = "llm_prices"
TOKENS = tuple(kind for kind in KINDS if kind not in FEES)


def _day(value: object) -> object:
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError("should be a date such as 2026-01-31")  # noqa: TRY004 - pydantic passes on no other
    return value


Day = Annotated[date, BeforeValidator(_day)]
Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class PerMillion(_Part):
    """Rates in USD for a million tokens, by kind."""

    input: Usd | None = None
    cached: Usd | None = None
    cache_write: Usd | None = None
    cache_write_1h: Usd | None = None
    input_audio: Usd | None = None
    cached_audio: Usd | None = None
    output: Usd | None = None
    reasoning: Usd | None = None
    output_audio: Usd | None = None


class Variant(_Part):
    """What a tier or a batch costs where it differs."""

    usd_per_million: PerMillion = PerMillion()
    usd_per_request: Usd | None = None
    usd_per_search: Usd | None = None

    def quotes(self) -> dict[str, Quote]:
        """The quotes by kind; fees by the thousand, as in the catalogue."""
        given: dict[str, Decimal | None] = self.usd_per_million.model_dump()
        given["request"] = None if self.usd_per_request is None else 1000 * self.usd_per_request
        given["search"] = None if self.usd_per_search is None else 1000 * self.usd_per_search
        return {kind: Quote(rate) for kind, rate in given.items() if rate is not None}


class Entry(Variant):
    """One entry: which requests it is for, and what they cost; without rates, its discount is on the catalogue's."""

    model: str = Field(min_length=1)
    provider: str = Field("*", min_length=1)
    name: str | None = Field(None, min_length=1, max_length=60)
    since: Day | None = Field(None, alias="from")
    until: Day | None = Field(None, alias="to")
    discount: Annotated[Decimal, Field(ge=0, lt=1)] = Decimal(0)
    batch: Variant | None = None
    tier: dict[str, Variant] = {}

    @cached_property
    def rates(self) -> dict[str, Quote]:
        """Its own rates by kind, before the discount."""
        return self.quotes()

    def of(self, tier: Tier) -> tuple[Rates, bool]:
        """What it costs in a tier; False: it has no price for that, and these are the standard rates."""
        asked = [self.batch] if tier.batch else []
        asked += [self.tier.get(tier.name)] if tier.name else []
        rates = dict(self.rates)
        for variant in asked:
            rates |= variant.quotes() if variant else {}
        return Rates(rates).less(self.discount), None not in asked

    def fits(self, provider: str, model: str) -> bool:
        """Whether it is for this model, whatever the day. Patterns (`*`, `?`, `[...]`) do not look at case."""
        return fnmatchcase(model.lower(), self.model.lower()) and fnmatchcase(provider.lower(), self.provider.lower())

    def holds(self, day: date) -> bool:
        """Whether it holds on a day (UTC): from `from` on, until the day before `to`."""
        return (self.since is None or day >= self.since) and (self.until is None or day < self.until)


@dataclass(frozen=True)
class PriceFile:
    """A price file as it was read. `version`: its name and the first 8 digits of its SHA-256."""

    version: str
    entries: tuple[Entry, ...]

    def fitting(self, provider: str, model: str) -> list[tuple[str, Entry]]:
        """The entries for this model in the order of the file, with what each is called."""
        return [(called(n, entry), entry) for n, entry in enumerate(self.entries, 1) if entry.fits(provider, model)]


def called(number: int, entry: Entry) -> str:
    """What an entry is called in a price version: its name, or its number in the file."""
    return entry.name or f"entry {number}"


def read(path: Path) -> PriceFile:
    """Read a price file.

    Raises:
        SettingsError: it cannot be read; names the file, the entry, the key, and what is wrong with it.
    """
    try:
        raw = path.read_bytes()
        content = tomllib.loads(raw.decode(), parse_float=Decimal)
    except OSError as error:
        raise SettingsError(SETTING, str(path), f"cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(SETTING, str(path), f"is not TOML: {error}") from None
    listed = content.pop("price", None)
    if content:
        raise SettingsError(SETTING, str(path), f"key {next(iter(content))!r}: it holds [[price]] entries alone")
    if not isinstance(listed, list) or not listed:
        raise SettingsError(SETTING, str(path), "has no [[price]] entry")
    entries = tuple(_entry(path, number, each) for number, each in enumerate(listed, 1))
    names = [called(number, entry) for number, entry in enumerate(entries, 1)]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(SETTING, str(path), f"two entries have the name {name!r}: a price version names one")
    return PriceFile(f"{path.name} {hashlib.sha256(raw).hexdigest()[:8]}", entries)


def _entry(path: Path, number: int, given: Any) -> Entry:
    named = f" ({given['name']})" if isinstance(given, dict) and isinstance(given.get("name"), str) else ""
    where = f"entry {number}{named}"
    try:
        entry = Entry.model_validate(_exact(given))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SettingsError(SETTING, str(path), f"{where}, key {key!r}: {_reason(first)}") from None
    if problem := _problem(entry):
        raise SettingsError(SETTING, str(path), f"{where}, key {problem[0]!r}: {problem[1]}")
    return entry


def _exact(value: Any) -> Any:
    """Whole numbers as decimals: TOML tells 3 from 3.0, a price does not."""
    if isinstance(value, Mapping):
        return {key: _exact(each) for key, each in value.items()}
    return Decimal(value) if type(value) is int else value


def _reason(first: Any) -> str:
    kind = first["type"]
    if kind == "missing":
        return "is missing"
    if kind != "extra_forbidden":
        return str(first["msg"]).removeprefix("Value error, ")
    key, above = str(first["loc"][-1]), [str(part) for part in first["loc"][:-1]]
    if above and above[-1] == "usd_per_million":
        there: tuple[str, ...] = TOKENS
    elif above:
        there = ("usd_per_million", "usd_per_request", "usd_per_search")
    else:
        there = tuple(field.alias or name for name, field in Entry.model_fields.items())
    close = get_close_matches(key, there, n=1)
    return f"is not a key; did you mean {close[0]!r}?" if close else f"is not a key; there are {', '.join(there)}"


def _problem(entry: Entry) -> tuple[str, str] | None:
    """What is wrong with an entry whose keys are right: the key and the reason."""
    tiers = {f"tier.{name}": variant for name, variant in entry.tier.items()}
    variants = tiers | ({"batch": entry.batch} if entry.batch is not None else {})
    if entry.since and entry.until and entry.since >= entry.until:
        return "to", f"{entry.until} is not after from = {entry.since}"
    if entry.rates:
        return _mismatch(entry.rates, variants)
    if not entry.discount:
        return "usd_per_million", "is missing, and so is a discount on the catalogue's price"
    return next(((key, "needs the standard rates in the entry itself: usd_per_million") for key in variants), None)


def _mismatch(rates: Mapping[str, Quote], variants: Mapping[str, Variant]) -> tuple[str, str] | None:
    """A rate that does not go with the others."""
    if not {"input", "output", "request"} & set(rates):
        return "usd_per_million", "needs input or output, or usd_per_request beside it"
    needs = {kind: whole for kind in rates for whole in KINDS[kind][0][-1:]}
    if "cached_audio" in rates:
        needs["cached_audio"] = "input_audio"
    if "cached" in rates and "input_audio" in rates:
        needs["input_audio"] = "cached_audio"  # else audio from the cache would be both
    for kind, other in needs.items():
        if other not in rates:
            return f"usd_per_million.{kind}", f"needs a rate for {other} beside it"
    differing = ((key, kind) for key, variant in variants.items() for kind in variant.quotes() if kind not in rates)
    return next(((key, f"has a rate for {kind}, and the entry itself has none") for key, kind in differing), None)
