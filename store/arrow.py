"""An Arrow batch of PostgreSQL's types as a polars frame.

| PostgreSQL | polars |
|---|---|
| timestamptz, timestamp | Datetime in microseconds, UTC |
| numeric (also the sum of bigints) | Float64, good for 15 figures; cast to text in the query where every digit counts |
| json, jsonb, uuid | String |
| text, integers, floats, boolean, date, time, bytea | their namesakes |
| arrays of text, numbers, booleans, jsonb | List |

Anything else is refused, with the advice to cast it to text in the query.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.errors import StoreError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

UUID_PARTS = ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))  # offset and length in its 32 hexadecimal digits


def frame(batch: pa.RecordBatch) -> pl.DataFrame:
    """The batch as a frame that shares no memory with it, so that the batch can go as a whole.

    Texts are stored once each: 16 bytes a row and the distinct ones.

    Raises:
        StoreError: a column is of a type that a frame does not hold; names it.
    """
    import polars as pl

    return pl.DataFrame([_series(field, batch.column(n)) for n, field in enumerate(batch.schema)])


def _series(field: pa.Field[Any], column: pa.Array[Any]) -> pl.Series:
    import polars as pl
    import pyarrow as pa

    kind = getattr(field.type, "extension_name", None)
    if kind == "arrow.uuid":
        digits = pl.Series(field.name, _storage(column).cast(pa.binary())).bin.encode("hex").to_frame()
        parts = [pl.col(field.name).str.slice(start, length) for start, length in UUID_PARTS]
        # concat_str makes nulls of nulls, as it should.
        return digits.select(pl.concat_str(parts, separator="-").alias(field.name)).to_series()
    column = _plain(field, column)
    if pa.types.is_string(column.type):
        encoded = column.dictionary_encode()
        texts, places = pl.Series(encoded.dictionary), pl.Series(encoded.indices)
        return texts.cast(pl.String).gather(places).alias(field.name)
    # A column of a batch holds on to all of it; a copy of the column does not.
    series = pl.Series(field.name, pa.concat_arrays([column, column[:0]]))
    if isinstance(series.dtype, pl.Datetime) and series.dtype.time_zone is None:
        return series.dt.replace_time_zone("UTC")
    return series


def _plain(field: pa.Field[Any], column: pa.Array[Any]) -> pa.Array[Any]:
    """The column without Arrow's extension types."""
    import pyarrow as pa

    element: Any = field.type.value_type if pa.types.is_list(field.type) else field.type
    kind = getattr(element, "extension_name", None)
    if kind == "arrow.json":
        return column.cast(pa.list_(pa.string())) if element is not field.type else _storage(column)
    if kind == "arrow.opaque" and element.type_name == "numeric":
        if element is not field.type:
            return column.cast(pa.list_(pa.string())).cast(pa.list_(pa.float64()))
        return _storage(column).cast(pa.float64())
    if kind is not None or pa.types.is_interval(element) or pa.types.is_nested(element):
        declared = (field.metadata or {}).get(b"POSTGRESQL:type", b"?").decode()
        raise StoreError(
            f"column {field.name!r} is of PostgreSQL type {declared}, which a frame does not hold; "
            f"write {field.name}::text in the query"
        )
    return column


def _storage(column: pa.Array[Any]) -> pa.Array[Any]:
    stored: pa.Array[Any] = column.storage  # type: ignore[attr-defined]
    return stored
