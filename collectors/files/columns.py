"""Which column of a file goes into which field of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from collectors.files import values
from collectors.files.values import Reader
from store.errors import ColumnMissing, ParameterInvalid, UnknownName

PREPARED = "preset:"  # columns that a preset makes itself, so that they cannot be taken for those of the file
ATTRIBUTE = "attrs."  # a field `attrs.region` goes into the column attrs, under the key region

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Table:
    """A table that files are imported into: its fields and their readers, those that a file must have, and defaults."""

    name: str
    kind: str
    fields: Mapping[str, Reader]
    required: tuple[str, ...]
    defaults: Mapping[str, object]


_USAGE = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")

REQUESTS = Table(
    "metrics.llm_requests",
    "llm",
    {
        "ts": values.time,
        **dict.fromkeys(("request_id", "provider", "model", "response_model", "operation", "team"), values.key),
        **dict.fromkeys(("project", "environment", "source", "error_type"), values.key),
        "status": values.one_of("ok", "error", "cancelled"),
        "http_status": values.http_status,
        "streamed": values.flag,
        **dict.fromkeys(("ttfc_s", "ttft_s", "duration_s", "output_tokens_per_s"), values.amount),
        **dict.fromkeys(_USAGE, values.count),
        "usage_source": values.one_of("reported", "estimated", "missing"),
        "cost_usd": values.money,
        "price_version": values.key,
    },
    ("ts", "input_tokens", "output_tokens"),
    {
        **dict.fromkeys(("provider", "model"), "unknown"),
        **dict.fromkeys(("team", "project"), "unassigned"),
        "operation": "chat",
        "environment": "default",
        "source": "import",
        "status": "ok",
    },
)
USAGE = Table(
    "metrics.llm_usage",
    "usage",
    {
        "ts": values.time,
        "width_s": values.width,
        **dict.fromkeys(("provider", "model", "team", "project", "source"), values.key),
        "requests": values.count,
        **dict.fromkeys(_USAGE, values.count),
        "usage_source": values.one_of("reported", "estimated", "missing"),
        "cost_usd": values.money,
        "price_version": values.key,
    },
    ("ts", "width_s", "requests", "input_tokens", "output_tokens"),
    {
        **dict.fromkeys(("provider", "model"), "unknown"),
        **dict.fromkeys(("team", "project"), "unassigned"),
        "source": "import",
    },
)


class Clock(Enum):
    """What a file says of the time."""

    DATES = "dates"
    SECONDS = "seconds after a start that is not in the file"
    NONE = "nothing"


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of the files of one source. `columns` maps fields to columns.

    `extra` reads fields that the table lacks; `finish` turns the values of a row, those too, into a row of the table.
    Where a field is found in no single column, `prepare` makes columns named by `prepared` from the values of a record,
    or returns None for a record that is to be skipped; of each tuple in `needs`, the file must have one column, or
    columns below it.
    """

    name: str
    table: Table
    columns: Mapping[str, str]
    finish: Callable[[Row], None]
    constants: Mapping[str, object] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    extra: Mapping[str, Reader] = field(default_factory=dict)
    clock: Clock = Clock.DATES
    prepare: Callable[[Mapping[str, Any]], dict[str, Any] | None] | None = None
    needs: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Mapped:
    """Where each field of a row comes from: (field, column, reader), and what is the same in every row."""

    sources: tuple[tuple[str, str, Reader], ...]
    constants: Row


def read_constants(table: Table, given: Mapping[str, object]) -> Row:
    """The constants, converted.

    Raises:
        UnknownName: there is no such field.
        ParameterInvalid: a value does not fit its field.
    """
    constants: Row = {}
    for name, value in given.items():
        try:
            constants[name] = reader_of(table, None, name)(value)
        except ValueError as error:
            raise ParameterInvalid(name, str(error)) from None
    return constants


def resolve(
    table: Table,
    preset: Preset | None,
    chosen: Mapping[str, str],
    constants: Mapping[str, object],
    present: Iterable[str],
) -> Mapped:
    """Find each field's column in a file that has the columns `present`.

    A constant wins over a column, a chosen column over the preset's, and that over one with the field's own name.
    A field whose chosen column is empty is left out.

    Raises:
        ColumnMissing: a column that was chosen or that the preset or the table needs is not there.
        UnknownName: a field that was chosen does not exist.
    """
    present = tuple(present)
    for names in preset.needs if preset else ():
        if not any(column in names or column.startswith(tuple(f"{name}." for name in names)) for column in present):
            raise ColumnMissing(names[0], present)
    present += tuple(preset.columns.values()) if preset and preset.prepare else ()
    preset_columns = preset.columns if preset else {}
    same = {name: name for name in table.fields if name in present and name not in preset_columns}
    columns = {**same, **preset_columns, **chosen}
    sources = []
    for name, column in columns.items():
        reader = reader_of(table, preset, name)
        if name in constants or not column:
            continue
        if column in present:
            sources.append((name, column, reader))
        elif name in chosen or not preset or column not in preset.optional:
            raise ColumnMissing(column, present)
    left_out = {name for name, column in chosen.items() if not column}
    settled = {name for name, _, _ in sources} | set(constants) | left_out
    for name in () if preset else table.required:
        if name not in settled:
            raise ColumnMissing(name, present)
    return Mapped(tuple(sources), {**(preset.constants if preset else {}), **constants})


def prepared(name: str) -> str:
    """The column that a preset makes for the field `name`."""
    return PREPARED + name


def reader_of(table: Table, preset: Preset | None, name: str) -> Reader:
    """How the field `name` is read; a field below `attrs.` is text."""
    if name.startswith(ATTRIBUTE) and len(name) > len(ATTRIBUTE):
        return values.text
    reader = table.fields.get(name) or (preset.extra.get(name) if preset else None)
    if reader is None:
        raise UnknownName("field", name, table.fields)
    return reader
