"""The records of a CSV, JSON lines or Parquet file, one after the other and in bounded memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from collectors.files.array import Elements, is_array
from collectors.files.lines import Line, Lines, check_file
from store.errors import FileUnusable

PARQUET = b"PAR1"
PARQUET_ROWS = 2000  # read at once
SAMPLED_RECORDS, SAMPLED_CHARACTERS = 100, 1 << 22  # whose keys are the columns of a JSON lines file
MOST_LINES = 20  # that a quoted CSV field may run over
NO_OBJECT = "is not a JSON object"
DEEPEST = 5  # levels of JSON objects that become dotted columns

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Record:
    """One record: the `line` it starts on, its `values` by column, and its `content` as it stands in the file.

    Where `problem` is set, the record cannot be read and has no values.
    """

    line: int
    values: dict[str, Any]
    content: str = ""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """The columns of a file and its records; `position` is how many bytes of `size` have been read."""

    columns: tuple[str, ...]
    records: Iterator[Record]
    position: Callable[[], int]
    size: int


@contextmanager
def open_records(path: Path) -> Iterator[Contents]:
    """Open a file by its name (.csv, .jsonl, .ndjson, .parquet; the text ones also .gz), else by what it starts with.

    A JSON file may hold an array instead of lines; the number of an element then stands for that of the line.

    Raises:
        FileUnusable: it cannot be read as what it should be.
    """
    check_file(path)
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    with path.open("rb") as file:
        magic = file.read(len(PARQUET))
    if magic == PARQUET or suffixes[-1:] == [".parquet"]:
        with _parquet(path) as contents:
            yield contents
        return
    if suffixes[-1:] != [".csv"] and is_array(path):
        with Elements(path) as elements:
            yield _json_array(elements)
        return
    with Lines(path) as lines:
        first = next(lines, None)
        if first is None:
            raise FileUnusable(path, "is empty")
        is_json = suffixes[-1:] in ([".jsonl"], [".ndjson"], [".json"]) or (first.text or "").lstrip().startswith("{")
        contents = _json_lines(lines, first) if is_json and suffixes[-1:] != [".csv"] else _csv(lines, first)
        yield contents


def _csv(lines: Lines, first: Line) -> Contents:
    if first.text is None:
        raise FileUnusable(lines.path, f"has no header: {first.problem}")
    if not first.text.strip():
        raise FileUnusable(lines.path, "has no header: its first line is blank")
    try:
        columns = tuple(name.strip() for name in _fields(first.text))
    except csv.Error as error:
        raise FileUnusable(lines.path, f"has no header: {error}") from error
    twice = {name for name in columns if name and columns.count(name) > 1}
    if twice:
        raise FileUnusable(lines.path, f"has two columns named {min(twice)!r}")
    return Contents(columns, _csv_records(lines, columns), lines.position, lines.size)


def _csv_records(lines: Lines, columns: tuple[str, ...]) -> Iterator[Record]:
    for line in lines:
        if line.text is None:
            yield Record(line.number, {}, problem=line.problem)
        elif line.text.strip():
            text = _joined(lines, line.text)
            try:
                fields = _fields(text)
            except csv.Error as error:
                yield Record(line.number, {}, problem=f"is not CSV: {error}")
                continue
            if len(fields) == len(columns):
                yield Record(line.number, dict(zip(columns, fields, strict=True)), text)
            else:
                reason = f"has {len(fields)} fields where the header has {len(columns)}"
                yield Record(line.number, {}, problem=reason)


def _fields(text: str) -> list[str]:
    if '"' not in text:
        return text.split(",")
    return next(csv.reader([text], strict=True))


def _joined(lines: Lines, text: str) -> str:
    """`text` with the lines that its open quote takes in; alone where the quote is never closed."""
    if text.count('"') % 2 == 0:
        return text
    taken: list[Line] = []
    joined = text
    for line in islice(lines, MOST_LINES):
        taken.append(line)
        if line.text is None:
            break
        joined += "\n" + line.text
        if joined.count('"') % 2 == 0:
            return joined
    lines.push_back(taken)  # one stray quote must not swallow the good rows after it
    return text


def _json_lines(lines: Lines, first: Line) -> Contents:
    return _sampled(_json_records(chain([first], lines)), lines.path, lines.position, lines.size)


def _json_array(elements: Elements) -> Contents:
    records = (
        Record(number, _flat(found), text) if isinstance(found, dict) else Record(number, {}, problem=NO_OBJECT)
        for number, found, text in elements
    )
    return _sampled(records, elements.path, elements.position, elements.size)


def _sampled(records: Iterator[Record], path: Path, position: Callable[[], int], size: int) -> Contents:
    """The columns are those of the first records."""
    sample: list[Record] = []
    while len(sample) < SAMPLED_RECORDS and sum(len(record.content) for record in sample) < SAMPLED_CHARACTERS:
        record = next(records, None)
        if record is None:
            break
        sample.append(record)
    columns = tuple(dict.fromkeys(name for record in sample for name in record.values))
    if sample and not columns:
        raise FileUnusable(path, f"is not JSON lines: line {sample[0].line} {sample[0].problem}")
    return Contents(columns, chain(sample, records), position, size)


def _json_records(lines: Iterator[Line]) -> Iterator[Record]:
    for line in lines:
        if line.text is None:
            yield Record(line.number, {}, problem=line.problem)
            continue
        if not line.text.strip():
            continue
        try:
            found = json.loads(line.text)
        except (ValueError, RecursionError) as error:
            yield Record(line.number, {}, problem=f"is not JSON: {error}")
            continue
        if isinstance(found, dict):
            yield Record(line.number, _flat(found), line.text)
        else:
            yield Record(line.number, {}, problem=NO_OBJECT)


def _flat(found: dict[str, Any], prefix: str = "", depth: int = 1) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in found.items():
        if isinstance(value, dict) and depth < DEEPEST:
            flat.update(_flat(value, f"{prefix}{name}.", depth + 1))
        else:
            flat[prefix + name] = value
    return flat


@contextmanager
def _parquet(path: Path) -> Iterator[Contents]:
    try:
        import pyarrow.parquet as pq
        from pyarrow import ArrowException
    except ImportError as error:
        raise FileUnusable(path, "is Parquet: install gaugebook[analytics] to read it") from error
    try:
        with pq.ParquetFile(path) as file:
            size, done = path.stat().st_size, [0]

            def records() -> Iterator[Record]:
                line, total = 0, max(1, file.metadata.num_rows)
                try:
                    for batch in file.iter_batches(PARQUET_ROWS):
                        for values in batch.to_pylist():
                            line += 1
                            flat = _flat(values)
                            yield Record(line, flat, repr(flat))
                        done[0] = size * line // total
                except (ArrowException, OSError) as error:
                    raise FileUnusable(path, f"is a broken Parquet file after row {line}: {error}") from error

            yield Contents(tuple(file.schema_arrow.names), records(), lambda: done[0], size)
    except (ArrowException, OSError) as error:
        raise FileUnusable(path, f"is not a Parquet file: {str(error).partition(chr(10))[0]}") from error
