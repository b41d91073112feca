"""Dead letters: rows that the store refused, kept in files until somebody has put right what was wrong.

A file holds one JSON object a line: when, table, columns, row and reason. Values that JSON does not have are written
as `{"$": type, "v": text}`, so that what is tried again is what was refused.
"""

from __future__ import annotations

import base64
import fcntl
import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import psycopg

from store.errors import GaugebookError
from store.settings import Settings
from store.write import Precedence, Rejected, Written, write

log = logging.getLogger(__name__)

LIMIT_BYTES = 100 * 2**20  # of all files together
FILES = 10  # that share the limit: the oldest of them goes when it is passed
BATCH_ROWS = 1000  # rows that are tried again in one transaction


@dataclass(frozen=True)
class Letter:
    """A refused row: when it came (UTC), where it should go, and why it did not."""

    at: datetime
    table: str
    columns: tuple[str, ...]
    row: Sequence[object]
    reason: str


class DeadLetters:
    """A folder of refused rows. Any number of processes may use it at once.

    Args:
        folder: made when it is first needed, for its owner alone.
        limit_bytes: of all files together. Beyond it the oldest file is dropped; its rows are logged and counted.

    Attributes:
        dropped: rows that this object has dropped.
    """

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder, self.limit_bytes = folder, limit_bytes
        self.dropped = 0

    @classmethod
    def of(cls, settings: Settings) -> DeadLetters:
        return cls(settings.dead_letters or settings.home / "dead-letters")

    def keep(self, table: str, columns: Sequence[str], rejected: Sequence[Rejected]) -> None:
        """Keep rejected rows of `table`; when it returns they are on disk.

        Raises:
            OSError: they cannot be written.
        """
        if not rejected:
            return
        now = datetime.now(UTC)
        lines = b"".join(_line(Letter(now, table, tuple(columns), each.row, each.reason)) for each in rejected)
        with self._locked("lock"):
            files = self._files()
            last = files[-1] if files else None
            if last is None or last.stat().st_size > self.limit_bytes // FILES or not last.name.startswith(f"{now:%F}"):
                last = self._next_file(now)
            with last.open("ab+") as file:
                if file.tell() and _last_byte(file) != b"\n":  # torn by a process that was killed
                    file.write(b"\n")
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            self._sync_folder()
            self._drop_oldest()

    def letters(self) -> Iterator[Letter]:
        """What waits, oldest first."""
        for file in self._files():
            yield from _read(file)

    def replay(self, connection: psycopg.Connection, *, precedence: Precedence | None = None) -> Written:
        """Try all again: what is written or is a duplicate leaves the files; the rest stays, with the new reason.

        A second replay at the same time waits for the first. Rows that are refused meanwhile wait for the next.

        Raises:
            psycopg.OperationalError: the database is away; whatever was not yet tried still waits.
        """
        outcome = Written()
        with self._locked("replay.lock"):
            with self._locked("lock"):
                files = self._files()
                if files:
                    self._next_file(datetime.now(UTC))  # what is kept from now on goes there
            for file in files:
                left: list[Letter] = []
                for (table, columns), group in groupby(_read(file), key=lambda letter: (letter.table, letter.columns)):
                    letters = [*group]
                    for start in range(0, len(letters), BATCH_ROWS):
                        batch = letters[start : start + BATCH_ROWS]
                        tried = _try(connection, table, columns, batch, precedence)
                        outcome += tried
                        reasons = {id(each.row): each.reason for each in tried.rejected}
                        left += [replace(x, reason=reasons[id(x.row)]) for x in batch if id(x.row) in reasons]
                with self._locked("lock"):
                    if file.exists():  # it may have been dropped
                        self._rewrite(file, left)
            with self._locked("lock"):
                for file in self._files():
                    if not file.stat().st_size:
                        file.unlink()
        return outcome

    def _rewrite(self, file: Path, letters: Iterable[Letter]) -> None:
        lines = b"".join(map(_line, letters))
        if not lines:
            file.unlink()
        else:
            new = file.with_suffix(".new")
            with _private(new) as out:
                out.write(lines)
                out.flush()
                os.fsync(out.fileno())
            new.replace(file)
        self._sync_folder()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl"))

    def _next_file(self, now: datetime) -> Path:
        # Numbered after the last, also when the clock was set back: the order of the names is the order of the rows.
        files = self._files()
        day = max(f"{now:%F}", files[-1].name[:10]) if files else f"{now:%F}"
        number = int(files[-1].stem[11:]) + 1 if files and files[-1].name.startswith(day) else 1
        file = self.folder / f"{day}-{number:06d}.jsonl"
        file.touch(mode=0o600)
        return file

    def _drop_oldest(self) -> None:
        files = [(file, file.stat().st_size) for file in self._files()]
        total = sum(size for _, size in files)
        for file, size in files[:-1]:
            if total <= self.limit_bytes:
                break
            lost = sum(1 for _ in _read(file))
            file.unlink()
            total -= size
            self.dropped += lost
            log.error(
                "%s: %d refused rows are dropped, since over %d bytes wait; `gaugebook db replay`",
                file,
                lost,
                self.limit_bytes,
            )

    def _sync_folder(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _private(self.folder / name) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def reasons(letters: Iterable[Letter]) -> Counter[tuple[str, str]]:
    """How many rows wait by table and reason; reasons that differ in a value alone are one."""
    return Counter((letter.table, _without_value(letter.reason)) for letter in letters)


def encode(value: object) -> Any:
    """A value as `json` can write it; `decode` gives it back, of the same type.

    >>> encode(Decimal("1.50"))
    {'$': 'decimal', 'v': '1.50'}
    """
    if _native(value):
        return value
    if type(value) is list:
        return [encode(item) for item in value]
    if type(value) is dict:
        if "$" not in value and all(type(key) is str and _native(key) for key in value):
            return {key: encode(item) for key, item in value.items()}
        return {"$": "dict", "v": [[encode(key), encode(item)] for key, item in value.items()]}
    for name, (kind, write_down, _) in _KINDS.items():
        if type(value) is kind:
            return {"$": name, "v": write_down(value)}
    return {"$": "repr", "v": repr(value)}  # of a type that no column takes: kept for people


def _native(value: object) -> bool:
    if type(value) is float:
        return isfinite(value)
    if type(value) is int:
        return abs(value) < 2**63  # json would refuse 4,301 digits
    if type(value) is str:
        return value.isascii() or not any("\ud800" <= mark <= "\udfff" for mark in value)  # json would join two halves
    return value is None or type(value) is bool


def decode(value: Any) -> Any:
    """What `encode` was given."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$" not in value:
        return {key: decode(item) for key, item in value.items()}
    name, text = value["$"], value["v"]
    if name == "dict":
        return {decode(key): decode(item) for key, item in text}
    return _KINDS[name][2](text) if name in _KINDS else text


_KINDS: dict[str, tuple[type, Any, Any]] = {
    "text": (
        str,
        lambda text: base64.b64encode(text.encode(errors="surrogatepass")).decode(),
        lambda data: base64.b64decode(data).decode(errors="surrogatepass"),
    ),
    "float": (float, repr, float),
    "int": (int, hex, lambda text: int(text, 16)),
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time_of_day, time_of_day.isoformat, time_of_day.fromisoformat),
    "timedelta": (
        timedelta,
        lambda span: [span.days, span.seconds, span.microseconds],
        lambda parts: timedelta(*parts),
    ),
    "decimal": (Decimal, str, Decimal),
    "uuid": (UUID, str, UUID),
    "bytes": (bytes, lambda data: base64.b64encode(data).decode(), base64.b64decode),
    "tuple": (tuple, lambda items: [encode(item) for item in items], lambda items: tuple(map(decode, items))),
}


def _line(letter: Letter) -> bytes:
    fields = {
        "at": letter.at.isoformat(),
        "table": letter.table,
        "columns": letter.columns,
        "row": [encode(value) for value in letter.row],
        "reason": letter.reason,
    }
    return json.dumps(fields).encode() + b"\n"


def _read(file: Path) -> Iterator[Letter]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                fields = json.loads(line)
                row = tuple(decode(value) for value in fields["row"])
                at, columns = datetime.fromisoformat(fields["at"]), tuple(fields["columns"])
                letter = Letter(at, fields["table"], columns, row, fields["reason"])
            except (ValueError, KeyError, TypeError, ArithmeticError):
                # Never acknowledged: whoever wrote it was killed over it, and its row comes again.
                log.warning("%s, line %d is torn and is left out", file, number)
            else:
                yield letter


def _try(
    connection: psycopg.Connection,
    table: str,
    columns: tuple[str, ...],
    letters: Sequence[Letter],
    precedence: Precedence | None,
) -> Written:
    try:
        return write(connection, table, columns, [letter.row for letter in letters], precedence=precedence)
    except (GaugebookError, psycopg.ProgrammingError) as error:  # no such table or column, or it may not be written to
        reason = str(error).partition("\n")[0]
        return Written(rejected=tuple(Rejected(letter.row, reason) for letter in letters))


def _without_value(reason: str) -> str:
    column, equals, rest = reason.partition(" = ")
    return f"{column}: {rest.rpartition(': ')[2]}" if equals else reason


def _last_byte(file: Any) -> bytes:
    file.seek(-1, os.SEEK_END)
    last: bytes = file.read(1)
    return last


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
