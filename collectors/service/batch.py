"""A body of rows, read row by row: what is accepted, what was sent before, and what is refused and why."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json

from collectors.service.rows import Kind, Sent
from collectors.web.refusal import malformed, too_many

JSON, LINES = "application/json", "application/x-ndjson"
CONTENT_TYPES = (JSON, LINES, "application/jsonl")
MOST_ROWS = 10_000
REMEMBERED = 100_000  # keys, to say of a row that it was sent before: about 10 MB

Key = tuple[object, ...]


class RowAnswer(BaseModel):
    """A row that is not simply accepted; `row` counts from 0."""

    row: int
    outcome: Literal["duplicate", "rejected"]
    field: str | None = None
    reason: str | None = None


class Answer(BaseModel):
    """What became of a batch. Accepted rows are on disk; `rows` names those that are not accepted."""

    accepted: int
    duplicate: int
    rejected: int
    rows: list[RowAnswer]


@dataclass
class Batch:
    """Rows in the order of their table's columns, their keys, and what is to be said of the others."""

    rows: list[tuple[object, ...]] = field(default_factory=list)
    keys: set[Key] = field(default_factory=set)
    others: list[RowAnswer] = field(default_factory=list)

    def answer(self) -> Answer:
        duplicate = sum(other.outcome == "duplicate" for other in self.others)
        accepted = len(self.rows) - duplicate
        return Answer(accepted=accepted, duplicate=duplicate, rejected=len(self.others) - duplicate, rows=self.others)


class Sender:
    """Who sends: the teams whose rows it may send; none: those of every team."""

    def __init__(self, teams: Sequence[str] = ()) -> None:
        self.teams = tuple(teams)

    def owner(self, team: str | None) -> str | None:
        """The team that a row is booked on; none: that of nobody in particular.

        Raises:
            ValueError: it is none of the sender's.
        """
        if not self.teams:
            return team
        if team is None and len(self.teams) == 1:
            return self.teams[0]
        if team is None:
            raise ValueError(f"is needed: this key may send rows of {', '.join(self.teams)}")
        if team not in self.teams:
            raise ValueError(f"is none of this key's, which are {', '.join(self.teams)}")
        return team


class Recent:
    """The keys of the rows that were kept lately, to answer by: that a row is stored once the database sees to."""

    def __init__(self, capacity: int = REMEMBERED) -> None:
        self._capacity = capacity
        self._keys: OrderedDict[int, None] = OrderedDict()

    def holds(self, table: str, key: Key) -> bool:
        return hash((table, key)) in self._keys

    def add(self, table: str, keys: Iterable[Key]) -> None:
        for key in keys:
            self._keys[hash((table, key))] = None
        while len(self._keys) > self._capacity:
            self._keys.popitem(last=False)


class Reader:
    """Reads bodies of one kind of row."""

    def __init__(self, kind: Kind, recent: Recent) -> None:
        self.kind, self._recent = kind, recent
        self._adapter: TypeAdapter[Sent] = TypeAdapter(kind.model)

    def read(self, body: bytes, content_type: str, sender: Sender, here: Container[Key] = ()) -> Batch:
        """The rows of `body`; `here` are the keys of those that are kept with it.

        Raises:
            Refusal: it is no JSON, or has more than `MOST_ROWS` rows.
        """
        batch = Batch()
        for index, given in enumerate(_given(body, content_type)):
            if index == MOST_ROWS:
                raise too_many(MOST_ROWS, "rows")
            try:
                row = self._row(given, sender)
            except _Wrong as wrong:
                batch.others.append(RowAnswer(row=index, outcome="rejected", field=wrong.field, reason=wrong.reason))
                continue
            key = tuple(row[name] for name in self.kind.key)
            if key in here or key in batch.keys or self._recent.holds(self.kind.table, key):
                batch.others.append(RowAnswer(row=index, outcome="duplicate"))
            batch.keys.add(key)
            batch.rows.append(tuple(row.values()))
        return batch

    def _row(self, given: object, sender: Sender) -> dict[str, Any]:
        if isinstance(given, _Broken):
            raise _Wrong(None, given.reason)
        try:
            row = dict(self._adapter.validate_python(given).__dict__)
        except ValidationError as error:
            raise _Wrong(*self._why(error)) from None
        if self.kind.has_team:
            try:
                row["team"] = sender.owner(row["team"])
            except ValueError as error:
                raise _Wrong("team", str(error)) from None
        self.kind.finish(row)
        return row

    def _why(self, error: ValidationError) -> tuple[str | None, str]:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(map(str, first["loc"])) or None
        match first["type"]:
            case "extra_forbidden":
                close = get_close_matches(name or "", self.kind.columns, n=1)
                return name, f"is no field; did you mean {close[0]}?" if close else "is no field of these rows"
            case "missing":
                return name, "is needed"
            case "model_type" | "model_attributes_type":
                return None, "the row is no object"
        return name, first["msg"].removeprefix("Value error, ")


class _Wrong(Exception):
    """Why a row is rejected."""

    def __init__(self, name: str | None, reason: str) -> None:
        super().__init__(name, reason)
        self.field, self.reason = name, reason


@dataclass(frozen=True)
class _Broken:
    """A line that is no JSON."""

    reason: str


def _given(body: bytes, content_type: str) -> Iterator[object]:
    if content_type == JSON:
        try:
            found = from_json(body, allow_inf_nan=False)
        except ValueError as error:
            raise malformed(f"the body is no JSON: {error}") from None
        yield from found if isinstance(found, list) else [found]
        return
    for line in body.split(b"\n"):
        if line.strip():
            try:
                yield from_json(line, allow_inf_nan=False)
            except ValueError as error:
                yield _Broken(f"the line is no JSON: {error}")
