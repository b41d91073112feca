"""What the comments of a named query say: what it is for, which parameters it takes, and how a text becomes one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from math import isfinite
from uuid import UUID

from store.errors import ParameterInvalid
from store.files import sql_folder
from store.queries import Query, named

PARAMETER = re.compile(r"^((?::\w+(?:,\s*)?)+)\s+([a-z0-9]+(?:\[\])?)\s*(.*)$")


@dataclass(frozen=True)
class Parameter:
    """A parameter as the comments declare it."""

    name: str
    type: str
    meaning: str

    @property
    def optional(self) -> bool:
        """Whether it may be left out: its comment says what null means."""
        return "null:" in self.meaning


@dataclass(frozen=True)
class Declared:
    """A named query and what its comments say."""

    query: Query
    purpose: str
    parameters: tuple[Parameter, ...]

    @property
    def reads(self) -> bool:
        """Whether it only reads."""
        code = re.sub(r"--[^\n]*", "", self.query.text)
        writes = re.search(r"^\s*(INSERT|UPDATE|DELETE)\b", code, re.MULTILINE)  # within a WITH, too
        return code.split()[0].upper() in ("SELECT", "WITH") and not writes

    def values(self, given: Mapping[str, str]) -> dict[str, object]:
        """Every parameter from the texts that are `given`, None for what may be left out.

        Raises:
            ParameterInvalid: one is missing, not known, or not of its type.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        left_out = {parameter.name: None for parameter in self.parameters if parameter.optional}
        self.query.check({**left_out, **given})
        return {**left_out, **{name: value(known[name], text) for name, text in given.items()}}


def declared(name: str) -> Declared:
    """The named query with what its comments say.

    Raises:
        UnknownName: there is none.
    """
    query = named(name)
    lines = takewhile(lambda line: line.startswith("--"), query.text.splitlines())
    comments = [line.removeprefix("--").strip() for line in lines]
    found: dict[str, Parameter] = {}
    for line in comments:
        if match := PARAMETER.match(line):
            names, type_, meaning = match.groups()
            for each in re.findall(r"\w+", names):
                found[each] = Parameter(each, type_, meaning.strip())
    parameters = (found.get(each, Parameter(each, "text", "")) for each in query.parameters)
    return Declared(query, comments[0] if comments else "", tuple(parameters))


def readable() -> tuple[Declared, ...]:
    """All named queries that only read, by name."""
    names = sorted(path.stem for path in (sql_folder() / "queries").glob("*.sql"))
    return tuple(query for query in map(declared, names) if query.reads)


def value(parameter: Parameter, text: str) -> object:
    """The text as the type that the parameter is declared with; arrays are written with commas.

    Raises:
        ParameterInvalid: it is not one.

    >>> value(Parameter("by", "text[]", ""), "model, team")
    ['model', 'team']
    >>> value(Parameter("since", "timestamptz", ""), "2026-05-01")
    datetime.datetime(2026, 5, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    element = parameter.type.removesuffix("[]")
    if element not in TYPES:
        raise ParameterInvalid(parameter.name, f"is of type {parameter.type}, which cannot be given as text")
    convert, expected = TYPES[element]
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    try:
        return [convert(part) for part in parts] if parameter.type.endswith("[]") else convert(text)
    except (ValueError, OverflowError):
        many = " with commas between them" if parameter.type.endswith("[]") else ""
        raise ParameterInvalid(parameter.name, f"expected {expected}{many}, got {text!r}") from None


def pairs(given: Iterable[str]) -> dict[str, str]:
    """`name=value` as a mapping.

    Raises:
        ParameterInvalid: one has no equals sign or no name, or comes twice.
    """
    found: dict[str, str] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals or not name.strip():
            raise ParameterInvalid(each, "expected name=value")
        if name.strip() in found:
            raise ParameterInvalid(name.strip(), "is given twice")
        found[name.strip()] = text
    return found


def _moment(text: str) -> datetime:
    parsed = datetime.fromisoformat(text.strip())
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError
    return text


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError
    return number


def _truth(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in ("true", "false"):
        raise ValueError
    return lowered == "true"


TYPES: dict[str, tuple[Callable[[str], object], str]] = {
    "text": (_text, "text"),
    "timestamptz": (_moment, "a time such as 2026-05-01T12:00Z (without a zone: UTC)"),
    "int": (int, "a whole number"),
    "bigint": (int, "a whole number"),
    "float8": (_number, "a number"),
    "uuid": (UUID, "a uuid"),
    "boolean": (_truth, "true or false"),
}
