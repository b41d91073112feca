"""`gaugebook export`: what a named query finds, as a file."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipelines.cli.common import console, errors
from pipelines.declared import declared, pairs, readable
from pipelines.export import export as write_file
from store.errors import FileUnusable, UnknownName
from store.settings import load


def export(
    query: Annotated[str | None, typer.Argument(help="Which query; without one they are listed.")] = None,
    file: Annotated[Path | None, typer.Argument(help="A .parquet, .csv, .jsonl or .ndjson file to write.")] = None,
    *,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE; arrays with commas, times in ISO form.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the rows of a named query to a file, however many there are; times are UTC.

    Without a query, all queries are listed with their parameters. The export is noted in the audit log.

    Example: `gaugebook export llm_requests may.parquet -p since=2026-05-01 -p until=2026-06-01`

    Example: `gaugebook export llm_series cost.csv -p grain=daily -p by=team,model -p since=2026-01-01
    -p until=2027-01-01`
    """
    if query is None:
        _list()
        return
    known = [each.query.name for each in readable()]
    if query not in known:
        _list(stderr=True)
        raise UnknownName("query to export", query, known)
    chosen = declared(query)
    values = chosen.values(pairs(parameter or []))
    if file is None:
        raise FileUnusable("FILE", f"is missing; name one, as `gaugebook export {query} {query}.parquet`")
    begun = monotonic()
    with _counter() as bar:
        task = bar.add_task(file.name, total=None, rows=0, megabytes=0.0)

        def show(rows: int, size: int) -> None:
            bar.update(task, rows=rows, megabytes=size / 1e6)

        rows = write_file(load(), query, file, values, force=force, progress=show)
    line = f"{file}: {rows:,} rows, {file.stat().st_size / 1e6:,.1f} MB, {monotonic() - begun:.1f} s"
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _list(*, stderr: bool = False) -> None:
    table = Table("query", "parameter", "type", "meaning", box=None)
    for each in readable():
        table.add_row(f"[bold]{each.query.name}[/]", "", "", each.purpose)
        for one in each.parameters:
            table.add_row("", one.name, one.type.replace("[", r"\["), one.meaning)
    (errors if stderr else console).print(table)


def _counter() -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[megabytes]:,.1f} MB"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)
