"""A named query as a file: Parquet, CSV or JSON lines, in bounded memory and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import psycopg

from store import audit
from store.connect import connect
from store.errors import FileUnusable, StoreError
from store.read import stream
from store.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    Write: TypeAlias = Callable[[pl.DataFrame], None]
    Writer: TypeAlias = Callable[[IO[bytes]], AbstractContextManager[Write]]

GROUP_BYTES = 32 * 2**20  # of a row group of Parquet, before compression
ISO = "%Y-%m-%dT%H:%M:%S%.6fZ"


def export(
    settings: Settings,
    name: str,
    file: Path,
    parameters: Mapping[str, Any],
    *,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the rows of the named query to `file` and note it in the audit log; how many rows it has.

    The ending says what is written: .parquet (zstd), .csv, .jsonl or .ndjson. Times are UTC; in CSV and JSON lines as
    2026-05-01T12:00:00.000000Z, and arrays in CSV are JSON. It is written beside `file` and renamed when it is whole.

    Args:
        settings: where to read.
        name: a named query that only reads.
        file: in a folder that is there.
        parameters: those of the query.
        force: replace a file that is there.
        progress: told the rows and bytes written so far.

    Raises:
        FileUnusable: it is there already, has another ending, or cannot be written.
        StoreError: as `store.read.stream`.
    """
    writer = WRITERS.get(file.suffix.lower())
    if writer is None:
        raise FileUnusable(file, f"ends in none of {', '.join(WRITERS)}")
    if file.is_dir():
        raise FileUnusable(file, "is a folder")
    if file.exists() and not force:
        raise FileUnusable(file, "is there already; --force replaces it")
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    rows = 0
    try:
        with part.open("wb") as out, closing(stream(settings, name, **parameters)) as frames:
            with writer(out) as write:
                for frame in frames:
                    write(frame)
                    rows += len(frame)
                    if progress:
                        progress(rows, out.tell())
            out.flush()
            os.fsync(out.fileno())
        # Noted before it is handed over: no note, no file.
        _note(settings, name, "ok", {"file": str(file.absolute()), "rows": rows})
        part.replace(file)
    except StoreError as error:
        with suppress(StoreError, psycopg.Error):  # the first error is the one to tell
            _note(settings, name, "error", {"file": str(file.absolute()), "rows": rows, "reason": str(error)[:1000]})
        raise
    except OSError as error:
        raise FileUnusable(file, error.strerror or str(error)) from error
    finally:
        part.unlink(missing_ok=True)
    return rows


def _note(settings: Settings, name: str, outcome: str, details: Mapping[str, object]) -> None:
    with connect(settings) as connection:
        if audit.kept(connection):
            audit.note(connection, "export", f"query {name}", outcome, details)


@contextmanager
def _parquet(out: IO[bytes]) -> Iterator[Write]:
    import polars as pl
    from pyarrow.parquet import ParquetWriter

    writer: ParquetWriter | None = None
    waiting: list[pl.DataFrame] = []

    def flush() -> None:
        nonlocal writer
        table = pl.concat(waiting).to_arrow()
        waiting.clear()
        if writer is None:
            writer = ParquetWriter(out, table.schema, compression="zstd")
        writer.write_table(table)

    def write(frame: pl.DataFrame) -> None:
        waiting.append(frame)
        if sum(one.estimated_size() for one in waiting) >= GROUP_BYTES:
            flush()

    yield write
    if waiting:
        flush()
    if writer:
        writer.close()


@contextmanager
def _lines(out: IO[bytes], *, json: bool) -> Iterator[Write]:
    import polars as pl
    from polars import selectors as cs

    header = not json

    def write(frame: pl.DataFrame) -> None:
        nonlocal header
        frame = frame.with_columns(cs.datetime().dt.to_string(ISO))
        if json:
            frame.write_ndjson(out)
            return
        lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
        frame.with_columns(_json(name) for name in lists).write_csv(out, include_header=header)
        header = False

    yield write


def _json(name: str) -> pl.Expr:
    """A column of arrays as JSON: polars encodes structs alone."""
    import polars as pl

    encoded = pl.struct(pl.col(name).alias("_")).struct.json_encode()
    return pl.when(pl.col(name).is_not_null()).then(encoded.str.strip_prefix('{"_":').str.strip_suffix("}")).alias(name)


WRITERS: dict[str, Writer] = {
    ".parquet": _parquet,
    ".csv": partial(_lines, json=False),
    ".jsonl": partial(_lines, json=True),
    ".ndjson": partial(_lines, json=True),
}
