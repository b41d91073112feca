"""Writes rows in the background: the caller hands one over and is never kept waiting."""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf

import psycopg

from collectors.llm.metrics import Metrics
from collectors.llm.record import COLUMNS, TABLE, Request
from store.connect import connect
from store.migrate import migrate
from store.settings import Settings
from store.write import write

log = logging.getLogger(__name__)

CAPACITY = 10_000  # rows that wait for the database
BATCH_ROWS = 500
BATCH_S = 1.0
EXIT_S = 3.0
FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 30.0
_ROW_IS_BAD = (psycopg.DataError, psycopg.IntegrityError, UnicodeError, ValueError, TypeError, OverflowError)

Finish = Callable[[], Request]


class Writer:
    """A bounded queue and the daemon thread that empties it into `metrics.llm_requests`.

    What is handed over is a function that finishes the row (looks up its price): no call waits for that either.
    Nothing here raises into the caller; rows that cannot be kept are counted in `llm_dropped_rows_total`.
    A forked child starts with an empty queue, counters at zero, and a thread and a connection of its own.

    Args:
        settings: names the database.
        capacity: rows that wait in the queue, and again in memory while the database is away.
        batch_rows, batch_s: a batch is written when it has this many rows or its first one is this old (s).
    """

    def __init__(
        self, settings: Settings, *, capacity: int = CAPACITY, batch_rows: int = BATCH_ROWS, batch_s: float = BATCH_S
    ) -> None:
        self._settings = settings
        self._capacity, self._batch_rows, self._batch_s = capacity, batch_rows, batch_s
        self._inherited: list[object] = []
        self._closed = False
        self._reset()
        _follow_forks(self)
        atexit.register(self.close)

    def submit(self, finish: Finish) -> None:
        """Hand over a row; returns at once."""
        if self._closed:
            self.metrics.dropped.labels("closed").inc()
        elif self._queue.qsize() >= self._capacity:
            self.metrics.dropped.labels("queue_full").inc()
        else:
            self._queue.put(finish)
            if self._thread is None:
                self._start()

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until every row handed over so far is written or dropped; False when `timeout_s` passes first."""
        if self._thread is None or not self._thread.is_alive():
            return self._queue.empty()
        done = threading.Event()
        self._queue.put(done)
        return done.wait(timeout_s)

    def close(self, timeout_s: float = EXIT_S) -> None:
        """Write what is left, for at most `timeout_s`, and stop."""
        atexit.unregister(self.close)
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout_s)

    def _reset(self) -> None:
        # A simple queue may be used from __del__, which can run at any moment in any thread.
        self._queue: queue.SimpleQueue[Finish | threading.Event | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._connection: psycopg.Connection | None = None
        self._away = False
        self.metrics = Metrics()
        self.written = 0

    def _after_fork(self) -> None:
        # The parent goes on using this connection; collected here, it would be ended there.
        self._inherited.append(self._connection)
        self._reset()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="gaugebook-llm-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        rows: list[Request] = []
        flushes: list[threading.Event] = []
        due, retry_at, retry_s = inf, 0.0, FIRST_RETRY_S
        closing = False
        while not closing:
            try:
                item = self._queue.get(timeout=None if due == inf else max(0.0, due - time.monotonic()))
            except queue.Empty:
                pass
            else:
                if item is None:
                    closing = True
                elif isinstance(item, threading.Event):
                    flushes.append(item)
                    due = time.monotonic()
                else:
                    self._take(item, rows)
                    wait_s = 0.0 if len(rows) >= self._batch_rows else self._batch_s
                    due = min(due, max(time.monotonic() + wait_s, retry_at))
            if not closing and time.monotonic() < due:
                continue
            if self._keep(rows):
                rows.clear()
                for flush in flushes:
                    flush.set()
                flushes.clear()
                due, retry_at, retry_s = inf, 0.0, FIRST_RETRY_S
            else:
                due = retry_at = time.monotonic() + retry_s
                retry_s = min(2 * retry_s, LONGEST_RETRY_S)
        self.metrics.dropped.labels("closed").inc(len(rows))
        self._disconnect()

    def _take(self, finish: Finish, rows: list[Request]) -> None:
        try:
            request = finish()
            self.metrics.observe(request)
        except Exception:
            log.debug("a request could not be metered", exc_info=True)
            self.metrics.failures.inc()
            return
        if len(rows) < self._capacity:
            rows.append(request)
        else:
            self.metrics.dropped.labels("queue_full").inc()

    def _keep(self, rows: Sequence[Request]) -> bool:
        """Write `rows`; False when the database is away, or not ready, and they have to wait."""
        try:
            self._write([row.values() for row in rows])
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live
            self._disconnect()
            self.metrics.write_failures.inc()
            if not self._away:
                log.warning("LLM rows are kept in memory until the database is back: %s", str(error).partition("\n")[0])
            self._away = True
            return False
        self._away = False
        return True

    def _write(self, rows: Sequence[Sequence[object]]) -> None:
        if not rows:
            return
        if self._connection is None:
            if self._settings.dsn is None:
                migrate(self._settings)  # the embedded database is ours alone, and may be new
            self._connection = connect(self._settings)
        try:
            new = write(self._connection, TABLE, COLUMNS, rows).written
            self._connection.commit()
        except _ROW_IS_BAD as error:
            # One row that the database refuses must neither block the rest for ever nor take it along.
            self._connection.rollback()
            if len(rows) == 1:
                log.warning("%s refused a row: %s", TABLE, type(error).__name__)
                self.metrics.dropped.labels("refused").inc()
                return
            self._write(rows[: len(rows) // 2])
            self._write(rows[len(rows) // 2 :])
        else:
            self.written += new
            self.metrics.written.inc(new)

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()
_following = threading.Event()


def _follow_forks(writer: Writer) -> None:
    _writers.add(writer)
    if not _following.is_set():
        _following.set()
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for writer in list(_writers):
        writer._after_fork()
