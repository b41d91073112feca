"""One attempt at a slot, from its start in the ledger to its end there: made here, or wherever it is sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import jobs
from pipelines.ledger import Again, Run
from pipelines.notebooks import find
from pipelines.parameters import Parameter, Value
from pipelines.parameters import declared as in_notebook
from pipelines.schedule import Kind
from store.settings import Settings

if TYPE_CHECKING:
    from pipelines.execute import Progress

PATIENCE_S = 120.0  # how long the end of a run waits for a database that is away


@dataclass(frozen=True)
class Task:
    """What an attempt does; all of it is plain values, so that it can be sent to another host.

    `now` is the ledger's time when it begins, `backoff` how long the slot waits before it is tried again, None: it is
    not.
    """

    kind: Kind
    values: Mapping[str, Value]
    now: datetime
    backoff: timedelta | None
    limit_s: float
    memory_mb: int | None = None
    title: str | None = None
    deliveries: Sequence[Mapping[str, object]] = ()
    notebooks: Path | None = None


def source_of(kind: Kind, name: str, notebooks: Path | None = None) -> Path:
    """The notebook of a report, or the file of a write-back job."""
    return find(name, notebooks) if kind == "report" else jobs.source(name)


def declared(kind: Kind, name: str, notebooks: Path | None = None) -> Mapping[str, Parameter]:
    """The parameters of a report or a write-back job."""
    return in_notebook(find(name, notebooks)) if kind == "report" else jobs.declared(name)


def carry(
    settings: Settings,
    run: Run,
    task: Task,
    *,
    progress: Progress | None = None,
    kernels: set[int] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Make a run that the ledger knows, and note there how it ended.

    Args:
        settings: the database.
        run: as it was noted.
        task: what it does.
        progress: called after each cell of a report.
        kernels: the process that works is put in while it does.
        stopped: whether who asked for it wants it no more: then it is interrupted and not failed.

    Raises:
        ReportError, WriteBackError: it was not good; the ledger says so too.
    """
    begun = time.monotonic()

    def again() -> Again:
        moment = task.now + timedelta(seconds=time.monotonic() - begun)
        if stopped():
            return Again(interrupted=True, retry_at=moment)
        return Again(retry_at=None if task.backoff is None else moment + task.backoff)

    if task.kind == "write":
        from pipelines.jobs.process import carry_out as carry_out_job

        carry_out_job(
            settings,
            run,
            task.values,
            limit_s=task.limit_s,
            memory_mb=task.memory_mb,
            kernels=kernels,
            again=again,
            patience_s=PATIENCE_S,
        )
        return
    from pipelines.publish import carry_out

    carry_out(
        settings,
        run,
        find(run.report, task.notebooks),
        task.values,
        title=task.title,
        progress=progress,
        cell_limit_s=task.limit_s,
        run_limit_s=task.limit_s,
        memory_mb=task.memory_mb,
        kernels=kernels,
        deliveries=task.deliveries,
        again=again,
        patience_s=PATIENCE_S,
    )
