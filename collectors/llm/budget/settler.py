"""Settles calls in the background: whoever hands one over goes on at once, and it is tried until the ledger has it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from collectors import forks
from collectors.llm.budget.ledger import Ledger, NoLedger, Settled, Standing

log = logging.getLogger(__name__)

BATCH = 500
CAPACITY = 100_000  # calls that wait while the ledger is away; older ones expire at their worst case
FIRST_RETRY_S, LONGEST_RETRY_S = 0.2, 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A call that has ended. `cost_usd`: None where nobody knows."""

    lease_id: UUID
    cost_usd: Decimal | None


class Settler:
    """A daemon thread that empties a queue into `ledger`, and looks after leases that have expired.

    Args:
        ledger: where calls are booked.
        settled: is told how budgets stand after a settlement.
        look: is called now and then with a function that asks how budgets stand.
        every_s: seconds between two looks.
    """

    _queue: queue.SimpleQueue[Ended | threading.Event | None]
    _waiting: list[Ended]
    _thread: threading.Thread | None
    _starting: threading.Lock
    _hurry: threading.Event
    _closing: bool

    def __init__(
        self,
        ledger: Ledger,
        *,
        settled: Callable[[list[Settled]], None],
        look: Callable[[Callable[[Sequence[str]], list[Standing]]], None],
        every_s: float,
    ) -> None:
        self._ledger, self._settled, self._look, self._every_s = ledger, settled, look, every_s
        self.after_fork()
        forks.follow(self)

    def put(self, lease_id: UUID, cost_usd: Decimal | None) -> None:
        """Hand over a call that has ended; may be called from anywhere, finalisers too."""
        self._queue.put(Ended(lease_id, cost_usd))

    def look(self) -> None:
        """Book what has expired, soon."""
        self._queue.put(None)

    def start(self) -> None:
        """Start the thread where it does not run."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="gaugebook-budgets", daemon=True)
                    self._thread.start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all calls handed over so far are settled; False when `timeout_s` passes first."""
        if self._thread is None and self._queue.empty():
            return True
        self.start()
        done = threading.Event()
        self._queue.put(done)
        self._hurry.set()
        return done.wait(timeout_s)

    def close(self, timeout_s: float) -> int:
        """Settle what can be settled within `timeout_s`, then end; how many calls are left to expire."""
        self.flush(timeout_s)
        self._closing = True
        self._hurry.set()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join(1.0)
        return len(self._waiting)

    def after_fork(self) -> None:
        # A simple queue may be used from __del__, which can run at any moment in any thread.
        self._queue = queue.SimpleQueue()
        self._waiting = []
        self._thread = None
        self._starting = threading.Lock()
        self._hurry = threading.Event()
        self._closing = False

    def _run(self) -> None:
        flushes: list[threading.Event] = []
        retry_s = FIRST_RETRY_S
        look_at = time.monotonic() + self._every_s
        away = False
        while not self._closing:
            if self._gather(flushes, 0.0 if self._waiting else look_at - time.monotonic()):
                look_at = 0.0
            try:
                while batch := self._waiting[:BATCH]:
                    told = self._settle(batch)
                    del self._waiting[: len(batch)]
                    self._settled(told)
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + self._every_s
                    self._ledger.expire()
                    self._look(self._ledger.left)
            except NoLedger as error:
                if not away:
                    log.warning(
                        "calls cannot be settled; they wait in memory, and expire at their worst case: %s", error
                    )
                away = True
                self._hurry.wait(retry_s)
                self._hurry.clear()
                retry_s = min(2 * retry_s, LONGEST_RETRY_S)
                continue
            except Exception:  # whatever it is, the thread must live, and not stumble over the same call for ever
                log.exception("the settlement of calls stumbled")
                del self._waiting[:1]
            if away:
                log.warning("calls are settled again")
            away, retry_s = False, FIRST_RETRY_S
            for done in flushes:
                done.set()
            flushes.clear()

    def _gather(self, flushes: list[threading.Event], wait_s: float) -> bool:
        """Take in what is in the queue, and wait for the first of it; True where a look was asked for."""
        look = False
        while True:
            try:
                item = self._queue.get(timeout=max(0.0, wait_s)) if wait_s > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            wait_s = 0.0
            if item is None:
                look = True
            elif isinstance(item, threading.Event):
                flushes.append(item)
            else:
                self._waiting.append(item)
        del self._waiting[: max(0, len(self._waiting) - CAPACITY)]
        return look

    def _settle(self, batch: list[Ended]) -> list[Settled]:
        try:
            return self._ledger.settle([one.lease_id for one in batch], [one.cost_usd for one in batch])
        except NoLedger as error:
            if error.away or error.again:
                raise
            # One that the ledger refuses must not keep the others from it; it expires at its worst case.
            if len(batch) == 1:
                log.warning("a call cannot be settled: %s", error)
                return []
            return [told for one in batch for told in self._settle([one])]
