"""Runs a source at an interval, without drift, until it is told to stop."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import Protocol

from collectors.exposition import Health
from collectors.sink import Batch, Sink
from store.errors import SourceError

log = logging.getLogger(__name__)

MAX_BACKOFF_S = 60.0


class Source(Protocol):
    """A system that can be sampled."""

    def collect(self) -> Sequence[Batch]:
        """Take one sample. Raises SourceError when the system does not answer as it should."""
        ...


@contextmanager
def until_signalled() -> Iterator[Event]:
    """An event that SIGINT and SIGTERM set, in the main thread; the former handlers come back afterwards."""
    stop = Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    former = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class Periodic:
    """Calls `task` in a thread of its own at most every `every_s` seconds; what it raises is logged."""

    def __init__(self, task: Callable[[], None], every_s: float) -> None:
        self._task, self._every_s = task, every_s
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="periodic")
        self._running: Future[None] | None = None
        self._last = time.monotonic()

    def tick(self) -> None:
        due = time.monotonic() - self._last >= self._every_s
        if due and (self._running is None or self._running.done()):
            self._last = time.monotonic()
            self._running = self._pool.submit(self._call)

    def close(self) -> None:
        self._pool.shutdown()
        self._call()

    def _call(self) -> None:
        try:
            self._task()
        except Exception as error:  # noqa: BLE001 - a thread that dies in silence would leave the rollups to rot
            log.warning("%s failed: %s", getattr(self._task, "__name__", "task"), str(error).partition("\n")[0])


def run(
    source: Source,
    sink: Sink,
    health: Health,
    stop: Event,
    *,
    interval_s: float,
    refresh: Callable[[], None] | None = None,
    refresh_every_s: float = 60.0,
) -> None:
    """Sample `source` every `interval_s` seconds into `sink` until `stop` is set, then flush.

    Samples are due at start + n x interval, however long each takes; those that a slow one overran are left out and
    counted. While the source is away the time to the next try doubles, up to a minute, or the interval if that is more.
    `refresh` (the rollups) is called in the background every `refresh_every_s` seconds, and once at the end.
    """
    periodic = Periodic(refresh, refresh_every_s) if refresh else None
    start, slot, failures = time.monotonic(), 0, 0
    try:
        while not stop.is_set():
            began = time.monotonic()
            try:
                batches = source.collect()
            except SourceError:  # the source has logged it: it knows whether it is news
                failures += 1
                health.source_failed()
            else:
                failures = 0
                health.succeeded(time.monotonic() - began)
                sink.write(*batches)
            if periodic:
                periodic.tick()
            wait_s = backoff_s(interval_s, failures)
            elapsed = time.monotonic() - start
            due = max(slot + max(1, round(wait_s / interval_s)), int(elapsed / interval_s) + 1)
            if not failures:
                health.missed(due - slot - 1)
            slot = due
            stop.wait(max(0.0, start + slot * interval_s - time.monotonic()))
    finally:
        sink.close()
        if periodic:
            periodic.close()


def backoff_s(interval_s: float, failures: int) -> float:
    """Seconds to the next try after `failures` in a row.

    >>> [backoff_s(15, n) for n in range(5)]
    [15.0, 15.0, 30.0, 60.0, 60.0]
    """
    ceiling = max(interval_s, MAX_BACKOFF_S)
    return float(min(ceiling, interval_s * 2 ** min(max(0, failures - 1), 16)))
