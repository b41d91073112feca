"""The ledger of report runs in the database: who ran what, when, and how it ended."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg.rows import RowFactory, class_row, tuple_row
from psycopg.types.json import Jsonb

from pipelines.parameters import Value
from store.audit import note
from store.connect import connect
from store.errors import StoreError, UnknownName, Unreachable
from store.queries import named
from store.settings import Settings

PATIENCE_S = 30.0  # how long the end of a run waits for a database that is away
_PAUSE_S = 0.5

Answer = TypeVar("Answer")


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
    job: str | None = None
    attempt: int = 1
    retry_at: datetime | None = None
    duration_s: float | None = None
    peak_mb: float | None = None
    host: str | None = None
    code_version: str | None = None
    data_spans: Mapping[str, Sequence[str]] | None = None
    deliveries: Sequence[Mapping[str, object]] = field(default_factory=tuple)

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs, and where nobody knows."""
        if self.duration_s is not None:
            return self.duration_s
        ended = self.finished_at is not None and self.outcome in ("ok", "failed")
        return (self.finished_at - self.started_at).total_seconds() if ended and self.finished_at else None

    @property
    def notebook(self) -> str:
        """The executed notebook, relative to the folder of the page."""
        return f"history/{self._file}.ipynb"

    @property
    def page(self) -> str:
        """The page of this very run, likewise; the run's `output` shows the latest good one."""
        return f"history/{self._file}.html"

    @property
    def _file(self) -> str:
        return f"{self.report}-{self.started_at:%Y%m%dT%H%M%SZ}-{self.run_id.hex[:8]}"


@dataclass(frozen=True)
class Again:
    """Whether a run that was not good was stopped, rather than failed, and when its slot is to be tried again."""

    interrupted: bool = False
    retry_at: datetime | None = None


NEVER = Again()


def started(settings: Settings, run: Run) -> None:
    """Note that `run` has begun, in the audit log too.

    Raises:
        StoreError: the schema is missing.
        Unreachable: the database does not answer.
    """
    with connect(settings) as connection:
        begin(connection, run)


def begin(connection: psycopg.Connection, run: Run) -> None:
    """Note on a connection of the caller's, in its transaction, that `run` has begun.

    Raises:
        StoreError: the schema is missing.
        psycopg.errors.UniqueViolation: another run has this attempt, or its job runs.
    """
    begun = {
        "run_id": run.run_id,
        "report": run.report,
        "slot": run.slot,
        "parameters": Jsonb(dict(run.parameters)),
        "started_at": run.started_at,
        "output": run.output,
        "job": run.job,
        "attempt": run.attempt,
        "host": run.host or socket.gethostname(),
        "code_version": run.code_version,
    }
    execute(connection, "report_started", begun)
    note(connection, "report.start", run.report, details=_noted(run))


def note_data(settings: Settings, run: Run) -> None:
    """Note which hours the store holds, with a run that begins."""
    with connect(settings) as connection:
        execute(connection, "report_data_spans", {"run_id": run.run_id})


def finished(
    settings: Settings,
    run: Run,
    *,
    error: str | None = None,
    again: Again = NEVER,
    duration_s: float | None = None,
    peak_mb: float | None = None,
    deliveries: Sequence[Mapping[str, object]] = (),
    patience_s: float = PATIENCE_S,
) -> bool:
    """Note that `run` has ended, well or with `error`, in the audit log too; whether the ledger still ran it.

    A database that is away is waited for. Where another tick has taken the run for dead meanwhile, nothing is noted
    and its result must not be shown.
    """
    ended = {
        "run_id": run.run_id,
        "outcome": "interrupted" if again.interrupted else "failed" if error else "ok",
        "error": error,
        "retry_at": again.retry_at,
        "duration_s": duration_s,
        "peak_mb": peak_mb,
        "deliveries": Jsonb(list(deliveries)),
    }

    def end() -> bool:
        with connect(settings) as connection:
            cursor = execute(connection, "report_finished", ended)
            if cursor.rowcount:
                note(connection, "report.end", run.report, "error" if error else "ok", _noted(run))
                return True
            # Our own word may have arrived, and the answer to it have been lost.
            kept = execute(connection, "report_run_by_id", {"run_id": str(run.run_id)}, class_row(Run)).fetchone()
            return kept is not None and kept.outcome == ended["outcome"] == "ok"

    return patiently(end, patience_s)


