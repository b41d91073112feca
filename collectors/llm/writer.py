"""Takes rows from the calls and spools them in the background: the caller hands one over and is never kept waiting."""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable

from collectors import forks
from collectors.llm.metrics import BudgetLeft, Metrics
from collectors.llm.otlp_push import Push
from collectors.llm.record import COLUMNS, TABLE, Request
from collectors.sink import Batch, StoreSink
from store.settings import Settings

log = logging.getLogger(__name__)

COLLECTOR = "llm"
CAPACITY = 10_000
BATCH_ROWS = 500
BATCH_S = 0.1
EXIT_S = 3.0

Finish = Callable[[], Request]
Standing = Callable[[], Iterable[BudgetLeft]]


class Writer:
    """A bounded queue and the daemon thread that empties it into a `StoreSink`.

    What is handed over is a function that finishes the row (looks up its price): no call waits for that either.
    Nothing here raises into the caller; rows that cannot be kept are counted in `llm_dropped_rows_total`.
    A forked child starts with an empty queue, counters at zero, and a thread, a spool and a connection of its own.

    Args:
        settings: names the database and the spool.
        capacity: rows that wait in the queue, and again in memory where no spool can be made.
        batch_rows, batch_s: rows are spooled when there are this many or the first one is this old (s).
        standing: tells how the budgets stand, for the metrics.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        capacity: int = CAPACITY,
        batch_rows: int = BATCH_ROWS,
        batch_s: float = BATCH_S,
        standing: Standing | None = None,
    ) -> None:
        self._settings, self._standing = settings, standing
        self._capacity, self._batch_rows, self._batch_s = capacity, batch_rows, batch_s
        self._closed = False
        self.observers: list[Callable[[Request], None]] = []
        self.after_fork()
        forks.follow(self)
        atexit.register(self.close)

    @property
    def written(self) -> int:
        """Rows that this process has written to the database."""
        return self.metrics.rows_written

    def submit(self, finish: Finish) -> bool:
        """Hand over a row; returns at once, False where it is dropped."""
        if self._closed:
            self.metrics.dropped(1, "closed")
        elif self._queue.qsize() >= self._capacity:
            self.metrics.dropped(1, "queue_full")
        else:
            self._queue.put(finish)
            if self._thread is None:
                self._start()
            return True
        return False

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until every row handed over so far is written or given up; False when `timeout_s` passes first."""
        end = time.monotonic() + timeout_s
        if self._thread is None or not self._thread.is_alive():
            return self._queue.empty()
        spooled = threading.Event()
        self._queue.put(spooled)
        self._hurry.set()
        return spooled.wait(timeout_s) and (self._sink is None or self._sink.flush(max(0.0, end - time.monotonic())))

    def close(self, timeout_s: float = EXIT_S) -> None:
        """Write what is left, for at most `timeout_s`, and stop; what is not written by then waits in the spool."""
        atexit.unregister(self.close)
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            end = time.monotonic() + timeout_s
            self._queue.put(None)
            self._hurry.set()
            self._thread.join(timeout_s)
            if self._sink is not None:
                self._sink.close(max(0.0, end - time.monotonic()))
            if self.metrics.push is not None:
                self.metrics.push.close(max(0.0, end - time.monotonic()))

    def after_fork(self) -> None:
        # A simple queue may be used from __del__, which can run at any moment in any thread.
        self._queue: queue.SimpleQueue[Finish | threading.Event | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._sink: StoreSink | None = None
        self.metrics = Metrics(Push.of(self._settings))
        if self._standing is not None:
            self.metrics.watch_budgets(self._standing)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="gaugebook-llm-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            rows: list[Request] = []
            spooled: list[threading.Event] = []
            goes_on = self._gather(rows, spooled)
            try:
                if self._sink is None:
                    self._sink = StoreSink(self._settings, self.metrics, COLLECTOR, capacity=self._capacity)
                self._sink.write(Batch(TABLE, COLUMNS, [row.values() for row in rows]))
            except Exception:  # whatever it is, the thread must live
                log.warning("%d LLM rows could not be kept", len(rows), exc_info=True)
                self.metrics.dropped(len(rows), "disk")
            for event in spooled:
                event.set()

    def _gather(self, rows: list[Request], spooled: list[threading.Event]) -> bool:
        """Take rows from the queue when it is time to spool them; False where they are the last."""
        item = self._queue.get()
        if item is not None and not isinstance(item, threading.Event):
            # To wait for each row would wake this thread for each call, in the middle of the application's work.
            self._hurry.wait(self._batch_s)
            self._hurry.clear()
        while item is not None:
            if isinstance(item, threading.Event):
                spooled.append(item)
                return True
            self._finish(item, rows)
            if len(rows) >= self._batch_rows:
                return True
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return True
        return False

    def _finish(self, finish: Finish, rows: list[Request]) -> None:
        try:
            request = finish()
            self.metrics.observe(request)
            for observe in self.observers:
                observe(request)
        except Exception:
            log.debug("a request could not be metered", exc_info=True)
            self.metrics.failures.inc()
        else:
            rows.append(request)
