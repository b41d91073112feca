"""What all results have that are one table: the table as polars, as pandas, and as the kind of frame that came in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from analytics.explained import Shown
from analytics.frames import Kind, native

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from analytics.frames import Frame


class _Result(Protocol):
    @property
    def table(self) -> pl.DataFrame: ...
    @property
    def kind(self) -> Kind: ...


class Tabled(Shown):
    """A result with its `table`, and the `kind` of frame that it was made of."""

    def for_people(self: _Result) -> pl.DataFrame | None:
        """The rows and columns that a report shows: all of them."""
        return self.table

    def to_polars(self: _Result) -> pl.DataFrame:
        """`table` as polars."""
        return self.table

    def to_pandas(self: _Result) -> pd.DataFrame:
        """`table` as pandas."""
        return self.table.to_pandas()

    def to_native(self: _Result) -> Frame:
        """`table` as the kind of frame that came in."""
        return native(self.table, self.kind)
