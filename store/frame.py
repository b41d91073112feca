"""A batch as a data frame: checked, sorted and encoded without a Python object per value."""

from __future__ import annotations

from collections.abc import Callable, Container
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from store.rows import Refusal, Row
from store.table import Column, Table
from store.values import END, FIRST, JSON_LIMIT, TEXT_LIMIT, TIMES, shown

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

CHUNK_ROWS = 2500  # rows that are encoded while the server takes in those before them
INTEGERS = {"smallint": pl.Int16, "integer": pl.Int32, "bigint": pl.Int64}
FLOATS = {"real": pl.Float32, "double precision": pl.Float64}
# Of each column its values as they are written, whether each is refused, and why.
Checked = tuple[pl.Series, pl.Series, str]


class Frame:
    """A frame of a table in the order of its key; `places` says which row of `given`, as it came, each one was."""

    def __init__(self, table: Table, frame: pl.DataFrame, given: pl.DataFrame, places: pl.Series) -> None:
        self.table, self.frame, self.given, self.places = table, frame, given, places

    @classmethod
    def of(cls, table: Table, given: pl.DataFrame) -> tuple[Frame, list[Refusal]]:
        """Those rows of `given` that fit into the columns, and the others."""
        columns: list[pl.Series] = []
        reasons: dict[int, str] = {}
        for column in table.columns:
            values, refused, why = _checked(column, given[column.name])
            columns.append(values.alias(column.name))
            if refused.any():
                for index in refused.arg_true():
                    reasons.setdefault(index, f"{column.name} = {shown(given[column.name][index])}: {why}")
        frame = pl.DataFrame(columns)
        out: list[Refusal] = [(given.row(index), reasons[index]) for index in sorted(reasons)]
        order = frame.select(pl.arg_sort_by([name for name in table.key if name in table.names], maintain_order=True))
        places = order.to_series()
        if reasons:
            places = places.filter(~places.is_in(list(reasons)))
        if len(places) < len(frame) or not places.is_sorted():
            frame = frame[places]
        return cls(table, frame, given, places), out

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, part: slice) -> Frame:
        return Frame(self.table, self.frame[part], self.given, self.places[part])

    @property
    def types(self) -> tuple[str, ...]:
        """The types of the columns that `copy` writes; the server casts the text of those that have no encoder."""
        return tuple(
            column.type if isinstance(self.frame[column.name].dtype, _encoded(column)) else "text"
            for column in self.table.columns
        )

    def row(self, index: int) -> Row:
        return self.given.row(self.places[index])

    def distinct(self, column: str) -> set[object]:
        return set(self.frame[column].unique())

    def later(self, moment: datetime) -> tuple[Frame, Frame]:
        """The rows after `moment`, without those whose key comes a second time; and the others."""
        late = (self.frame["ts"] > moment).fill_null(value=False) & self.frame.select(self.table.key).is_unique()
        return self._only(late), self._only(~late)

    def _only(self, wanted: pl.Series) -> Frame:
        return Frame(self.table, self.frame.filter(wanted), self.given, self.places.filter(wanted))

    def months(self) -> dict[tuple[int, int], datetime]:
        """A moment of each month that has rows; none where nothing is measured."""
        if "ts" not in self.table.names:
            return {}
        ts = self.frame["ts"].drop_nulls()
        first, last = ts.min(), ts.max()
        if not isinstance(first, datetime) or not isinstance(last, datetime):
            return {}
        if (first.year, first.month) == (last.year, last.month):
            return {(first.year, first.month): first}
        return {(moment.year, moment.month): moment for moment in ts.dt.truncate("1mo").unique()}

    def without(self, months: Container[tuple[int, int]]) -> tuple[Frame, list[Row]]:
        """The rows of other months, and those of `months` as they came."""
        starts = self.frame["ts"].dt.truncate("1mo")
        gone = [moment for moment in starts.unique() if moment is not None and (moment.year, moment.month) in months]
        out = starts.is_in(pl.Series(gone, dtype=starts.dtype).implode()).fill_null(value=False)
        return self.drop({*out.arg_true()}), [self.row(n) for n in out.arg_true()]

    def drop(self, indices: Container[int]) -> Frame:
        """The other rows."""
        keep = [n for n in range(len(self.frame)) if n not in indices]
        return Frame(self.table, self.frame[keep], self.given, self.places[keep])

    def copy(self, cursor: psycopg.Cursor, statement: psycopg.sql.Composed) -> None:
        """Run the binary COPY `statement`."""
        from pgpq import ArrowToPostgresBinaryEncoder
        from pgpq.encoders import LargeStringEncoderBuilder
        from pgpq.schema import Jsonb

        schema = self.frame[:0].to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        builders: dict[str, Any] = {
            column.name: LargeStringEncoderBuilder.new_with_output(schema.field(column.name), Jsonb())
            for column in self.table.columns
            if column.type == "jsonb"
        }
        default = ArrowToPostgresBinaryEncoder.infer_encoder
        encoder = ArrowToPostgresBinaryEncoder.new_with_encoders(
            schema, {field.name: builders.get(field.name) or default(field) for field in schema}
        )
        with cursor.copy(statement) as copy:
            copy.write(encoder.write_header())
            for start in range(0, len(self.frame), CHUNK_ROWS):
                part = self.frame[start : start + CHUNK_ROWS].to_arrow(compat_level=pl.CompatLevel.oldest())
                for batch in part.to_batches():
                    copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())


