"""What the catalogue says of a table: its columns, its key, its checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg

from store.errors import UnknownName

COLUMNS = """
    SELECT attname, atttypid::int8, format_type(atttypid, NULL)
    FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
    ORDER BY attnum
"""
KEY = """
    SELECT attname FROM pg_index CROSS JOIN LATERAL unnest(indkey) WITH ORDINALITY AS k (attnum, nr)
    JOIN pg_attribute USING (attnum)
    WHERE indrelid = %s::regclass AND indisprimary AND attrelid = indrelid
    ORDER BY nr
"""
CHECKS = """
    SELECT conname, pg_get_constraintdef(pg_constraint.oid), array_agg(attname::text)
    FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
    WHERE conrelid = %s::regclass AND contype = 'c'
    GROUP BY pg_constraint.oid, conname
"""


@dataclass(frozen=True)
class Column:
    """A column; `type` is its name in PostgreSQL, such as "bigint", and `oid` its number."""

    name: str
    oid: int
    type: str


@dataclass(frozen=True)
class Table:
    """A table as a batch sees it: `columns` are those that the batch has, in its order.

    `key` are the columns of the primary key; `checks` holds the columns and the text of each CHECK by its name.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    checks: Mapping[str, tuple[tuple[str, ...], str]]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def look_up(connection: psycopg.Connection, name: str, columns: Sequence[str]) -> Table:
    """The table `name`, such as "metrics.llm_requests", with those of its columns that a batch has.

    Raises:
        UnknownName: it has no such column.
        psycopg.errors.UndefinedTable: there is no such table.
    """
    with connection.transaction():
        present = {row[0]: Column(*row) for row in connection.execute(COLUMNS, [name])}
        key = tuple(row[0] for row in connection.execute(KEY, [name]))
        checks = {row[0]: (tuple(row[2]), row[1]) for row in connection.execute(CHECKS, [name])}
    for column in columns:
        if column not in present:
            raise UnknownName(f"column of {name}", column, present)
    return Table(name, tuple(present[column] for column in columns), key, checks)
