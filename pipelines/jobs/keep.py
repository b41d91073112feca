"""What a write-back job is asked for, what it gives back, and how that is kept: once for each slot, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from store.connect import connect
from store.errors import StoreError
from store.queries import named
from store.settings import Settings
from store.write import write


@dataclass(frozen=True)
class Asked:
    """For which run of the ledger, and up to which moment (UTC): what came later is not to be looked at."""

    settings: Settings
    run_id: UUID
    slot: datetime


@dataclass(frozen=True)
class Rows:
    """Rows for a table; their run and when they were made are added to them."""

    table: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Result:
    """What a job found.

    `states` are those of scorers, as `scorer_state_save` takes them. A job that goes on from its states finds nothing
    new when its slot is made once more: `replaces` is false, and what earlier runs of the slot wrote stays.
    """

    tables: Sequence[Rows] = ()
    states: Sequence[Mapping[str, object]] = field(default_factory=tuple)
    replaces: bool = True


def keep(asked: Asked, result: Result, *, keep_days: int) -> dict[str, int]:
    """Write what a job found, in one transaction; how many rows went into each table.

    Rows of other runs of the slot go, and those of the job that are older than `keep_days`.

    Raises:
        StoreError: the ledger does not run this run any more, or a table refused a row; nothing was written.
    """
    this = {"run_id": asked.run_id}
    with connect(asked.settings) as connection, connection.transaction():
        if connection.execute(named("write_back_begin").sql, this).fetchone() is None:
            raise StoreError("the ledger took this run for dead and has given its slot away; nothing was written")
        clock = connection.execute("SELECT now()").fetchone()
        assert clock is not None
        made_at: datetime = clock[0]
        if result.replaces:
            connection.execute(named("write_back_replace").sql, this)
        connection.execute(named("write_back_prune").sql, {**this, "before": made_at - timedelta(days=keep_days)})
        counts: dict[str, int] = {}
        for one in result.tables:
            rows = [(asked.run_id, made_at, *row) for row in one.rows]
            done = write(connection, one.table, ("run_id", "made_at", *one.columns), rows)
            if done.rejected:
                raise StoreError(f"{one.table} refused {len(done.rejected)} rows, the first: {done.rejected[0].reason}")
            counts[one.table] = counts.get(one.table, 0) + done.written
        if result.states:
            with connection.cursor() as cursor:
                cursor.executemany(named("scorer_state_save").sql, result.states)
        return counts
