"""Attempts on the workers of a Dask cluster: the tick holds the lock and waits, a worker does the work.

A worker needs this release of Gaugebook, the database in its own settings (no password travels with the work), and the
folder of reports at the same path.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from analytics.packages import optional
from pipelines import ledger
from pipelines.attempt import PATIENCE_S, Task, carry, source_of
from pipelines.ledger import Again, Run
from pipelines.publish import code_version
from store.errors import GaugebookError, ParameterInvalid, ReportError
from store.settings import Settings, load

LOOK_S = 0.5  # between two looks at whether a run is wanted any more


class Clusters:
    """Connections to Dask schedulers, one for each address, made when they are first needed."""

    def __init__(self) -> None:
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def carry(self, settings: Settings, run: Run, task: Task, scheduler: str, *, stopped: Callable[[], bool]) -> None:
        """Have a worker of the cluster at `scheduler` make a run; see `pipelines.attempt.carry`.

        When it is wanted no more, the ledger notes it as interrupted at once; what a worker still does of it is shown
        to nobody.

        Raises:
            ReportError, WriteBackError: it was not good, or the cluster lost it; the ledger says so too.
        """
        try:
            client = self._client(scheduler)
            future = client.submit(on_worker, run, task, pure=False, retries=0)
            _wait(future, run, stopped)
        except Exception as error:
            # Nothing is noted twice: who is first to say how a run ended is believed.
            reason = str(error) if isinstance(error, GaugebookError) else f"the cluster lost it: {_words(error)}"
            again = Again(interrupted=True, retry_at=task.now) if stopped() else _retry(task)
            ledger.finished(settings, run, error=reason, again=again, patience_s=PATIENCE_S)
            if isinstance(error, GaugebookError):
                raise
            raise ReportError(run.report, reason) from error

    def close(self) -> None:
        """Leave the clusters; they go on without us."""
        for client in self._clients.values():
            with suppress(Exception):  # one that is gone has nothing to be told
                client.close(timeout=2)
        self._clients.clear()

    def _client(self, scheduler: str) -> Any:
        distributed = optional("distributed", "engine 'dask'", "dask")
        if not scheduler:
            raise ParameterInvalid("scheduler", "no Dask cluster is named; name it here or in GAUGEBOOK_DASK_SCHEDULER")
        with self._lock:
            known = self._clients.get(scheduler)
            if known is not None and known.status == "running":
                return known
            try:
                self._clients[scheduler] = distributed.Client(scheduler, timeout="10s", set_as_default=False)
            except (OSError, ValueError) as error:
                reason = f"no Dask scheduler answers at {scheduler!r}: {_words(error)}"
                raise ParameterInvalid("scheduler", reason) from error
            return self._clients[scheduler]


def on_worker(run: Run, task: Task) -> None:
    """What a worker does: make the run, with its own settings, if it finds all that this takes.

    Raises:
        ReportError, WriteBackError: as `pipelines.attempt.carry`, or the worker cannot make it.
    """
    settings = load()
    here = code_version(source_of(task.kind, run.report, task.notebooks))
    if here != run.code_version:
        raise ReportError(
            run.report, f"the worker has {here} where the tick has {run.code_version}; install one release"
        )
    known = ledger.history(settings, run.job, slot=run.slot)
    if run.run_id not in [one.run_id for one in known]:
        raise ReportError(run.report, "the worker's database does not know this run; give it the tick's GAUGEBOOK_DSN")
    if task.kind == "report" and not (folder := Path(run.output).parent).is_dir():
        raise ReportError(run.report, f"{folder} is not there on the worker; a cluster shares the folder of reports")
    carry(settings, run, task)


def _wait(future: Any, run: Run, stopped: Callable[[], bool]) -> None:
    """Wait for a run on a worker, and raise what it raised.

    Raises:
        ReportError: it is wanted no more.
    """
    # Asking for the result with a time limit may lose it, where it comes at that very moment.
    ended = threading.Event()
    future.add_done_callback(lambda _: ended.set())
    while not ended.wait(LOOK_S):
        if stopped():
            future.cancel()
            raise ReportError(run.report, "stopped while a worker was at it")
    future.result()


def _retry(task: Task) -> Again:
    return Again(retry_at=None if task.backoff is None else task.now + task.backoff)


def _words(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
