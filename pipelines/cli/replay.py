"""`gaugebook db replay`: refused rows, and a second try for them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from pipelines.cli.common import console, progress
from store.connect import connect
from store.deadletter import DeadLetters, reasons
from store.migrate import migrate
from store.settings import load
from store.write import Precedence


def replay(
    *,
    only_list: Annotated[bool, typer.Option("--list", help="show how many rows wait and why, and try none")] = False,
) -> None:
    """Try the rows again that the database has refused.

    What is stored now, or was there already, leaves the dead letters; the rest stays.

    Example: `gaugebook db replay --list`
    """
    settings = load()
    dead = DeadLetters.of(settings)
    waiting = reasons(dead.letters())
    if not waiting:
        console.print(f"no rows wait in {dead.folder}", soft_wrap=True)
        return
    console.print(f"{waiting.total():,} rows wait in {dead.folder}", soft_wrap=True)
    table = Table("table", "rows", "why", box=None)
    for (name, reason), count in waiting.most_common():
        table.add_row(name, f"{count:,}", reason)
    console.print(table)
    if only_list:
        return
    migrate(settings)
    with progress() as bar, connect(settings) as connection:
        bar.add_task("try them again", total=None)
        outcome = dead.replay(connection, precedence=Precedence.of(settings))
    console.print(
        f"{outcome.written:,} written, {outcome.duplicate:,} were there already, {len(outcome.rejected):,} still wait"
    )
