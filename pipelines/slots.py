"""Which slots of a job are to be made now, and which are skipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from uuid import UUID

from pipelines.schedule import Job

MOST_MISSED = 1000  # of a job that was missed for longer, the oldest slots leave no trace


@dataclass(frozen=True)
class State:
    """Where a job stands by the ledger; times in UTC.

    `since` is when it was first seen, `last` its latest slot that the ledger knows, `retries` are slots to be tried
    again now, `waiting` runs that are to be delivered, and `good` is the run that its page is to show.
    """

    job: str
    now: datetime
    since: datetime | None = None
    last: datetime | None = None
    running: bool = False
    retries: Sequence[datetime] = field(default_factory=tuple)
    waiting: Sequence[UUID] = field(default_factory=tuple)
    good: UUID | None = None


@dataclass(frozen=True)
class Plan:
    """Slots to make, the oldest first, and slots to skip in favour of the first of those."""

    make: tuple[datetime, ...] = ()
    skip: tuple[datetime, ...] = ()


def plan(job: Job, state: State) -> Plan:
    """What is due. A slot is missed if it is later than every slot of the ledger and than the job itself.

    >>> from datetime import UTC
    >>> day = lambda n: datetime(2026, 5, n, tzinfo=UTC)
    >>> due = plan(Job("a", "a", "0 0 * * *", {}), State("a", now=day(4), since=day(1), last=day(1)))
    >>> [slot.day for slot in due.make], [slot.day for slot in due.skip]
    ([4], [2, 3])
    """
    if state.since is None:
        return Plan()
    after = max(state.since, state.last or state.since)
    missed = tuple(reversed(list(islice(job.slots(after, state.now), MOST_MISSED))))
    retries = tuple(slot for slot in state.retries if slot not in missed)
    if job.catch_up == "all":
        return Plan(make=tuple(sorted((*retries, *missed))))
    return Plan(make=missed[-1:], skip=missed[:-1]) if missed else Plan(make=retries)
