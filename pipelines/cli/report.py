"""`gaugebook report`: make reports and see which there are."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pipelines.cli.common import console, progress
from pipelines.notebooks import find, names, summary
from pipelines.parameters import check, declared, split
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
        from pipelines.publish import make_report, write_index

        made = make_report(
            settings,
            name,
            given,
            output=output,
            page=page,
            title=title,
            progress=lambda _report, done, total: bar.update(task, completed=done, total=total),
        )
        index = write_index(settings, made.html.parent)
    console.print(f"{made.report}: {made.seconds:.1f} s")
    for label, path in (("page", made.html), ("notebook", made.notebook), ("all reports", index)):
        console.print(f"  {label:12} {path}", soft_wrap=True, highlight=False, markup=False)
    if open_page:
        webbrowser.open(made.html.as_uri())


@app.command("list")
def list_reports() -> None:
    """The reports there are, and their parameters.

    Example: `gaugebook report list`
    """
    for name in names():
        notebook = find(name)
        console.print(f"[bold]{name}[/]  {summary(notebook.read_text(encoding='utf-8'))}")
        table = Table(box=None, show_header=False, padding=(0, 1, 0, 3))
        for parameter in declared(notebook).values():
            kind = " | ".join(parameter.choices) or parameter.kind
            table.add_row(f"{parameter.name}={parameter.default}", kind, parameter.help)
        console.print(table)
