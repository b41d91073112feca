"""Where a collector's rows go: the `Sink` protocol, and the one that spools them to disk and delivers them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from collectors import forks
from store.backlog import Backlog, Memory, open_backlog
from store.deliver import LINGER_S, Delivery
from store.errors import SpoolError
from store.settings import Settings
from store.tally import Tally

log = logging.getLogger(__name__)

Row = Sequence[object]
CAPACITY = 100_000  # rows kept in memory where there is no disk for them: half an hour of 1,000 queues every 15 s
EXIT_S = 5.0

_inherited: list[Delivery] = []  # of the parent, who goes on using their connections; collected, they would be ended


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
    """Keeps rows in the spool of this process, from where they are delivered to the store in the background.

    `write` waits for the disk as the setting `spool_fsync` says, and never for the database. A forked child has a spool
    and a delivery of its own, from its first row on.

    Args:
        settings: names the database and the spool.
        tally: is told what becomes of the rows, and can ask what waits.
        collector: names the spool; what earlier processes of that name have left is delivered too.
        capacity: rows that are kept in memory where no spool can be made.
        linger_s: seconds that a row waits for others to be delivered with, at most.
    """

    def __init__(
        self,
        settings: Settings,
        tally: Tally,
        collector: str,
        *,
        capacity: int = CAPACITY,
        linger_s: float = LINGER_S,
    ) -> None:
        self._settings, self._tally, self._collector = settings, tally, collector
        self._capacity, self._linger_s = capacity, linger_s
        self._opening = threading.Lock()
        self._failing = self._closed = False
        self._opened: tuple[Backlog, Delivery] | None = None
        self._open()
        forks.follow(self)

    def write(self, *batches: Batch) -> None:
        """Acknowledge `batches`; rows that cannot be kept are counted, and told in the log when that begins."""
        for batch in batches:
            try:
                self._open()[0].append(batch.table, batch.columns, batch.rows)
            except SpoolError as error:
                self._tally.dropped(len(batch.rows), "disk")
                if not self._failing:
                    log.warning("rows are dropped: %s", error)
                self._failing = True
            else:
                if self._failing and batch.rows:
                    log.warning("rows are kept again")
                    self._failing = False

    def flush(self, timeout_s: float) -> bool:
        """Wait until all rows so far are delivered; False when `timeout_s` passes first."""
        return self._opened is None or self._opened[1].flush(timeout_s)

    def close(self, timeout_s: float = EXIT_S) -> None:
        """Deliver what can be delivered within `timeout_s`; the rest stays in the spool. No row is taken afterwards."""
        if self._closed or self._opened is None:
            return
        self._closed = True
        backlog, delivery = self._opened
        left = delivery.close(timeout_s)
        if left and isinstance(backlog, Memory):
            log.warning("%d rows could not be written and are lost", left)
        elif left:
            log.warning("%d rows wait in %s and will be delivered at the next start", left, backlog.where)

    def after_fork(self) -> None:
        self._opening = threading.Lock()
        opened, self._opened = self._opened, None
        if opened is not None:
            opened[0].abandon()
            _inherited.append(opened[1])

    def _open(self) -> tuple[Backlog, Delivery]:
        with self._opening:
            if self._opened is None:
                backlog = open_backlog(self._settings, self._collector, self._tally, capacity=self._capacity)
                self._tally.watch(backlog.waiting)
                self._opened = backlog, Delivery(self._settings, backlog, self._tally, linger_s=self._linger_s)
            return self._opened
