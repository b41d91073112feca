"""Make reports: run, render, note in the ledger, put in place.

A folder of reports holds `index.html`, one `PAGE.html` per report (its last good run), `assets/` for all of them and
`history/` with the executed notebook of every run, good or not, and the page of every good one with its numbers.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from uuid import uuid4

from pipelines import ledger
from pipelines.coverage import Coverage, coverage
from pipelines.execute import CELL_LIMIT_S, RUN_LIMIT_S, Progress, Usage, execute
from pipelines.index import facts
from pipelines.ledger import Again, Run
from pipelines.notebooks import find
from pipelines.pages import files, put_in_place, replace, usable, write_assets
from pipelines.parameters import Value, check, declared
from pipelines.render import Heading, render
from pipelines.schedule import NAME
from store.errors import GaugebookError, ParameterInvalid, ReportError, UnknownName
from store.settings import Settings

WORKERS = 2  # a report is one busy kernel


@dataclass(frozen=True)
class Made:
    """A report that was made: its page, its executed notebook, the seconds it took, and its run."""

    report: str
    html: Path
    notebook: Path
    seconds: float
    run: Run


@dataclass(frozen=True)
class Wanted:
    """A report that `make_reports` is to make; the fields are the arguments of `make_report`."""

    report: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    page: str | None = None
    title: str | None = None


def make_report(
    settings: Settings,
    name: str,
    parameters: Mapping[str, object],
    *,
    output: Path | None = None,
    page: str | None = None,
    progress: Progress | None = None,
    title: str | None = None,
    notebooks: Path | None = None,
    cell_limit_s: float = CELL_LIMIT_S,
    run_limit_s: float = RUN_LIMIT_S,
    kernels: set[int] | None = None,
) -> Made:
    """Run a report and replace its page, in one step and only if the run was good.

    Args:
        settings: the database and, unless `output` says otherwise, the folder.
        name: the report, as `gaugebook report list` names it.
        parameters: values by name, as themselves or as text; checked before anything runs.
        output: the folder to write into, by default the `reports` setting.
        page: the name of its page, by default the report's; the same report with other parameters is another page.
        progress: called as `progress(page, cells done, cells in all)` after each cell.
        title: in place of the notebook's own.
        notebooks: the folder that holds `reports/NAME.py`, by default the project's.
        cell_limit_s: seconds that one cell may take.
        run_limit_s: seconds that all of them may take.
        kernels: the process id of the kernel is put in while it runs.

    Raises:
        UnknownName: there is no such report.
        ParameterInvalid: a parameter or the page does not exist or its value does not fit.
        FileUnusable: the folder cannot be written to.
        ReportError: a cell failed, a limit was reached or the kernel died. The last good page is still there.
    """
    source = find(name, notebooks)
    known = declared(source)
    values = check(known, parameters)
    page = page or name
    if not NAME.fullmatch(page) or page == "index":
        raise ParameterInvalid("page", f"{page!r} cannot name a page; use a-z, 0-9, _ and -, and not index")
    folder = usable(output or settings.reports)

    started_at = datetime.now(UTC)
    run = Run(
        run_id=uuid4(),
        report=name,
        slot=started_at,
        parameters={key: values.get(key, parameter.default) for key, parameter in known.items()},
        started_at=started_at,
        finished_at=None,
        outcome="running",
        error=None,
        output=str(folder / f"{page}.html"),
        code_version=code_version(source),
    )
    ledger.started(settings, run)
    return carry_out(
        settings,
        run,
        source,
        values,
        title=title,
        progress=progress,
        cell_limit_s=cell_limit_s,
        run_limit_s=run_limit_s,
        kernels=kernels,
    )


def carry_out(
    settings: Settings,
    run: Run,
    source: Path,
    values: Mapping[str, Value],
    *,
    title: str | None = None,
    progress: Progress | None = None,
    cell_limit_s: float = CELL_LIMIT_S,
    run_limit_s: float = RUN_LIMIT_S,
    memory_mb: int | None = None,
    kernels: set[int] | None = None,
    deliveries: Sequence[Mapping[str, object]] = (),
    again: Callable[[], Again] = Again,
    patience_s: float = ledger.PATIENCE_S,
) -> Made:
    """Do what a run that the ledger knows stands for: execute, render, note how it ended, and put the page in place.

    Args:
        settings: the database.
        run: as it was noted in the ledger.
        source: its notebook.
        values: its parameters, checked; those left out keep the notebook's default.
        title: in place of the notebook's own.
        progress: called as `progress(page, cells done, cells in all)` after each cell.
        cell_limit_s: seconds that one cell may take.
        run_limit_s: seconds that all of them may take.
        memory_mb: megabytes of data that the kernel may have.
        kernels: the process id of the kernel is put in while it runs.
        deliveries: what the ledger is to hold of them.
        again: asked when the run was not good: whether and when its slot is to be tried again.
        patience_s: seconds that the end waits for a database that is away.

    Raises:
        ReportError: as `make_report`; or the ledger took this run for dead meanwhile, and its page is not shown.
    """
    html = Path(run.output)
    notebook = html.parent / run.notebook
    usage = Usage()
    begun = time.monotonic()
    finish = partial(ledger.finished, settings, run, patience_s=patience_s)
    try:
        covered = ledger.patiently(lambda: _covered(settings, run, source), patience_s)
        execute(
            html.stem,
            source,
            values,
            settings,
            notebook,
            progress=progress,
            cell_limit_s=cell_limit_s,
            run_limit_s=run_limit_s,
            memory_mb=memory_mb,
            kernels=kernels,
            usage=usage,
        )
        seconds = time.monotonic() - begun
        heading = Heading(
            run.report,
            title or "",
            run.started_at,
            seconds,
            facts(run.parameters),
            str(run.run_id),
            "../",
            slot=run.slot if run.job else None,
            coverage=covered,
            files=files(run),
        )
        write_assets(html.parent / "assets")
        page = render(notebook, heading)
        for name, content in page.files.items():
            (html.parent / files(run)).mkdir(exist_ok=True)
            replace(html.parent / files(run) / name, content)
        replace(html.parent / run.page, page.html.encode())
    except OSError as error:
        reason = f"{error.filename or html.parent}: {error.strerror or error}"
        finish(error=reason, duration_s=time.monotonic() - begun, peak_mb=usage.peak_mb, again=again())
        raise ReportError(run.report, reason) from error
    except BaseException as error:
        finish(error=_words(error), duration_s=time.monotonic() - begun, peak_mb=usage.peak_mb, again=again())
        raise
    seconds = time.monotonic() - begun
    if not finish(duration_s=seconds, peak_mb=usage.peak_mb, deliveries=deliveries):
        reason = f"the ledger took this run for dead and has given its slot away; its page is {html.parent / run.page}"
        raise ReportError(run.report, reason)
    ledger.patiently(lambda: put_in_place(settings, html), patience_s)
    return Made(run.report, html, notebook, seconds, run)


def _covered(settings: Settings, run: Run, source: Path) -> Coverage:
    """What a run that begins covers, once the ledger has noted which hours the store holds."""
    ledger.note_data(settings, run)
    try:
        noted = ledger.run_of(settings, str(run.run_id))
    except UnknownName:  # its row is gone, which the end of the run will tell
        return Coverage()
    return coverage(settings, noted, source)


def code_version(source: Path) -> str:
    """The release of Gaugebook and the start of the SHA-256 of a notebook."""
    try:
        release = version("gaugebook")
    except PackageNotFoundError:
        release = "unreleased"
    return f"{release} {hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"


def make_reports(
    settings: Settings,
    wanted: Sequence[Wanted],
    *,
    output: Path | None = None,
    progress: Progress | None = None,
) -> list[Made]:
    """Make several reports at the same time, in the order of `wanted`. All of them run; then the first error is raised.

    Raises:
        as `make_report`.
    """
    kernels: set[int] = set()
    with ThreadPoolExecutor(WORKERS) as pool:
        make = partial(make_report, settings, output=output, progress=progress, kernels=kernels)
        futures = [pool.submit(make, one.report, one.parameters, page=one.page, title=one.title) for one in wanted]
        try:
            wait(futures)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # Ctrl-C does not reach a kernel, and a thread that waits for one cannot be stopped otherwise. One that is
            # just starting its kernel gets there in a moment.
            while wait(futures, timeout=0.1).not_done:
                for kernel in list(kernels):
                    with suppress(ProcessLookupError):
                        os.kill(kernel, signal.SIGKILL)
            raise
    return [future.result() for future in futures]


def _words(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(error) if isinstance(error, GaugebookError) else f"{type(error).__name__}: {error}"
