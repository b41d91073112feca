"""Where rows wait for their delivery: the protocol, and the poor one in memory for hosts without a disk to write to."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from store.errors import SpoolError
from store.packing import Rows
from store.settings import Settings
from store.spool import Record, Spool
from store.spool_folder import Place
from store.tally import Tally, Waiting

log = logging.getLogger(__name__)


class Backlog(Protocol):
    """A log of records, appended to by many threads and read by one. `changed` is notified of all that happens."""

    changed: threading.Condition

    @property
    def where(self) -> str: ...

    def append(self, table: str, columns: Sequence[str], rows: Rows) -> None: ...

    def read(self) -> Record | None: ...

    def empty(self) -> bool: ...

    def acknowledge(self, record: Record) -> None: ...

    def rewind(self) -> None: ...

    def mark(self) -> Place: ...

    def delivered(self, mark: Place) -> bool: ...

    def waiting(self) -> Waiting: ...

    def close(self) -> None: ...

    def abandon(self) -> None: ...


class Memory:
    """At most `capacity` rows in memory, lost with the process; when it is full, the oldest make room."""

    def __init__(self, capacity: int, tally: Tally) -> None:
        self._capacity, self._tally = capacity, tally
        self.changed = threading.Condition()
        self._unread: deque[Record] = deque()
        self._taken: deque[Record] = deque()
        self._number = 0
        self._closed = False

    @property
    def where(self) -> str:
        return "memory"

    def append(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Keep `rows` until they are delivered, or dropped to make room."""
        with self.changed:
            if self._closed:
                raise SpoolError(self.where, "is closed")
            if rows:
                start, end = Place(0, self._number), Place(0, self._number + 1)
                self._number += 1
                self._unread.append(Record(table, tuple(columns), rows, start, end, time.time(), 0))
            self._make_room()
            self.changed.notify_all()

    def read(self) -> Record | None:
        with self.changed:
            if not self._unread:
                return None
            self._taken.append(self._unread.popleft())
            return self._taken[-1]

    def empty(self) -> bool:
        with self.changed:
            return not self._unread

    def acknowledge(self, record: Record) -> None:
        with self.changed:
            while self._taken and self._taken[0].start <= record.start:
                self._taken.popleft()
            self.changed.notify_all()

    def rewind(self) -> None:
        with self.changed:
            self._unread.extendleft(reversed(self._taken))
            self._taken.clear()
            self._make_room()

    def mark(self) -> Place:
        with self.changed:
            return Place(0, self._number)

    def delivered(self, mark: Place) -> bool:
        first = (self._taken or self._unread or [None])[0]
        return first is None or first.start >= mark

    def waiting(self) -> Waiting:
        with self.changed:
            first = (self._taken or self._unread or [None])[0]
            age_s = max(0.0, time.time() - first.at_s) if first else 0.0
            return Waiting(self._rows(), 0, age_s)

    def close(self) -> None:
        """Forget what waits, and count it."""
        with self.changed:
            self._closed = True
            lost = self._rows()
            self._unread.clear()
            self._taken.clear()
        if lost:
            self._tally.dropped(lost, "closed")

    def abandon(self) -> None:
        """Nothing of it is shared with the parent."""

    def _make_room(self) -> None:
        lost = 0
        while len(self._unread) > 1 and self._rows() > self._capacity:
            lost += len(self._unread.popleft().rows)
        if lost:
            self._tally.dropped(lost, "memory_full")

    def _rows(self) -> int:
        return sum(len(record.rows) for record in (*self._taken, *self._unread))


def open_backlog(settings: Settings, collector: str, tally: Tally, *, capacity: int) -> Backlog:
    """The spool of this process; where it cannot be used, at most `capacity` rows in memory, with a warning."""
    try:
        return Spool(
            settings.spool or settings.home / "spool",
            collector,
            limit_bytes=settings.spool_mb << 20,
            fsync=settings.spool_fsync,
            tally=tally,
        )
    except SpoolError as error:
        log.warning("%s; at most %d rows are kept in memory meanwhile, and are lost with the process", error, capacity)
        return Memory(capacity, tally)
