"""`gaugebook report`: make reports and see which there are."""

from __future__ import annotations

import json
import signal
import sys
import webbrowser
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from pipelines import ledger, schedule
from pipelines.cli.common import console, progress
from pipelines.notebooks import find, names, summary
from pipelines.parameters import check, declared, split
from store.errors import ParameterInvalid
from store.migrate import migrate
from store.settings import load

app = typer.Typer(no_args_is_help=True, help="Make reports and see which there are.")


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="the report, as `gaugebook report list` names it")],
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", metavar="KEY=VALUE", help="a parameter; may be repeated")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="folder to write into; default: the `reports` setting")] = None,
    page: Annotated[
        str | None, typer.Option(help="name of the page; default: the report's, so other parameters replace it")
    ] = None,
    title: Annotated[str | None, typer.Option(help="a title in place of the notebook's own")] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="a PDF and a picture of each chart, too; needs Chromium")] = False,  # noqa: FBT002
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="show the page in a browser")] = False,  # noqa: FBT002
) -> None:
    """Run a report and write its page; the last good page stays if the run fails.

    Example: `gaugebook report run llm_cost -p days=60 --output /srv/reports`
    """
    given = split(parameter or [])
    check(declared(find(name)), given)
    settings = load()
    migrate(settings)
    with progress() as bar:
        task = bar.add_task(name, total=None)
        # What it needs takes a second to import, and a wrong parameter should be refused at once.
        from pipelines.index import write_index
        from pipelines.publish import make_report

        made = make_report(
            settings,
            name,
            given,
            output=output,
            page=page,
            title=title,
            progress=lambda _report, done, total: bar.update(task, completed=done, total=total),
        )
        printed = _printed(made.run) if pdf else None
        index = write_index(settings, made.html.parent)
    console.print(f"{made.report}: {made.seconds:.1f} s")
    places = [("page", made.html), ("PDF", printed), ("notebook", made.notebook), ("all reports", index)]
    for label, path in ((label, path) for label, path in places if path):
        console.print(f"  {label:12} {path}", soft_wrap=True, highlight=False, markup=False)
    if open_page:
        webbrowser.open(made.html.as_uri())


@app.command("print")
def print_run(run_id: Annotated[str, typer.Argument(help="a run, as `gaugebook report history` names it")]) -> None:
    """Make the PDF of a good run and a picture of each of its charts, beside its page in `history/`. Needs Chromium.

    Example: `gaugebook report print 1f0c2a77`
    """
    with progress() as bar:
        bar.add_task("print", total=None)
        made = _printed(ledger.run_of(load(), run_id))
    console.print(str(made), soft_wrap=True, highlight=False, markup=False)


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="port of 127.0.0.1; 0: any free one")] = 8790,
    folder: Annotated[Path | None, typer.Option(help="folder of reports; default: the `reports` setting")] = None,
) -> None:
    """Show the reports to browsers of this machine, with the index from the ledger, until Ctrl-C or SIGTERM.

    To show them to others, let a web server serve the folder: its pages are files.

    Example: `gaugebook report serve --port 8790`
    """
    from pipelines.serve import server

    settings = load()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with server(settings, folder or settings.reports, port=port) as serving:
        console.print(f"http://127.0.0.1:{serving.server_port}/", highlight=False)
        serving.serve_forever()


@app.command("list")
def list_reports(
    plan: Annotated[
        Path | None, typer.Option("--schedule", help="schedule (TOML); default: the `schedule` setting, or ours")
    ] = None,
) -> None:
    """The reports there are with their parameters, and when each is due by the schedule.

    Example: `gaugebook report list`
    """
    jobs = schedule.read(plan or load().schedule)
    now = datetime.now(UTC)
    for name in names():
        notebook = find(name)
        console.print(f"[bold]{name}[/]  {summary(notebook.read_text(encoding='utf-8'))}")
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 3))
        for parameter in declared(notebook).values():
            kind = " | ".join(parameter.choices) or parameter.kind
            table.add_row(f"{parameter.name}={parameter.default}", kind, parameter.help)
        console.print(table)
        for job in jobs:
            if job.report == name:
                line = (
                    f"   job {job.name}: {job.cron}, next {job.next(now):%Y-%m-%d %H:%M} UTC, catches up {job.catch_up}"
                )
                console.print(line, markup=False, highlight=False, soft_wrap=True)