def patiently(do: Callable[[], Answer], patience_s: float = PATIENCE_S) -> Answer:
    """Do something with the database, again and again for so many seconds while it is away."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return do()
        except (Unreachable, psycopg.OperationalError):
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)


def runs(settings: Settings, folder: Path, *, latest: int = 10) -> list[Run]:
    """The last runs of each page in `folder`, by page, newest first."""
    return _runs(settings, "report_runs", {"folder": str(folder), "latest": latest})


def history(
    settings: Settings,
    name: str | None = None,
    *,
    slot: datetime | None = None,
    skipped: bool = True,
    latest: int = 20,
) -> list[Run]:
    """The last runs of a job or of a report, or of all of them, newest first, and slots that were skipped."""
    asked = {"name": name, "slot": slot, "skipped": skipped, "latest": latest}
    return _runs(settings, "report_history", asked)


def run_of(settings: Settings, run_id: str) -> Run:
    """The run with that id, or the only one whose id begins so.

    Raises:
        UnknownName: there is none, or more than one.
    """
    found = _runs(settings, "report_run_by_id", {"run_id": run_id.lower()}) if run_id else []
    if len(found) != 1:
        raise UnknownName("run", run_id, [str(run.run_id) for run in found])
    return found[0]


def retry(settings: Settings, job: str, *, slot: datetime | None = None) -> datetime:
    """Ask for a slot of a job to be made once more, by default its latest; which it is.

    Raises:
        UnknownName: the ledger knows no such slot, or it is being made now.
    """
    with connect(settings) as connection:
        asked = execute(connection, "report_retry", {"job": job, "slot": slot, "now": None}).fetchone()
        if asked is None:
            known = {run.job: run for run in history(settings, job) if run.job == job}
            what = f"{job} {slot.isoformat()}" if slot else job
            if any(run.outcome == "running" for run in known.values()):
                raise StoreError(f"{what} is being made at this moment; `gaugebook report history {job}` shows it")
            raise UnknownName("slot", what, [str(name) for name in known])
        note(connection, "report.retry", job, details={"slot": asked[0].isoformat()})
        return asked[0]  # type: ignore[no-any-return]


def good(connection: psycopg.Connection, output: str) -> Run | None:
    """The run that a page is to show."""
    found: Run | None = execute(connection, "report_good", {"output": output}, class_row(Run)).fetchone()
    return found


def crons(settings: Settings) -> dict[str, str]:
    """The cron expression of each job that a tick has seen."""
    with connect(settings) as connection:
        return dict(execute(connection, "report_crons", {}).fetchall())


def execute(
    connection: psycopg.Connection,
    query: str,
    parameters: Mapping[str, object],
    row: RowFactory[Any] = tuple_row,
) -> psycopg.Cursor[Any]:
    """Run a named query of the ledger; `row` makes something of each row.

    Raises:
        StoreError: the schema is missing or older than this release.
    """
    try:
        return connection.cursor(row_factory=row).execute(named(query).sql, parameters)
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName) as error:
        raise StoreError("the ledger of reports is not there: run `gaugebook db migrate`") from error


def _runs(settings: Settings, query: str, parameters: Mapping[str, object]) -> list[Run]:
    with connect(settings) as connection:
        return execute(connection, query, parameters, class_row(Run)).fetchall()


def _noted(run: Run) -> dict[str, object]:
    # Parameters and errors stay in the ledger: they may say more than an audit log should.
    return {"run_id": str(run.run_id), "output": run.output}
