"""Results in a terminal: the sentence, and the table in columns, by rich."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import polars as pl

from analytics.render import cell, heading

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from analytics.explained import Shown


def panel(made: Shown, *, most: int, columns: int) -> RenderableType:
    """The sentence and the first table; no text of it is taken for markup."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(made.sentence())]
    shown = next(iter(made.tables()), None)
    if shown is not None and len(shown):
        parts.append(grid(shown, unit=made.measured_in, most=most, columns=columns))
    return Group(*parts)


def grid(frame: pl.DataFrame, *, unit: str = "", most: int = 12, columns: int = 9) -> Table:
    """A frame as a table of rich; rows and columns beyond `most` and `columns` are counted in its caption."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    left_rows, left_columns = len(frame) - most, len(frame.columns) - columns
    left = [f"{count:,} more {what}" for count, what in ((left_rows, "rows"), (left_columns, "columns")) if count > 0]
    made = Table(box=box.SIMPLE_HEAD, caption=f"and {', '.join(left)}" if left else None, caption_justify="left")
    names = frame.columns[:columns]
    for name in names:
        right = frame.schema[name].is_numeric()
        made.add_column(Text(heading(name)), justify="right" if right else "left", overflow="fold")
    for row in frame.head(most).select(names).iter_rows():
        made.add_row(*(Text(cell(name, value, unit)) for name, value in zip(names, row, strict=True)))
    return made


def plain(made: Shown, width: int) -> str:
    """The same as text without colours, for IPython.

    >>> from analytics import cost
    >>> print(plain(cost.what_if(pl.DataFrame({"model": ["m"], "requests": [1], "total_cost": [1.0]}), requests=2), 60))
    All requests 2 x requests: $2.00 instead of $1.00 (up 100
    %).
    ...
    """
    from rich.console import Console

    console = Console(file=StringIO(), width=width, color_system=None, force_jupyter=False)  # it would show itself
    with console.capture() as captured:
        console.print(made)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).rstrip()
