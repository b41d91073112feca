"""The tick: make what is due by the schedule, once, whoever else ticks.

The ledger says what is due, the lock of a job who may make it, and the unique keys of the ledger that no slot is made
twice even where two believe that they have the lock. Time is the database's: hosts need not agree on theirs.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg.rows import class_row

from pipelines import deliver, ledger, pages
from pipelines.execute import Progress
from pipelines.index import write_index
from pipelines.ledger import Again, Run
from pipelines.lock import holds, job_lock
from pipelines.notebooks import find
from pipelines.parameters import Value, check, declared
from pipelines.publish import carry_out, code_version
from pipelines.schedule import Job
from pipelines.slots import Plan, State, plan
from store.connect import connect
from store.errors import GaugebookError
from store.settings import Settings

WORKERS = 2  # a report is one busy kernel
EVERY_S = 60.0
MOST_INTERRUPTED = 10  # of one slot: a report that takes its host down with it is not tried for ever
PATIENCE_S = 120.0  # how long the end of a run waits for a database that is away

Told = Callable[[str], None]


@dataclass(frozen=True)
class Ended:
    """One attempt at a slot that this tick has made: ok, failed or interrupted, and how long it took."""

    job: str
    slot: datetime
    outcome: str
    seconds: float
    error: str | None = None


class Ticker:
    """Makes what is due, in threads: one job in one of them, its slots one after another.

    Args:
        settings: the database and, unless `output` says otherwise, the folder of reports.
        jobs: the schedule.
        output: the folder of reports.
        workers: jobs that run at the same time.
        now: the time to go by, UTC; default: the database's clock.
        notebooks: the folder that holds `reports/`, by default the project's.
        progress: called as `progress(page, cells done, cells in all)` after each cell.
        told: called with a line on what went wrong besides runs that failed.
    """

    def __init__(
        self,
        settings: Settings,
        jobs: Sequence[Job],
        *,
        output: Path | None = None,
        workers: int = WORKERS,
        now: datetime | None = None,
        notebooks: Path | None = None,
        progress: Progress | None = None,
        told: Told = lambda _line: None,
    ) -> None:
        self._settings = settings
        self._jobs = {job.name: job for job in jobs}
        self._folder = pages.usable(output or settings.reports)
        self._now = now
        self._notebooks = notebooks
        self._progress = progress
        self._told = told
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="tick")
        self._working: dict[str, Future[list[Ended]]] = {}
        self._stopping = threading.Event()
        self._kernels: set[int] = set()

    def once(self) -> list[Ended]:
        """Make what is due, and wait for it. All of it is tried; then the first error that is none of a run is raised.

        Raises:
            StoreError: the schema is missing.
            Unreachable: the database does not answer.
        """
        try:
            started = self.begin()
            wait_for(started)
        except BaseException:
            self.stop()
            raise
        self._pool.shutdown()
        return [ended for future in started for ended in future.result()]

    def forever(self, ended: Callable[[Ended], None], *, every_s: float = EVERY_S) -> None:
        """Tick at every full minute, until something is raised in this thread, such as by Ctrl-C.

        A report that takes long holds up no other job, and a database that is away is asked again at the next tick.
        """
        try:
            while True:
                try:
                    self._begun(ended)
                except (GaugebookError, psycopg.Error) as error:
                    self._told(str(error).strip().splitlines()[0])
                time.sleep(every_s - time.time() % every_s)
        finally:
            self.stop()

    def begin(self) -> list[Future[list[Ended]]]:
        """Start what is due and does not run here already; put pages in place that are not."""
        started = []
        with connect(self._settings, autocommit=True) as connection:
            states = self._look(connection, tuple(self._jobs.values()))
        for state in states:
            job = self._jobs[state.job]
            working = self._working.get(job.name)
            if working is not None and not working.done():
                continue
            due = plan(job, state)
            if due.make or state.running or state.waiting:
                self._working[job.name] = self._pool.submit(self._work, job)
                started.append(self._working[job.name])
            elif state.good is not None and self._behind(job, state):
                self._show(job)
        return started

    def stop(self) -> None:
        """End what runs: it is noted as interrupted, and the next tick tries it again."""
        self._stopping.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        # A thread that waits for a kernel cannot be stopped otherwise. One that is just starting its kernel gets there
        # in a moment.
        while any(not future.done() for future in self._working.values()):
            for kernel in list(self._kernels):
                with suppress(ProcessLookupError):
                    os.kill(kernel, signal.SIGKILL)
            time.sleep(0.1)

    def _begun(self, ended: Callable[[Ended], None]) -> None:
        for future in self.begin():
            future.add_done_callback(lambda done: self._report(done, ended))

    def _report(self, done: Future[list[Ended]], ended: Callable[[Ended], None]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self._told(str(error).strip().splitlines()[0])
            return
        for one in done.result():
            ended(one)

    def _look(self, connection: psycopg.Connection, jobs: Sequence[Job]) -> list[State]:
        """Where jobs stand; those that nobody has seen yet begin now."""
        names = {
            "jobs": [job.name for job in jobs],
            "crons": [job.cron for job in jobs],
            "outputs": [str(self._output(job)) for job in jobs],
        }
        states = ledger.execute(connection, "report_jobs", {**names, "now": self._now}, class_row(State)).fetchall()
        new = [state for state in states if state.since is None]
        if new:
            crons = {job.name: job.cron for job in jobs}
            seen = {"jobs": [state.job for state in new], "crons": [crons[state.job] for state in new]}
            ledger.execute(connection, "report_job_seen", {**seen, "now": new[0].now})
        return states

    def _work(self, job: Job) -> list[Ended]:
        """Make the slots of a job that are due, if nobody else does."""
        made: list[Ended] = []
        with job_lock(self._settings, job.name) as connection:
            if connection is None:
                return made
            (state,) = self._look(connection, [job])
            lost = {"job": job.name, "now": state.now, "most": MOST_INTERRUPTED}
            ledger.execute(connection, "report_interrupted", lost)
            while not self._stopping.is_set() and holds(connection):
                (state,) = self._look(connection, [job])
                due = plan(job, state)
                for run_id in state.waiting:
                    self._deliver(connection, str(run_id))
                if not due.make:
                    break
                ended = self._make(connection, job, state, due)
                if ended is None:
                    break
                made.append(ended)
        self._show(job)
        return made

    def _make(self, connection: psycopg.Connection, job: Job, state: State, due: Plan) -> Ended | None:
        """Make the first slot that is due; None where another was faster."""
        slot = due.make[0]
        begun = time.monotonic()

        def moment() -> datetime:
            return state.now + timedelta(seconds=time.monotonic() - begun)

        def again() -> Again:
            if self._stopping.is_set():
                return Again(interrupted=True, retry_at=moment())
            return Again(retry_at=moment() + job.backoff(failed + 1) if failed < job.retries else None)

        wrong: GaugebookError | None = None
        values: dict[str, Value] = {}
        source = find(job.report, self._notebooks)
        known = declared(source)
        try:
            values = check(known, job.given(slot))
        except GaugebookError as error:  # the notebook is another one than when the schedule was read
            wrong = error
        parameters: Mapping[str, Value] = {name: values.get(name, one.default) for name, one in known.items()}
        try:
            with connection.transaction():
                attempt, failed = self._claim(connection, job, slot, due, state)
                run = Run(
                    run_id=uuid4(),
                    report=job.report,
                    slot=slot,
                    parameters=parameters,
                    started_at=state.now,
                    finished_at=None,
                    outcome="running",
                    error=None,
                    output=str(self._output(job)),
                    job=job.name,
                    attempt=attempt,
                    host=socket.gethostname(),
                    code_version=code_version(source),
                )
                ledger.begin(connection, run)
        except psycopg.errors.UniqueViolation:
            return None
        error_text = self._carried_out(job, run, source, values, again, wrong)
        seconds = time.monotonic() - begun
        if error_text is None:
            return Ended(job.name, slot, "ok", seconds)
        return Ended(job.name, slot, "interrupted" if self._stopping.is_set() else "failed", seconds, error_text)

    def _claim(
        self, connection: psycopg.Connection, job: Job, slot: datetime, due: Plan, state: State
    ) -> tuple[int, int]:
        """The number of this attempt at a slot and how many failed before; notes the slots that it stands in for."""
        if job.catch_up == "latest" and slot not in state.retries:
            skipped = {"report": job.report, "slots": list(due.skip), "until": slot, "now": state.now}
            ledger.execute(connection, "report_skipped", {**skipped, "job": job.name, "output": str(self._output(job))})
        this = {"job": job.name, "slot": slot}
        ledger.execute(connection, "report_retried", this)
        found = ledger.execute(connection, "report_attempt", this).fetchone()
        assert found is not None
        return int(found[0]), int(found[1])

    def _carried_out(
        self,
        job: Job,
        run: Run,
        source: Path,
        values: Mapping[str, Value],
        again: Callable[[], Again],
        wrong: GaugebookError | None,
    ) -> str | None:
        """What went wrong with a run, noted in the ledger; None if nothing did."""
        if wrong is not None:
            ledger.finished(self._settings, run, error=str(wrong), again=again(), patience_s=PATIENCE_S)
            return str(wrong)
        try:
            carry_out(
                self._settings,
                run,
                source,
                values,
                title=job.title,
                progress=self._progress,
                cell_limit_s=job.limit_s,
                run_limit_s=job.limit_s,
                memory_mb=job.memory_mb,
                kernels=self._kernels,
                deliveries=deliver.wanted(job.deliver),
                again=again,
                patience_s=PATIENCE_S,
            )
        except GaugebookError as error:
            return str(error)
        return None

    def _output(self, job: Job) -> Path:
        return self._folder / f"{job.name}.html"

    def _behind(self, job: Job, state: State) -> bool:
        """Whether a tick of this host was killed between the ledger and the page, or the page and the index."""
        assert state.good is not None
        if not pages.lists(self._folder, str(state.good)):
            return True
        return pages.shown(self._output(job)) != str(state.good) and pages.kept(self._folder, state.good)

    def _show(self, job: Job) -> None:
        pages.put_in_place(self._settings, self._output(job))
        write_index(self._settings, self._folder)

    def _deliver(self, connection: psycopg.Connection, run_id: str) -> None:
        run = ledger.run_of(self._settings, run_id)
        if pages.kept(self._folder, run.run_id):
            for line in deliver.deliver(connection, run):
                self._told(line)
