"""What every result has: a form for notebooks, one for terminals, and an explanation in a few sentences."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import polars as pl
    from plotly.graph_objects import Figure
    from rich.console import RenderableType

WIDTH = 110  # characters of the form for terminals where nobody says how wide they are
MOST = 12  # rows of a table that a terminal shows
COLUMNS = 9  # columns of it


class Grounds(NamedTuple):
    """Three sentences: from which `data` a result is, how `sure` it is, and what to `do` about it."""

    data: str
    sure: str
    do: str


class Shown:
    """A result that shows itself: its class has a `sentence`, and rows `for_people`."""

    @abstractmethod
    def sentence(self) -> str:
        """What it says, in one or two sentences."""

    @abstractmethod
    def for_people(self) -> pl.DataFrame | None:
        """The rows and columns that a report shows; None where there is nothing to show."""

    def advice(self) -> list[str]:
        """What to do, in the imperative, the most urgent first; none where nothing follows."""
        return []

    def tables(self) -> list[pl.DataFrame]:
        """All that is shown as tables."""
        rows = self.for_people()
        return [] if rows is None else [rows]

    def how(self) -> str:
        """How it was made, in the words of the field; empty where there is only one way."""
        return ""

    def explain(self) -> str:
        """What it says, what to do, and how it was made, a line each."""
        return "\n".join(filter(None, [self.sentence(), *self.advice(), self.how()]))

    @property
    def measured_in(self) -> str:
        """Unit of the values, "USD" for money; empty where the names of the columns tell it."""
        return str(getattr(self, "unit", ""))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.sentence()}>"

    def _repr_html_(self) -> str:
        return self._html()

    def _html(self, picture: str = "", details: str = "") -> str:
        from analytics.render import block, table

        shown = [table(one, unit=self.measured_in) for one in self.tables() if len(one)]
        return block(self.sentence(), *filter(None, [picture, *shown, details]), note=self.how())

    def __rich__(self) -> RenderableType:
        from analytics.terminal import panel

        return panel(self, most=MOST, columns=COLUMNS)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: FBT001  # as IPython calls it
        nested = cycle or len(getattr(printer, "stack", ())) > 1
        if nested:
            printer.text(repr(self))
            return
        from analytics.terminal import plain

        printer.text(plain(self, WIDTH))


class Explained(Shown):
    """A result that says where it comes from: its class has the `grounds`, a `picture` and a `plot` as well."""

    @abstractmethod
    def grounds(self) -> Grounds:
        """From which data it is, how sure it is, and what to do."""

    @abstractmethod
    def plot(self) -> Figure:
        """The chart."""

    @abstractmethod
    def picture(self) -> str:
        """A small picture without a script (SVG); empty where there is nothing to draw."""

    def explain(self) -> str:
        """What it says, from which data, how sure that is, and what to do: a few sentences, each on its line."""
        return "\n".join(filter(None, [self.sentence(), *self.grounds(), self.how()]))

    def _repr_html_(self) -> str:
        from analytics.render import details

        return self._html(self.picture(), details(self.grounds()))
