"""Frames that a cell shows, carried whole beside what is shown of them, so that a page can offer all their numbers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from IPython.core.interactiveshell import InteractiveShell

MIME = "application/vnd.gaugebook.frames+json"
LARGEST = 5_000_000  # bytes in memory: what is larger is not carried, a notebook being no store

Frames = Callable[[Any], "Sequence[pl.DataFrame]"]


def register(shell: InteractiveShell) -> None:
    """Let every table that a shell displays carry its frame: those of polars, of pandas, of results, and of `show`.

    An output then has, besides its HTML, a list of Parquet files in base64, one for each table in the HTML. No package
    is imported for it: types are known by their names.
    """
    display: Any = shell.display_formatter  # it has no types
    for module, name, frames in KINDS:
        display.mimebundle_formatter.for_type_by_name(module, name, lambda made, frames=frames: bundle(frames(made)))


def bundle(frames: Sequence[pl.DataFrame]) -> dict[str, list[str]]:
    """Frames as an output carries them; nothing where one is too large, or holds what a Parquet file cannot.

    >>> import polars as pl
    >>> carried = bundle([pl.DataFrame({"y": [1.5]})])
    >>> [pl.read_parquet(file).rows() for file in unpacked(carried[MIME])]
    [[(1.5,)]]
    """
    import polars as pl

    made = []
    for frame in frames:
        if frame.estimated_size() > LARGEST or pl.Object in frame.dtypes:
            return {}
        packed = BytesIO()
        try:
            frame.write_parquet(packed, compression="zstd")
        except pl.exceptions.PolarsError:
            return {}
        made.append(base64.b64encode(packed.getvalue()).decode())
    return {MIME: made} if made else {}


def unpacked(carried: Sequence[str]) -> list[bytes]:
    """The Parquet files of an output."""
    return [base64.b64decode(file) for file in carried]


def _of_pandas(frame: pd.DataFrame) -> list[pl.DataFrame]:
    """A pandas frame with the index that it shows, but for one that only counts; none where polars cannot take it."""
    import pandas as pd
    import polars as pl

    try:
        indexed = frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
        columns: list[Any] = list(indexed.columns)  # tuples, where there are several levels
        names = [" ".join(map(str, name)).strip() if isinstance(name, tuple) else str(name) for name in columns]
        return [pl.from_pandas(indexed.set_axis(names, axis="columns"))]
    except (TypeError, ValueError, NotImplementedError, pl.exceptions.PolarsError):  # Arrow's are among them
        return []


KINDS: Sequence[tuple[str, str, Frames]] = (
    ("polars.dataframe.frame", "DataFrame", lambda frame: [frame]),
    ("pandas", "DataFrame", _of_pandas),
    ("pandas.io.formats.style", "Styler", lambda styled: _of_pandas(styled.data)),
    ("analytics.article", "Table", lambda table: [table.frame]),
    ("analytics.explained", "Shown", lambda result: [one for one in result.tables() if len(one)]),
)
