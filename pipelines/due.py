"""What is due by the schedule, and what is next: what a tick goes by, and shows without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg.rows import class_row

from pipelines import ledger
from pipelines.schedule import Job
from pipelines.sets import expanded
from pipelines.slots import Plan, State, plan
from store.connect import connect
from store.settings import Settings


@dataclass(frozen=True)
class Due:
    """Where a job stands, what a tick would make and skip of it now, and its next slot (UTC)."""

    job: Job
    state: State
    plan: Plan
    next: datetime


def page_of(job: Job, folder: Path) -> str:
    """The path of a job's page; what is written into the store has none."""
    return str(folder / f"{job.name}.html") if job.kind == "report" else ""


def states(
    connection: psycopg.Connection, jobs: Sequence[Job], folder: Path, now: datetime | None = None
) -> list[State]:
    """Where jobs stand by the ledger; `now` in place of the database's clock.

    Raises:
        StoreError: the schema is missing.
    """
    names = {
        "jobs": [job.name for job in jobs],
        "crons": [job.cron for job in jobs],
        "outputs": [page_of(job, folder) or None for job in jobs],
    }
    found: list[State] = ledger.execute(connection, "report_jobs", {**names, "now": now}, class_row(State)).fetchall()
    return found


def due(settings: Settings, jobs: Sequence[Job], *, now: datetime | None = None) -> list[Due]:
    """What a tick would do now, in the order of the schedule; nothing is noted.

    Raises:
        StoreError: the schema is missing.
        Unreachable: the database does not answer.
    """
    with connect(settings, autocommit=True) as connection:
        known = {job.name: job for job in expanded(connection, jobs)}
        found = states(connection, tuple(known.values()), settings.reports.absolute(), now)
    return [_due(known[state.job], state) for state in found]


def _due(job: Job, state: State) -> Due:
    return Due(job, state, plan(job, state), job.next(state.now))