@app.command()
def history(
    name: Annotated[str | None, typer.Argument(help="a job or a report; default: all")] = None,
    *,
    latest: Annotated[int, typer.Option(min=1, help="how many runs")] = 20,
    skipped: Annotated[bool, typer.Option("--skipped", help="slots that were skipped, too")] = False,
) -> None:
    """The last runs, newest first: when, for which slot, how it ended, how long it took.

    Example: `gaugebook report history llm_cost --latest 50`
    """
    found = ledger.history(load(), name, latest=latest, skipped=skipped)
    if not found:
        console.print("there are no runs in the ledger" if name is None else f"no run of {name} is in the ledger")
        return
    table = Table("run", "report", "slot", "attempt", "began", "outcome", "took", "memory", "error", box=None)
    for run in found:
        table.add_row(
            run.run_id.hex[:8],
            Text(run.job or f"{run.report} (by hand)"),
            f"{run.slot:%Y-%m-%d %H:%M}" if run.job else "",
            str(run.attempt) if run.job else "",
            f"{run.started_at:%Y-%m-%d %H:%M}",
            run.outcome,
            f"{run.seconds:.1f} s" if run.seconds is not None else "",
            f"{run.peak_mb:.0f} MB" if run.peak_mb is not None else "",
            Text((run.error or "").partition("; the notebook as far")[0], overflow="ellipsis", no_wrap=True),
        )
    console.print(table)


@app.command()
def show(run_id: Annotated[str, typer.Argument(help="a run, as `gaugebook report history` names it")]) -> None:
    """All that the ledger knows of a run, and where its page and its notebook are.

    Example: `gaugebook report show 1f0c2a77`
    """
    run = ledger.run_of(load(), run_id)
    folder = Path(run.output).parent
    lines: list[tuple[str, object]] = [
        ("run", run.run_id),
        ("report", run.report),
        ("job", run.job or "none: by hand"),
        ("slot", run.slot.isoformat()),
        ("attempt", run.attempt),
        ("outcome", run.outcome),
        ("error", run.error),
        ("tried again", run.retry_at.isoformat() if run.retry_at else None),
        ("began", run.started_at.isoformat()),
        ("ended", run.finished_at.isoformat() if run.finished_at else None),
        ("took", f"{run.seconds:.1f} s" if run.seconds is not None else None),
        ("memory", f"{run.peak_mb:.0f} MB at most" if run.peak_mb is not None else None),
        ("host", run.host),
        ("code", run.code_version),
        *(("parameter", f"{name}={value}") for name, value in run.parameters.items()),
        *(("data", f"{name} {' to '.join(span)}") for name, span in (run.data_spans or {}).items()),
        *(("delivery", json.dumps(one)) for one in run.deliveries),
        ("page", _here(folder / run.page)),
        ("notebook", _here(folder / run.notebook)),
    ]
    for label, value in lines:
        if value is not None:
            console.print(f"{label:12} {value}", soft_wrap=True, highlight=False, markup=False)


@app.command()
def retry(
    job: Annotated[str, typer.Argument(help="a job of the schedule")],
    slot: Annotated[str | None, typer.Option(help="which, as an ISO time; default: the latest")] = None,
) -> None:
    """Ask for a slot to be made once more, whatever became of it; the next tick does it.

    The good page of that slot stays until there is another one.

    Example: `gaugebook report retry llm_cost --slot 2026-11-02T05:15Z && gaugebook tick`
    """
    asked = ledger.retry(load(), job, slot=_moment(slot) if slot else None)
    console.print(f"{job} {asked:%Y-%m-%dT%H:%MZ}: the next tick makes it once more", highlight=False, markup=False)


def _printed(run: ledger.Run) -> Path:
    from pipelines.prints import prints

    return prints(run).pdf


def _here(path: Path) -> str | None:
    return str(path) if path.is_file() else None


def _moment(text: str) -> datetime:
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise ParameterInvalid("slot", f"must be a time such as 2026-11-02T05:15Z, not {text!r}") from None
    return given if given.tzinfo else given.replace(tzinfo=UTC)
