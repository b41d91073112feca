"""Rows as bytes and back: MessagePack, with extensions for the values that it has no type for."""

from __future__ import annotations

import gc
import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import ormsgpack

Rows = Sequence[Sequence[object]]

_OPTIONS = ormsgpack.OPT_PASSTHROUGH_DATETIME | ormsgpack.OPT_PASSTHROUGH_BIG_INT | ormsgpack.OPT_PASSTHROUGH_UUID
_MOMENT, _PAIRS, _TEXT, _OTHER, _MOMENTS, _DECIMALS, _ALL_ONE = 0, 1, 2, 3, 9, 10, 11  # 4 to 8: see _AS_TEXT
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS = struct.Struct("<q")
# In this order: a datetime is a date as well. Python refuses the decimal digits of very long integers.
_AS_TEXT: dict[int, tuple[type, Callable[..., str], Callable[[str], object]]] = {
    4: (datetime, datetime.isoformat, datetime.fromisoformat),
    5: (date, date.isoformat, date.fromisoformat),
    6: (Decimal, str, Decimal),
    7: (int, hex, lambda text: int(text, 16)),
    8: (UUID, str, UUID),
}
_CODES = {kind: code for code, (kind, _, _) in _AS_TEXT.items()}


@dataclass(frozen=True)
class Foreign:
    """The `repr` of a value whose type is not kept. No column takes it: its row is refused, and not lost."""

    text: str

    def __str__(self) -> str:
        return self.text


def pack(table: str, columns: Sequence[str], rows: Rows) -> bytes:
    """The batch as bytes, column by column. Every value comes back as it is; a time zone as its offset.

    >>> unpack(pack("t", ("a", "b"), [(1, Decimal("1.10")), (2**70, "x")]))
    ('t', ('a', 'b'), [(1, Decimal('1.10')), (1180591620717411303424, 'x')])
    """
    try:
        values = [_column(column) for column in zip(*rows, strict=True)]
        return ormsgpack.packb((table, columns, len(rows), values), default=_extend, option=_OPTIONS)
    except (
        TypeError,
        ValueError,
    ):  # rows of different lengths, a lone surrogate, a key that is no text, or something deep
        return ormsgpack.packb((table, columns, [[_plain(value) for value in row] for row in rows]), _extend, _OPTIONS)


def unpack(payload: bytes) -> tuple[str, tuple[str, ...], Rows]:
    """Table, columns and rows of what `pack` made.

    Raises:
        ValueError: the bytes are something else.
    """
    try:
        with _no_garbage():
            table, columns, *kept = ormsgpack.unpackb(payload, ext_hook=_revive)
        if len(kept) == 1:
            return table, tuple(columns), kept[0]  # row by row
        count, values = kept
        return table, tuple(columns), list(zip(*values, strict=True)) if values else [()] * count
    except (TypeError, ArithmeticError) as error:
        raise ValueError(str(error)) from error


def _column(values: tuple[Any, ...]) -> Sequence[object] | ormsgpack.Ext:
    """The values of a column, as one extension where each of them would be one."""
    kinds = set(map(type, values))
    if kinds == {datetime} and {value.tzinfo for value in values} == {UTC}:
        return ormsgpack.Ext(_MOMENTS, array("q", [(value - _EPOCH) // _MICROSECOND for value in values]).tobytes())
    if Decimal in kinds and kinds <= {Decimal, type(None)}:
        return ormsgpack.Ext(_DECIMALS, " ".join("" if value is None else str(value) for value in values).encode())
    if kinds <= {str, type(None)} and values.count(values[0]) == len(values):
        return ormsgpack.Ext(_ALL_ONE, ormsgpack.packb((len(values), values[0])))
    return values


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Values are made by the ten thousand and none is garbage: to look for it takes longer than to make them."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _extend(value: Any) -> ormsgpack.Ext:
    kind = type(value)
    if kind is datetime and value.tzinfo is UTC:
        return ormsgpack.Ext(_MOMENT, _MICROSECONDS.pack((value - _EPOCH) // _MICROSECOND))
    code = _CODES.get(kind) or next((code for code, (of, _, _) in _AS_TEXT.items() if isinstance(value, of)), _OTHER)
    text = repr(value) if code == _OTHER else _AS_TEXT[code][1](value)
    return ormsgpack.Ext(code, text.encode("utf-8", "backslashreplace"))


def _revive(code: int, data: bytes) -> object:
    if code in _REVIVED:
        return _REVIVED[code](data)
    text = data.decode()
    return Foreign(text) if code == _OTHER else _AS_TEXT[code][2](text)


def _all_one(data: bytes) -> list[object]:
    count, value = ormsgpack.unpackb(data)
    return [value] * count


_REVIVED: dict[int, Callable[[bytes], object]] = {
    _MOMENT: lambda data: _EPOCH + timedelta(microseconds=_MICROSECONDS.unpack(data)[0]),
    _PAIRS: lambda data: dict(map(tuple, ormsgpack.unpackb(data, ext_hook=_revive))),
    _TEXT: lambda data: data.decode("utf-8", "surrogatepass"),
    _MOMENTS: lambda data: [_EPOCH + timedelta(0, 0, microseconds) for microseconds in array("q", data)],
    _DECIMALS: lambda data: [Decimal(text) if text else None for text in data.decode().split(" ")],
    _ALL_ONE: _all_one,
}


def _plain(value: object) -> object:
    """`value`, with what MessagePack refuses outright wrapped up."""
    try:
        ormsgpack.packb(value, _extend, _OPTIONS)
    except TypeError:
        pass
    else:
        return value
    if isinstance(value, str):
        return ormsgpack.Ext(_TEXT, value.encode("utf-8", "surrogatepass"))
    try:
        if isinstance(value, dict) and all(isinstance(key, str | int | float | None) for key in value):
            pairs = [[_plain(key), _plain(inner)] for key, inner in value.items()]
            return ormsgpack.Ext(_PAIRS, ormsgpack.packb(pairs, _extend, _OPTIONS))
        if isinstance(value, list | tuple):
            wrapped = [_plain(inner) for inner in value]
            ormsgpack.packb(wrapped, _extend, _OPTIONS)
            return wrapped
    except (RecursionError, TypeError):  # nested deeper than any column takes
        pass
    return ormsgpack.Ext(_OTHER, f"{type(value).__name__} that cannot be kept".encode())
