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
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import psycopg

from pipelines import deliver, ledger, pages
from pipelines.attempt import PATIENCE_S, Task, carry, declared, source_of
from pipelines.cluster import Clusters
from pipelines.due import page_of, states
from pipelines.execute import Progress
from pipelines.index import write_index
from pipelines.ledger import Run
from pipelines.lock import holds, job_lock
from pipelines.parameters import Value, check
from pipelines.publish import code_version
from pipelines.schedule import Job
from pipelines.sets import expanded
from pipelines.slots import Plan, State, plan
from store.connect import connect
from store.errors import GaugebookError
from store.settings import Settings

EVERY_S = 60.0
SETS_S = 600.0  # between two looks at which sets the store has
MOST_INTERRUPTED = 10  # of one slot: a report that takes its host down with it is not tried for ever

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
        jobs: the schedule; those that take their sets from the store become many at the first tick.
        output: the folder of reports.
        parallel: jobs that run at the same time, by default the `parallel` setting; those of an entry with a number
            of its own run beside them.
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
        parallel: int | None = None,
        now: datetime | None = None,
        notebooks: Path | None = None,
        progress: Progress | None = None,
        told: Told = lambda _line: None,
    ) -> None:
        self._settings = settings
        self._schedule = tuple(jobs)
        self._jobs: dict[str, Job] = {}
        self._sets_until = 0.0
        self._folder = pages.usable(output or settings.reports)
        self._now = now
        self._notebooks = notebooks
        self._progress = progress
        self._told = told
        self._parallel = parallel or settings.parallel
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self._clusters = Clusters()
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
        for lane in self._lanes.values():
            lane.shutdown()
        self._clusters.close()
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
            self._know_sets(connection)
            found = self._look(connection, tuple(self._jobs.values()))
        for state in found:
            job = self._jobs[state.job]
            working = self._working.get(job.name)
            if working is not None and not working.done():
                continue
            due = plan(job, state)
            if due.make or state.running or state.waiting:
                self._working[job.name] = self._lane(job).submit(self._work, job)
                started.append(self._working[job.name])
            elif state.good is not None and self._behind(job, state):
                self._show(job)
        return started

    def stop(self) -> None:
        """End what runs: it is noted as interrupted, and the next tick tries it again."""
        self._stopping.set()
        for lane in self._lanes.values():
            lane.shutdown(wait=False, cancel_futures=True)
        # A thread that waits for a kernel cannot be stopped otherwise. One that is just starting its kernel gets there
        # in a moment.
        while any(not future.done() for future in self._working.values()):
            for kernel in list(self._kernels):
                with suppress(ProcessLookupError):
                    os.kill(kernel, signal.SIGKILL)
            time.sleep(0.1)
        self._clusters.close()

    def jobs(self) -> list[Job]:
        """The jobs that it knows of, with the sets that the store has."""
        return list(self._jobs.values())

    def _lane(self, job: Job) -> ThreadPoolExecutor:
        """The threads that a job waits for."""
        name = job.entry if job.parallel else ""
        if name not in self._lanes:
            self._lanes[name] = ThreadPoolExecutor(job.parallel or self._parallel, thread_name_prefix="tick")
        return self._lanes[name]

    def _know_sets(self, connection: psycopg.Connection) -> None:
        """Make jobs of the entries that take their sets from the store, now and again."""
        if time.monotonic() >= self._sets_until:
            self._jobs = {job.name: job for job in expanded(connection, self._schedule)}
            self._sets_until = time.monotonic() + SETS_S

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
        found = states(connection, jobs, self._folder, self._now)
        new = [state for state in found if state.since is None]
        if new:
            crons = {job.name: job.cron for job in jobs}
            seen = {"jobs": [state.job for state in new], "crons": [crons[state.job] for state in new]}
            ledger.execute(connection, "report_job_seen", {**seen, "now": new[0].now})
        return found

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
        if job.kind == "report":
            self._show(job)
        return made

    def _make(self, connection: psycopg.Connection, job: Job, state: State, due: Plan) -> Ended | None:
        """Make the first slot that is due; None where another was faster."""
        slot = due.make[0]
        begun = time.monotonic()
        wrong: GaugebookError | None = None
        values: dict[str, Value] = {}
        known = declared(job.kind, job.report, self._notebooks)
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
                    output=page_of(job, self._folder),
                    job=job.name,
                    attempt=attempt,
                    host=socket.gethostname(),
                    code_version=code_version(source_of(job.kind, job.report, self._notebooks)),
                )
                ledger.begin(connection, run)
        except psycopg.errors.UniqueViolation:
            return None
        task = Task(
            kind=job.kind,
            values=values,
            now=state.now,
            backoff=job.backoff(failed + 1) if failed < job.retries else None,
            limit_s=job.limit_s,
            memory_mb=job.memory_mb,
            title=job.title,
            deliveries=deliver.wanted(job.deliver),
            notebooks=self._notebooks,
        )
        error_text = self._carried_out(job, run, task, wrong)
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
            ledger.execute(
                connection, "report_skipped", {**skipped, "job": job.name, "output": page_of(job, self._folder)}
            )
        this = {"job": job.name, "slot": slot}
        ledger.execute(connection, "report_retried", this)
        found = ledger.execute(connection, "report_attempt", this).fetchone()
        assert found is not None
        return int(found[0]), int(found[1])

    def _carried_out(self, job: Job, run: Run, task: Task, wrong: GaugebookError | None) -> str | None:
        """What went wrong with a run, noted in the ledger; None if nothing did."""
        try:
            if wrong is not None:
                retry = ledger.Again(retry_at=None if task.backoff is None else task.now + task.backoff)
                ledger.finished(self._settings, run, error=str(wrong), again=retry, patience_s=PATIENCE_S)
                raise wrong
            stopped = self._stopping.is_set
            if job.engine == "dask":
                self._clusters.carry(self._settings, run, task, self._scheduler(job), stopped=stopped)
            else:
                carry(self._settings, run, task, progress=self._progress, kernels=self._kernels, stopped=stopped)
        except GaugebookError as error:
            return str(error)
        return None

    def _scheduler(self, job: Job) -> str:
        return job.scheduler or self._settings.dask_scheduler or ""

    def _behind(self, job: Job, state: State) -> bool:
        """Whether a tick of this host was killed between the ledger and the page, or the page and the index."""
        assert state.good is not None
        if not pages.lists(self._folder, str(state.good)):
            return True
        return pages.shown(Path(page_of(job, self._folder))) != str(state.good) and pages.kept(self._folder, state.good)

    def _show(self, job: Job) -> None:
        pages.put_in_place(self._settings, Path(page_of(job, self._folder)))
        write_index(self._settings, self._folder)

    def _deliver(self, connection: psycopg.Connection, run_id: str) -> None:
        run = ledger.run_of(self._settings, run_id)
        if pages.kept(self._folder, run.run_id):
            for line in deliver.deliver(connection, run):
                self._told(line)
