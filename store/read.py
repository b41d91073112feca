"""Reading: a named query into a frame, or into a stream of them, as Arrow all the way."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, Literal, overload

from store.arrow import frame
from store.batches import batches
from store.connect import conninfo_for_reading
from store.errors import ParameterInvalid, StoreError, UnknownName
from store.queries import named
from store.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

ROWS = 250_000  # of a frame of a stream, at most


@overload
def read(
    settings: Settings, name: str, /, *, as_: Literal["polars"] = "polars", **parameters: object
) -> pl.DataFrame: ...
@overload
def read(settings: Settings, name: str, /, *, as_: Literal["pandas"], **parameters: object) -> pd.DataFrame: ...
def read(
    settings: Settings, name: str, /, *, as_: Literal["polars", "pandas"] = "polars", **parameters: object
) -> pl.DataFrame | pd.DataFrame:
    """The rows of the named query; `store.arrow` has the table of types.

    Args:
        settings: where to read: `dsn_read`, else the database itself.
        name: a file of sql/queries, without its ending.
        as_: polars, or pandas with Arrow's types.
        parameters: those of the query, by name.

    Returns:
        Times are UTC, in microseconds. A result without rows has its columns.

    Raises:
        UnknownName: there is no such query or kind of frame.
        ParameterInvalid: a parameter is missing or not known.
        Unreachable: the database does not answer.
        StoreError: it refuses the query, or a column of it is of a type that a frame does not hold.
    """
    import polars as pl

    if as_ not in ("polars", "pandas"):
        raise UnknownName("kind of frame", as_, ("polars", "pandas"))
    whole = pl.concat(_frames(settings, name, parameters), rechunk=False)
    return whole if as_ == "polars" else whole.to_pandas(use_pyarrow_extension_array=True)


def stream(settings: Settings, name: str, /, *, rows: int = ROWS, **parameters: object) -> Generator[pl.DataFrame]:
    """The rows of the named query in frames of at most `rows`, as they come; for results larger than memory.

    Memory stays below some 100 MB, however many rows there are. Stop whenever you like: closing the iterator (leaving
    a `for` closes it with its last reference; `contextlib.closing` at once) and Ctrl-C cancel the query in the server.

    Returns:
        Frames as `read` returns; one without rows where there are none at all.

    Raises:
        ParameterInvalid: `rows` is below 1; else as `read` raises, the database's own errors with the first frame or
            later.
    """
    if rows < 1:
        raise ParameterInvalid("rows", f"expected one or more, got {rows!r}")
    return _sliced(_frames(settings, name, parameters), rows)


def _frames(settings: Settings, name: str, parameters: dict[str, object]) -> Generator[pl.DataFrame]:
    text = named(name).bound(parameters)
    return _converted(conninfo_for_reading(settings), text, f"query {name!r}")


def _converted(target: str, text: str, what: str) -> Generator[pl.DataFrame]:
    with closing(batches(target, text, what)) as fetched:
        for batch in fetched:
            try:
                converted = frame(batch)
            except StoreError as error:
                raise StoreError(f"{what}: {error}") from error
            del batch  # its room is needed for the next one
            yield converted


def _sliced(frames: Generator[pl.DataFrame], rows: int) -> Generator[pl.DataFrame]:
    with closing(frames):
        for whole in frames:
            if whole.is_empty():
                yield whole
            yield from whole.iter_slices(rows)
