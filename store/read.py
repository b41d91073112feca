"""Reading: a named query into a polars frame, as Arrow all the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.connect import conninfo, where
from store.errors import StoreError, Unreachable
from store.queries import named
from store.settings import Settings

if TYPE_CHECKING:
    import polars as pl


def read(settings: Settings, name: str, **parameters: object) -> pl.DataFrame:
    """The rows of the named query; times are UTC, in microseconds.

    Raises:
        UnknownName: there is no such query.
        ParameterInvalid: a parameter is missing or not known.
        Unreachable: the database does not answer.
        StoreError: it refuses the query; says so in its own words.

    Source:
        ADBC hands PostgreSQL's binary rows to Arrow without a Python object per value.
    """
    import polars as pl
    from adbc_driver_postgresql import dbapi

    text = named(name).bound(parameters)
    target = conninfo(settings)
    try:
        connection = dbapi.connect(target)
    except dbapi.Error as error:
        raise Unreachable(where(target), _message(error)) from None  # the cause may print the DSN
    with connection, connection.cursor() as cursor:
        try:
            cursor.execute(text)
            table = cursor.fetch_arrow_table()
        except dbapi.Error as error:
            message = _message(error)
            if error.sqlstate in ("42P01", "3F000"):  # undefined table, invalid schema
                message = "the schema is not there or is old; run `gaugebook db migrate`"
            raise StoreError(f"query {name!r}: {message}") from error
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _message(error: Exception) -> str:
    return str(error).splitlines()[0].rpartition("ERROR:  ")[2].rpartition("FATAL:  ")[2].strip()
