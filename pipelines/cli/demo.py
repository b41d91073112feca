"""`gaugebook demo`: the main job on simulated or real data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from pipelines.cli.common import console, errors, progress
from store.settings import load


def demo(
    data: Annotated[
        Path | None, typer.Option(help="Use the real traces in this folder instead of the simulator.", exists=True)
    ] = None,
) -> None:
    """Run the main job from end to end: collect, roll up, forecast, find anomalies, report.

    It uses databases of its own on the embedded server: `gaugebook_demo`, which every run builds anew from simulated
    rows, real calls of the openai client against a local server and the broker, if one answers; or with --data
    `gaugebook_traces`, from the traces alone, to which a second run adds nothing. Your own data is not touched.

    Example: `gaugebook demo` or `gaugebook demo --data ../shared/data`
    """
    from pipelines.demo import run  # takes a second, and a collector host has not got what it needs

    settings = load()
    begun = time.perf_counter()
    summary = run(settings, step, data=data or None)
    table = Table(show_header=False, box=None, padding=(0, 2))
    for what, found in summary.lines:
        table.add_row(what, Text(found, overflow="fold"))
    table.add_row("seconds", f"{time.perf_counter() - begun:.1f}")
    console.print(table)
    console.print(f"\nThe reports: [bold]{summary.index and summary.index.resolve().as_uri()}[/]", soft_wrap=True)
    console.print(
        f"More: [bold]GAUGEBOOK_DATABASE={summary.settings.database} gaugebook lab[/]. "
        "The embedded server goes on; [bold]gaugebook db stop[/] ends it.",
        soft_wrap=True,
    )


@contextmanager
def step(title: str) -> Iterator[Callable[[float, float], None]]:
    """Show one step of a long command: a bar while it runs, its seconds when it is done."""
    begun = time.perf_counter()
    with progress() as bars:
        bar = bars.add_task(title, total=None)

        def advance(done: float, of: float) -> None:
            bars.update(bar, completed=done, total=of)

        yield advance
    errors.print(f"[green]✓[/] {title} [dim]{time.perf_counter() - begun:.1f} s[/]", highlight=False)
