"""Where a collector's rows go: the `Sink` protocol, and the one that writes to the store and never raises."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import psycopg

from collectors.exposition import Health
from store.connect import connect
from store.errors import StoreError
from store.settings import Settings
from store.write import write

log = logging.getLogger(__name__)

Row = Sequence[object]
CAPACITY = 200_000  # rows kept while the database is away: about an hour of 1,000 queues every 15 s


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table, such as `metrics.rabbitmq_queues`; each row has a value for each of `columns`."""

    table: str
    columns: tuple[str, ...]
    rows: Sequence[Row]


class Sink(Protocol):
    """Takes batches of rows. Neither method raises: a source must go on whatever the sink meets."""

    def write(self, *batches: Batch) -> None: ...

    def close(self) -> None: ...


class StoreSink:
    """Writes to the store; keeps what it cannot write and tries again with the next batch. For one thread.

    Args:
        settings: names the database. It is connected to on the first write, and again after it went away.
        health: where written, buffered and dropped rows and failures are counted.
        capacity: rows that are kept while the database is away; beyond it the oldest are dropped and counted.
    """

    def __init__(self, settings: Settings, health: Health, *, capacity: int = CAPACITY) -> None:
        self._settings, self._health, self._capacity = settings, health, capacity
        self._waiting: deque[Batch] = deque()
        self._connection: psycopg.Connection | None = None
        self._away = False

    def write(self, *batches: Batch) -> None:
        """Write `batches`, in one attempt: a database that does not answer costs one time limit, not one a batch."""
        self._waiting.extend(batch for batch in batches if batch.rows)
        self.flush()

    def flush(self) -> bool:
        """Write what is waiting, oldest first. Returns whether nothing waits any more."""
        try:
            while self._waiting:
                self._write(self._waiting[0])
                self._waiting.popleft()
            self._came_back()
        except (psycopg.Error, StoreError, OSError) as error:
            self._went_away(error)
        self._drop_oldest()
        self._health.buffered(self._buffered())
        return not self._waiting

    def close(self) -> None:
        if not self.flush():
            log.warning("%d rows could not be written and are lost", self._buffered())
            self._health.dropped(self._buffered())
        self._disconnect()

    def _write(self, batch: Batch) -> None:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._settings)
        try:
            written = write(self._connection, batch.table, batch.columns, batch.rows)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            # One row that the database refuses must neither block the rest for ever nor take it along.
            self._connection.rollback()
            self._health.failed()
            if len(batch.rows) == 1:
                log.warning("%s refused a row: %s", batch.table, str(error).partition("\n")[0])
                self._health.dropped(1)
                return
            middle = len(batch.rows) // 2
            self._write(Batch(batch.table, batch.columns, batch.rows[:middle]))
            self._write(Batch(batch.table, batch.columns, batch.rows[middle:]))
        else:
            self._health.wrote(batch.table, written.written)

    def _came_back(self) -> None:
        if self._away:
            log.warning("the database is back")
            self._away = False

    def _went_away(self, error: Exception) -> None:
        self._health.failed()
        self._disconnect()
        if not self._away:
            log.warning("rows are kept in memory until the database is back: %s", str(error).partition("\n")[0])
            self._away = True

    def _drop_oldest(self) -> None:
        while len(self._waiting) > 1 and self._buffered() > self._capacity:
            self._health.dropped(len(self._waiting.popleft().rows))

    def _buffered(self) -> int:
        return sum(len(batch.rows) for batch in self._waiting)

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None
