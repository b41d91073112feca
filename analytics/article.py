"""What a notebook says: sentences, pictures and tables, and a plain sentence where there is no data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from analytics.advice import steps
from analytics.attempts import answer, attempt
from analytics.render import OPENED, markdown, table
from store.errors import NoRows, TooShort

__all__ = ["answer", "attempt", "show", "steps"]


@dataclass(frozen=True, repr=False)
class Table:
    """A frame as a report shows it: its first rows, in the units that the names of its columns tell, else in `unit`."""

    frame: pl.DataFrame
    unit: str = ""

    def _repr_html_(self) -> str:
        return f"{OPENED}{table(self.frame, unit=self.unit)}</div>"

    def __repr__(self) -> str:
        return repr(self.frame)


def show(*parts: Any, unit: str = "") -> None:
    """Display each part: text, a chart, a frame, a result; of a function, what it returns.

    A function that finds no rows, or too few, says so in a sentence instead of failing: that is no error in a report.

    Args:
        parts: plain text (shown as it is, no markup), plotly figures, polars frames, results of analyses, functions
            without arguments that return one of these, or tuples of them.
        unit: unit of the values in frames, "USD" for money.

    >>> show("2 < 3")
    <IPython.core.display.Markdown object>
    """
    from IPython import display as ipython

    shown: Any = ipython  # it has no types

    for made in _made(parts):
        if isinstance(made, str):
            shown.display(shown.Markdown(markdown(made)))
        elif isinstance(made, pl.DataFrame) and made.is_empty():
            shown.display(shown.Markdown("No rows."))
        elif isinstance(made, pl.DataFrame):
            shown.display(Table(made, unit))
        else:
            shown.display(made)


def _made(part: Any) -> Iterator[Any]:
    """What is to be shown, tuples opened and functions called; None is nothing."""
    if isinstance(part, tuple):
        for one in part:
            yield from _made(one)
    elif callable(part):
        try:
            made = part()
        except (NoRows, TooShort) as error:
            made = str(error)
        yield from _made(made)
    elif part is not None:
        yield part