def to_polars(frame: pl.DataFrame | pa.Table) -> pl.DataFrame:
    """An Arrow table as a polars frame, without a copy where that can be."""
    if isinstance(frame, pl.DataFrame):
        return frame
    made = pl.from_arrow(frame)
    assert isinstance(made, pl.DataFrame)
    return made


def _checked(column: Column, values: pl.Series) -> Checked:
    if values.dtype == pl.Null:
        return pl.Series([None] * len(values), dtype=_empty(column)), _none(values), ""
    return _CHECK.get(column.type, _cast_by_server)(column, values)


def _integers(column: Column, values: pl.Series) -> Checked:
    if not (values.dtype.is_integer() or values.dtype.is_float()):
        return _all(column, values, "is no integer")
    cast = values.cast(INTEGERS[column.type], strict=False)
    refused = cast.is_null() & values.is_not_null()
    if values.dtype.is_float():  # the way that integers with gaps come out of pandas
        refused |= (values != values.floor()).fill_null(value=False)
        return cast, refused, f"is no integer in the range of {column.type}"
    return cast, refused, f"is out of the range of {column.type}"


def _floats(column: Column, values: pl.Series) -> Checked:
    if not values.dtype.is_numeric():
        return _all(column, values, "is no number")
    return values.cast(FLOATS[column.type]), _none(values), ""


def _numerics(column: Column, values: pl.Series) -> Checked:
    if not values.dtype.is_numeric():
        return _all(column, values, "is no number")
    return values if isinstance(values.dtype, pl.Decimal) else values.cast(pl.String), _none(values), ""


def _texts(column: Column, values: pl.Series) -> Checked:
    if values.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return _all(column, values, "is no text")
    texts = values.cast(pl.String)
    refused = _long(texts, TEXT_LIMIT) | texts.str.contains("\0", literal=True).fill_null(value=False)
    return texts, refused, f"is longer than {TEXT_LIMIT:,} characters or holds a NUL, which is no text"


def _booleans(column: Column, values: pl.Series) -> Checked:
    if values.dtype != pl.Boolean:
        return _all(column, values, "is neither true nor false")
    return values, _none(values), ""


def _moments(column: Column, values: pl.Series) -> Checked:
    dtype = values.dtype
    if not isinstance(dtype, pl.Datetime):
        return _all(column, values, "is no datetime")
    if dtype.time_zone is None:
        return _all(column, values, "is a time without a zone")
    moments = values.cast(pl.Datetime("us", "UTC"))
    if column.name != "ts":
        return moments, _none(values), ""
    return moments, ((moments < FIRST) | (moments >= END)).fill_null(value=True), f"is not in the years {TIMES}"


def _jsons(column: Column, values: pl.Series) -> Checked:
    if isinstance(values.dtype, pl.Struct):
        texts = values.struct.json_encode()
        texts = texts.set(values.is_null(), None) if values.null_count() else texts
    elif values.dtype == pl.String:
        texts = values
    else:
        return _all(column, values, "is no JSON")
    return texts, _long(texts, JSON_LIMIT), f"is longer than {JSON_LIMIT:,} characters of JSON"


def _cast_by_server(column: Column, values: pl.Series) -> Checked:
    del column
    return values.cast(pl.String), _none(values), ""


def _all(column: Column, values: pl.Series, why: str) -> Checked:
    return pl.Series([None] * len(values), dtype=_empty(column)), values.is_not_null(), why


def _none(values: pl.Series) -> pl.Series:
    return pl.repeat(value=False, n=len(values), eager=True)


def _long(texts: pl.Series, limit: int) -> pl.Series:
    longest = texts.str.len_bytes().max()
    if not isinstance(longest, int) or longest <= limit:
        return _none(texts)
    return (texts.str.len_chars() > limit).fill_null(value=False)


def _empty(column: Column) -> Any:
    return _ENCODED.get(column.type, pl.String)


def _encoded(column: Column) -> Any:
    """The class of polars types that the encoder writes as the type of `column`; none: as text alone."""
    found = _ENCODED.get(column.type, ())
    return type(found) if isinstance(found, pl.DataType) else found


_ENCODED: dict[str, Any] = {
    **INTEGERS,
    **FLOATS,
    "numeric": pl.Decimal(38, 12),
    "text": pl.String,
    "boolean": pl.Boolean,
    "timestamp with time zone": pl.Datetime("us", "UTC"),
    "jsonb": pl.String,
}
_CHECK: dict[str, Callable[[Column, pl.Series], Checked]] = {
    **dict.fromkeys(INTEGERS, _integers),
    **dict.fromkeys(FLOATS, _floats),
    "numeric": _numerics,
    "text": _texts,
    "boolean": _booleans,
    "timestamp with time zone": _moments,
    "jsonb": _jsons,
}
