"""What the commands share."""

from __future__ import annotations

from collections.abc import Iterable

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

console = Console()
errors = Console(stderr=True)


def progress() -> Progress:
    """The progress bar that every long command shows; it goes to stderr and leaves stdout to the result."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )


def conclude(line: str, problems: Iterable[str]) -> None:
    """Say what an import has done; where there are problems, say them first, and exit with 2."""
    said = [*problems, line]
    for one in said:
        (errors if len(said) > 1 else console).print(one, markup=False, highlight=False, soft_wrap=True)
    if len(said) > 1:
        raise typer.Exit(2)
