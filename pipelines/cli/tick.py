"""`gaugebook tick`: make the reports that are due, and write back what is."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TaskID
from rich.table import Table
from rich.text import Text

from pipelines import schedule
from pipelines.cli.common import console, errors, progress
from pipelines.schedule import Job
from store.errors import ParameterInvalid, UnknownName
from store.migrate import migrate
from store.settings import Settings, load

if TYPE_CHECKING:
    from pipelines.tick import Ended, Ticker

TERMINATED = 143  # what a shell expects of a program that SIGTERM ended


def tick(
    name: Annotated[list[str] | None, typer.Argument(help="jobs of the schedule; default: all")] = None,
    *,
    plan: Annotated[
        Path | None,
        typer.Option("--schedule", help="schedule (TOML); default: the `schedule` setting, or ours"),
    ] = None,
    forever: Annotated[bool, typer.Option("--forever", help="tick every minute until stopped")] = False,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="with --forever: serve what is written back to Prometheus, at /metrics"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what is due and next, and do nothing")] = False,
    output: Annotated[Path | None, typer.Option(help="folder to write into; default: the `reports` setting")] = None,
    parallel: Annotated[
        int | None, typer.Option(min=1, max=256, help="jobs that run at the same time; default: the `parallel` setting")
    ] = None,
) -> None:
    """Make what is due by the schedule; run it every minute, on as many hosts as you like.

    A slot is made once whoever ticks. One that failed is tried again as its job says, one whose process died at the
    next tick, and of those that were missed the latest, or each if the job says so. Exit code 1: a run failed.

    Example: `gaugebook tick --schedule /etc/gaugebook/schedule.toml`, or with --forever as a service

    Example: `gaugebook tick --forever --listen 127.0.0.1:9470 --parallel 4`
    """
    settings = load()
    jobs = chosen(schedule.read(plan or settings.schedule), name)
    if output is not None:
        settings = settings.model_copy(update={"reports": output})
    if dry_run:
        _show_due(settings, jobs)
        return
    served = _address(listen, forever=forever)
    migrate(settings)
    # A service that is told to stop has done well; work that is cut short has not.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0 if forever else TERMINATED))
    with progress() as bar:
        from pipelines.tick import Ticker

        shown = _Shown(bar)
        ticker = Ticker(settings, jobs, parallel=parallel, progress=shown.cell, told=_tell)
        if forever:
            with _serving(settings, ticker, served):
                ticker.forever(shown.end)
        made = ticker.once()
        for one in made:
            shown.end(one)
    if not made:
        _say_next(jobs)
    if any(one.error for one in made):
        raise typer.Exit(1)


class _Shown:
    """A line for each report while it is made, and one for good when a run has ended."""

    def __init__(self, bar: Progress) -> None:
        self._bar, self._tasks = bar, dict[str, TaskID]()

    def cell(self, page: str, done: int, total: int) -> None:
        task = self._tasks.get(page)
        if task is None:
            task = self._tasks[page] = self._bar.add_task(page, total=total)
        self._bar.update(task, completed=done, total=total, visible=done < total)

    def end(self, ended: Ended) -> None:
        if ended.job in self._tasks:
            self._bar.update(self._tasks[ended.job], visible=False)
        line = f"{ended.job} {ended.slot:%Y-%m-%dT%H:%MZ}: {ended.outcome}, {ended.seconds:.1f} s"
        said = line if ended.error is None else f"{line}; {ended.error}"
        (errors if ended.error else console).print(said, markup=False, highlight=False, soft_wrap=True)


def chosen(jobs: tuple[Job, ...], names: list[str] | None) -> tuple[Job, ...]:
    """The jobs of these names, all sets of an entry by its name, or all jobs.

    Raises:
        UnknownName: one of them is not in the schedule.
    """
    for name in names or ():
        if not any(name in (job.name, job.entry) for job in jobs):
            raise UnknownName("job", name, [job.name for job in jobs])
    return tuple(job for job in jobs if not names or job.name in names or job.entry in names)


@contextmanager
def _serving(settings: Settings, ticker: Ticker, served: tuple[str, int] | None) -> Iterator[None]:
    if served is None:
        yield
        return
    from collectors.exposition import Exposition
    from pipelines.gauges import registry

    there = settings.model_copy(update={"metrics_address": served[0], "metrics_port": served[1]})
    with Exposition(there, registry(settings, ticker.jobs)) as page:
        errors.print(f"serving {page.url}", markup=False, highlight=False)
        yield


def _address(text: str | None, *, forever: bool) -> tuple[str, int] | None:
    if text is None:
        return None
    if not forever:
        raise ParameterInvalid("listen", "goes with --forever: a tick that ends serves nobody")
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ParameterInvalid("listen", f"must be an address and a port such as 127.0.0.1:9470, not {text!r}")
    return host.strip("[]"), int(port)


def _show_due(settings: Settings, jobs: Sequence[Job]) -> None:
    from pipelines.due import due

    table = Table("job", "makes", "due now", "skips", "last slot", "next (UTC)", box=None)
    found = due(settings, jobs)
    for one in found:
        makes = one.job.report if one.job.kind == "report" else f"{one.job.report} (written back)"
        state = one.state
        now = ", ".join(f"{slot:%Y-%m-%d %H:%M}" for slot in one.plan.make[:3])
        more = len(one.plan.make) - 3
        table.add_row(
            Text(one.job.name),
            Text(makes),
            "running" if state.running else f"{now} and {more} more" if more > 0 else now or "-",
            str(len(one.plan.skip) or "-"),
            f"{state.last:%Y-%m-%d %H:%M}" if state.last else "-" if state.since else "new",
            f"{one.next:%Y-%m-%d %H:%M}",
        )
    console.print(table, highlight=False)


def _say_next(jobs: tuple[Job, ...]) -> None:
    now = datetime.now(UTC)
    following = min(((job.next(now), job.name) for job in jobs), default=None)
    console.print(
        "nothing is due" + (f"; next is {following[1]}, {following[0]:%Y-%m-%d %H:%M} UTC" if following else "")
    )


def _tell(line: str) -> None:
    errors.print(line, markup=False, highlight=False, soft_wrap=True)
