"""Imports files: requests into `metrics.llm_requests`, bucketed usage into `metrics.llm_usage`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from collectors.files import presets
from collectors.files.columns import REQUESTS, USAGE, Clock, Preset, Table, read_constants, resolve
from collectors.files.read import Contents, Progress, open_records
from collectors.files.rows import Problem, RowMaker
from collectors.files.values import time
from collectors.llm import prices
from store.connect import connect
from store.errors import FileUnusable, ParameterInvalid, StoreError
from store.precedence import Precedence
from store.rollup import refresh
from store.settings import Settings
from store.write import Written, write

BATCH_ROWS = 5000
SHOWN = 5  # problems that are kept

Values = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file: `rows` = `written` + `duplicate` + `rejected` + `skipped`; the first `problems`.

    Skipped is what an export holds beside requests, such as the spans of a trace.
    """

    rows: int
    written: int
    duplicate: int
    rejected: int
    problems: tuple[Problem, ...] = ()
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of `load_llm` and `load_usage`."""

    preset: str | None
    columns: Mapping[str, str]
    constants: Mapping[str, object]
    start: str | datetime | None
    dry_run: bool
    progress: Progress | None


def load_llm(
    settings: Settings,
    path: Path | str,
    *,
    preset: str | None = None,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, object] | None = None,
    start: str | datetime | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Import a file of requests into `metrics.llm_requests`. The same file a second time adds nothing.

    Args:
        settings: names the database.
        path: a CSV, JSON (lines, or an array) or Parquet file.
        preset: `azure-llm-2023`, `llmperf`, `litellm-spend`, `langfuse` or `helicone`.
        columns: field -> column of the file, where they differ; an empty column: the file has none for that field.
        constants: field -> value that is the same in every row; it wins over a column.
        start: what second 0 of the file's clock is, in UTC, where the file has no dates.
        dry_run: check every row and write none; `written` then counts the good rows.
        progress: called with the bytes read so far and the size of the file.

    Raises:
        FileUnusable: the file cannot be read, or has no rows.
        ColumnMissing: the file lacks a column; nothing is written.
        UnknownName, ParameterInvalid: a preset, field, constant or `start` makes no sense.
        SettingsError: the price file holds what it should not.
        StoreError: the database cannot be reached or refused rows; those before them are in.
    """
    options = Options(preset, columns or {}, constants or {}, start, dry_run, progress)
    return _load(REQUESTS, settings, Path(path), options)


def load_usage(
    settings: Settings,
    path: Path | str,
    *,
    preset: str | None = None,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, object] | None = None,
    start: str | datetime | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Import a file of usage in buckets into `metrics.llm_usage`; arguments and errors are those of `load_llm`.

    The preset is `servegen`. Without one, the file or `constants` must say `width_s`, the width of a bucket in seconds.
    """
    options = Options(preset, columns or {}, constants or {}, start, dry_run, progress)
    return _load(USAGE, settings, Path(path), options)


def _load(table: Table, settings: Settings, path: Path, options: Options) -> Imported:
    prices.use(settings.llm_prices)
    preset = presets.find(options.preset, table)
    constants = read_constants(table, options.constants)
    begin = _start(preset, options.start)
    total, written, rejected, kept = 0, Written(), 0, 0
    precedence = Precedence.of(settings)
    problems: list[Problem] = []
    with ExitStack() as stack:
        contents = stack.enter_context(open_records(path))
        mapped = resolve(table, preset, options.columns, constants, contents.columns)
        maker = RowMaker(table, preset, mapped, begin, datetime.now(UTC))
        connection = None if options.dry_run else stack.enter_context(connect(settings))
        for count, rows, bad in _batches(contents, maker):
            total, rejected, kept = total + count, rejected + len(bad), kept + len(rows)
            problems += bad[: SHOWN - len(problems)]
            written += (
                Written(len(rows)) if connection is None else _write(connection, table, maker.columns, rows, precedence)
            )
            if options.progress:
                options.progress(contents.position(), contents.size)
    if not total:
        raise FileUnusable(path, "has no rows")
    if not options.dry_run:
        refresh(settings)
    skipped = total - rejected - kept
    return Imported(total, written.written, written.duplicate, rejected, tuple(problems), skipped)


def _batches(contents: Contents, maker: RowMaker) -> Iterator[tuple[int, list[Values], list[Problem]]]:
    """How many records there were, their rows and their problems, so many records at a time."""
    rows: list[Values] = []
    bad: list[Problem] = []
    count = 0
    for index, record in enumerate(contents.records):
        made = maker.make(record, index)
        count += 1
        if isinstance(made, Problem):
            bad.append(made)
        elif made is not None:
            rows.append(made)
        if count >= BATCH_ROWS:
            yield count, rows, bad
            count, rows, bad = 0, [], []
    yield count, rows, bad


def _write(
    connection: psycopg.Connection, table: Table, columns: Sequence[str], rows: list[Values], precedence: Precedence
) -> Written:
    try:
        written = write(connection, table.name, columns, rows, precedence=precedence)
    except psycopg.Error as error:
        raise StoreError(f"{table.name} refused rows: {str(error).partition(chr(10))[0]}") from error
    if written.rejected:  # the rows were checked when they were made: something else is wrong
        raise StoreError(f"{table.name} refused {len(written.rejected)} rows, the first: {written.rejected[0].reason}")
    return written


def _start(preset: Preset | None, start: str | datetime | None) -> datetime | None:
    if start is None:
        if preset and preset.clock is not Clock.DATES:
            reason = f"files of {preset.name} have no dates: say when they begin, such as 2024-01-01"
            raise ParameterInvalid("start", reason)
        return None
    if preset and preset.clock is Clock.DATES:
        raise ParameterInvalid("start", f"files of {preset.name} have dates of their own")
    try:
        return time(start)
    except ValueError as error:
        raise ParameterInvalid("start", str(error)) from None
