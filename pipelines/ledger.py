"""The ledger of report runs in the database: who ran what, when, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from pipelines.parameters import Value
from store.audit import note
from store.connect import connect
from store.errors import StoreError
from store.queries import named
from store.settings import Settings


@dataclass(frozen=True)
class Run:
    """One row of `analytics.report_run`; times in UTC."""

    run_id: UUID
    report: str
    slot: datetime
    parameters: Mapping[str, Value]
    started_at: datetime
    finished_at: datetime | None
    outcome: str
    error: str | None
    output: str

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None

    @property
    def notebook(self) -> str:
        """The executed notebook, relative to the page."""
        return f"history/{self.report}-{self.started_at:%Y%m%dT%H%M%SZ}-{self.run_id.hex[:8]}.ipynb"


def started(settings: Settings, run: Run) -> None:
    """Note that `run` has begun, in the audit log too.

    Raises:
        StoreError: the schema is missing.
        Unreachable: the database does not answer.
    """
    begun = {
        "run_id": run.run_id,
        "report": run.report,
        "slot": run.slot,
        "parameters": Jsonb(dict(run.parameters)),
        "started_at": run.started_at,
        "output": run.output,
    }
    with connect(settings) as connection:
        _execute(connection, "report_started", begun)
        note(connection, "report.start", run.report, details=_noted(run))


def finished(settings: Settings, run: Run, *, error: str | None = None) -> None:
    """Note that `run` has ended, well or with `error`, in the audit log too."""
    outcome = "failed" if error else "ok"
    ended = {"run_id": run.run_id, "finished_at": datetime.now(UTC), "outcome": outcome, "error": error}
    with connect(settings) as connection:
        _execute(connection, "report_finished", ended)
        note(connection, "report.end", run.report, "error" if error else "ok", _noted(run))


def runs(settings: Settings, folder: Path, *, latest: int = 10) -> list[Run]:
    """The last runs of each page in `folder`, by page, newest first."""
    query = named("report_runs")
    with connect(settings) as connection, connection.cursor(row_factory=class_row(Run)) as cursor:
        return cursor.execute(query.sql, {"folder": str(folder), "latest": latest}).fetchall()


def _noted(run: Run) -> dict[str, object]:
    # Parameters and errors stay in the ledger: they may say more than an audit log should.
    return {"run_id": str(run.run_id), "output": run.output}


def _execute(connection: psycopg.Connection, query: str, parameters: Mapping[str, object]) -> None:
    try:
        connection.execute(named(query).sql, parameters)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise StoreError("the ledger of reports is not there: run `gaugebook db migrate`") from error
