"""Looking again and again, at many things at once: none of them holds up the others, and what changes is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from pipelines.doctor import Finding, State
from store.errors import GaugebookError

T = TypeVar("T")

LIMIT_S = 4.0  # for one look; with a look every 5 s, what hangs is seen within 9 s
GIVEN_UP_S = 30.0  # a look that has hung for so long is left to itself, and another is begun
WORST = ("broken", "absent", "ok")


@dataclass(frozen=True)
class Look:
    """Something to look at: `ask` says how it is, and may hang or fail. `name` is what its main finding is about."""

    name: str
    ask: Callable[[], list[Finding]]


@dataclass(frozen=True)
class Change:
    """That something is not as it was; `before` is None at the first look."""

    at: datetime
    what: str
    before: State | None
    after: State
    found: str

    def __str__(self) -> str:
        """Such as `21:03:07 database: ok -> broken: cannot reach the database`, in UTC."""
        states = self.after if self.before in (None, self.after) else f"{self.before} -> {self.after}"
        return f"{self.at:%H:%M:%S} {self.what}: {states}: {self.found}"


@dataclass
class _Running:
    """A look that has begun, and when; `began` is what people are told."""

    future: Future[list[Finding]]
    since_s: float
    began: datetime


@dataclass
class Watch:
    """Looks at all of `looks` once in each round.

    Attributes:
        looks: each is asked in a thread of its own.
        limit_s: a round takes no longer. A look that does takes the time of later rounds, and is broken meanwhile.
    """

    looks: Sequence[Look]
    limit_s: float = LIMIT_S
    _running: dict[str, _Running] = field(default_factory=dict)
    _known: dict[str, tuple[State, tuple[str, ...]]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def round(self) -> tuple[list[Finding], list[Change]]:
        """How everything is, in the order of the looks, and what has changed since the round before."""
        now = time.monotonic()
        for look in self.looks:
            running = self._running.get(look.name)
            if running is None or now - running.since_s > GIVEN_UP_S:
                self._running[look.name] = _Running(begin(look.ask), now, datetime.now(UTC))
        wait([running.future for running in self._running.values()], self.limit_s)
        found = [self._missed(finding) for look in self.looks for finding in self._taken(look)]
        return found, self._changes(found)

    def _taken(self, look: Look) -> list[Finding]:
        """What a look has found; nothing waits for it any more where it has ended."""
        running = self._running[look.name]
        if not running.future.done():
            return [Finding(look.name, "broken", f"no answer since {running.began:%H:%M:%S}", "it hangs")]
        del self._running[look.name]
        error = running.future.exception()
        if error is None:
            return running.future.result()
        # Whatever it is: a watch that ends because one of its looks fails watches nothing.
        said = f"{error}" if isinstance(error, GaugebookError) else f"{type(error).__name__}: {error}"
        return [Finding(look.name, "broken", said.strip().partition("\n")[0])]

    def _missed(self, finding: Finding) -> Finding:
        """What is absent from the start is not used here; what has been there is missed."""
        if finding.state == "ok":
            self._seen.add(finding.what)
        gone = finding.state == "absent" and finding.what in self._seen
        return replace(finding, state="broken") if gone else finding

    def _changes(self, found: Iterable[Finding]) -> list[Change]:
        """What is not told this time is as it was: of a server that is away nothing else is known."""
        told: dict[str, Finding] = {}
        for finding in found:  # of several findings about one thing the worst counts
            other = told.get(finding.what)
            if other is None or WORST.index(finding.state) < WORST.index(other.state):
                told[finding.what] = finding
        changes, at = [], datetime.now(UTC)
        for what, finding in told.items():
            before = self._known.get(what)
            if before != (finding.state, finding.parts):
                self._known[what] = finding.state, finding.parts
                changes.append(Change(at, what, before and before[0], finding.state, finding.found))
        return changes


def begin(call: Callable[[], T]) -> Future[T]:
    """Call it in a thread that nobody waits for when the program ends: one that hangs must not keep it."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, name="look", daemon=True).start()
    return future
