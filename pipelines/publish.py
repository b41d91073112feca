"""Make reports: run, render, put in place, note in the ledger, list on an index page.

A folder of reports holds `index.html`, one `PAGE.html` per report (its last good run), `assets/` for all of them and
`history/` with the executed notebook of every run, good or not.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from html import unescape
from itertools import groupby
from pathlib import Path
from uuid import uuid4

from pipelines import ledger
from pipelines.execute import CELL_LIMIT_S, RUN_LIMIT_S, Progress, execute
from pipelines.ledger import Run
from pipelines.notebooks import find
from pipelines.parameters import Value, check, declared
from pipelines.render import TEMPLATES, Heading, environment, render
from store.errors import FileUnusable, GaugebookError, ParameterInvalid, ReportError
from store.settings import Settings

WORKERS = 2  # a report is one busy kernel
PAGE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
HEAD = 4000  # characters of a page that hold its title and description


@dataclass(frozen=True)
class Made:
    """A report that was made: its page, its executed notebook, and the seconds it took."""

    report: str
    html: Path
    notebook: Path
    seconds: float


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
    if not PAGE.fullmatch(page) or page == "index":
        raise ParameterInvalid("page", f"{page!r} cannot name a page; use a-z, 0-9, _ and -, and not index")
    folder = _folder(output or settings.reports)

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
    )
    html = Path(run.output)
    notebook = folder / run.notebook
    ledger.started(settings, run)
    try:
        execute(
            page,
            source,
            values,
            settings,
            notebook,
            progress=progress,
            cell_limit_s=cell_limit_s,
            run_limit_s=run_limit_s,
            kernels=kernels,
        )
        seconds = (datetime.now(UTC) - started_at).total_seconds()
        shown = facts(run.parameters)
        _write_assets(folder / "assets")
        _replace(html, render(notebook, Heading(name, title or "", started_at, seconds, shown)).encode())
    except OSError as error:
        reason = f"{error.filename or folder}: {error.strerror or error}"
        ledger.finished(settings, run, error=reason)
        raise ReportError(name, reason) from error
    except BaseException as error:
        ledger.finished(settings, run, error=_words(error))
        raise
    ledger.finished(settings, run)
    return Made(name, html, notebook, (datetime.now(UTC) - started_at).total_seconds())


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


def write_index(settings: Settings, folder: Path) -> Path:
    """Write `index.html` of a folder of reports from the ledger: the last runs of each page, newest first.

    A run that has said nothing for longer than a run may take is shown as interrupted.
    """
    folder = _folder(folder)
    by_page = groupby(ledger.runs(settings, folder), key=lambda run: run.output)
    cards = [_card(Path(page), list(runs)) for page, runs in by_page]
    page = environment().get_template("index.html.j2").render(cards=cards, now=datetime.now(UTC))
    index = folder / "index.html"
    _replace(index, page.encode())
    return index


def facts(parameters: Mapping[str, Value]) -> list[tuple[str, str]]:
    """The parameters of a run for people; those that are not set are left out."""
    said = {name: value for name, value in parameters.items() if value is not None and value != ""}
    words = {True: "yes", False: "no"}
    return [
        (name.replace("_", " "), words[value] if isinstance(value, bool) else str(value))
        for name, value in said.items()
    ]


def _words(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return str(error) if isinstance(error, GaugebookError) else f"{type(error).__name__}: {error}"


def _write_assets(folder: Path) -> None:
    from plotly.offline import get_plotlyjs

    folder.mkdir(exist_ok=True)
    for name, content in (
        ("plotly.min.js", get_plotlyjs().encode()),
        ("report.js", (TEMPLATES / "report.js").read_bytes()),
    ):
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            _replace(path, content)


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part."""
    written = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        written.write_bytes(content)
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)


def _folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileUnusable(folder, f"cannot be a folder of reports: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise FileUnusable(folder, "cannot be written to")
    return folder.resolve()


def _card(page: Path, runs: Sequence[Run]) -> dict[str, object]:
    head = page.read_text(encoding="utf-8")[:HEAD] if page.is_file() else ""
    title, summary = (re.search(tag, head) for tag in (r"<title>(.*?)</title>", r'name="description" content="(.*?)"'))
    return {
        "report": page.stem,
        "title": unescape(title[1]) if title else page.stem,
        "summary": unescape(summary[1]) if summary else "",
        "page": page.name if head else None,
        "good_at": next((run.started_at for run in runs if run.outcome == "ok"), None),
        "runs": [_line(page.parent, run) for run in runs],
        "facts": facts(runs[0].parameters),
    }


def _line(folder: Path, run: Run) -> dict[str, object]:
    lost = run.outcome == "running" and datetime.now(UTC) - run.started_at > timedelta(seconds=2 * RUN_LIMIT_S)
    return {
        "started_at": run.started_at,
        "outcome": "interrupted" if lost else run.outcome,
        "seconds": run.seconds,
        "error": run.error,
        "notebook": run.notebook if (folder / run.notebook).is_file() else None,
    }
