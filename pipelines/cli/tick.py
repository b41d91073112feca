"""`gaugebook tick`: make the reports that are due."""

from __future__ import annotations

import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipelines import schedule
from pipelines.cli.common import console, errors, progress
from pipelines.schedule import Job
from store.errors import UnknownName
from store.migrate import migrate
from store.settings import load

TERMINATED = 143  # what a shell expects of a program that SIGTERM ended


def tick(
    name: Annotated[list[str] | None, typer.Argument(help="jobs of the schedule; default: all")] = None,
    *,
    plan: Annotated[Path | None, typer.Option("--schedule", help="schedule (TOML); default: the one shipped")] = None,
    forever: Annotated[bool, typer.Option("--forever", help="tick every minute until stopped")] = False,
    output: Annotated[Path | None, typer.Option(help="folder to write into; default: the `reports` setting")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="jobs that run at the same time")] = 2,
) -> None:
    """Make the reports that are due by the schedule; run it every minute, on as many hosts as you like.

    A slot is made once whoever ticks. One that failed is tried again as its job says, one whose process died at the
    next tick, and of those that were missed the latest, or each if the job says so. Exit code 1: a run failed.

    Example: `gaugebook tick --schedule /etc/gaugebook/schedule.toml`, or with --forever as a service
    """
    jobs = chosen(schedule.read(plan), name)
    settings = load()
    migrate(settings)
    # A service that is told to stop has done well; work that is cut short has not.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0 if forever else TERMINATED))
    with progress() as bar:
        from pipelines.tick import Ended, Ticker

        tasks = {job.name: bar.add_task(job.name, total=None, visible=False) for job in jobs}

        def on_cell(page: str, done: int, total: int) -> None:
            bar.update(tasks[page], completed=done, total=total, visible=done < total)

        def on_end(ended: Ended) -> None:
            bar.update(tasks[ended.job], visible=False)
            line = f"{ended.job} {ended.slot:%Y-%m-%dT%H:%MZ}: {ended.outcome}, {ended.seconds:.1f} s"
            said = line if ended.error is None else f"{line}; {ended.error}"
            (errors if ended.error else console).print(said, markup=False, highlight=False, soft_wrap=True)

        ticker = Ticker(settings, jobs, output=output, workers=workers, progress=on_cell, told=_tell)
        if forever:
            ticker.forever(on_end)
        made = ticker.once()
        for one in made:
            on_end(one)
    if not made:
        _say_next(jobs)
    if any(one.error for one in made):
        raise typer.Exit(1)


def chosen(jobs: tuple[Job, ...], names: list[str] | None) -> tuple[Job, ...]:
    """The jobs of these names, or all.

    Raises:
        UnknownName: one of them is not in the schedule.
    """
    for name in names or ():
        if schedule.named(jobs, name) is None:
            raise UnknownName("job", name, [job.name for job in jobs])
    return tuple(job for job in jobs if not names or job.name in names)


def _say_next(jobs: tuple[Job, ...]) -> None:
    now = datetime.now(UTC)
    following = min(((job.next(now), job.name) for job in jobs), default=None)
    console.print(
        "nothing is due" + (f"; next is {following[1]}, {following[0]:%Y-%m-%d %H:%M} UTC" if following else "")
    )


def _tell(line: str) -> None:
    errors.print(line, markup=False, highlight=False, soft_wrap=True)
