"""Writing: rows into a table, once each however often they come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

KEY_OF = """
    SELECT attname FROM pg_index CROSS JOIN LATERAL unnest(indkey) WITH ORDINALITY AS k (attnum, nr)
    JOIN pg_attribute USING (attnum)
    WHERE indrelid = %s::regclass AND indisprimary AND attrelid = indrelid
    ORDER BY nr
"""


@dataclass(frozen=True)
class Written:
    """What became of a batch: rows that are new in the table, and rows that were there already."""

    written: int = 0
    duplicate: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(self.written + other.written, self.duplicate + other.duplicate)


def write(
    connection: psycopg.Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> Written:
    """Write `rows` to `table` (as "metrics.llm_requests") in one transaction.

    A row whose key is there already is left as it is. `columns` name the values of each row; other columns get their
    defaults. A dict goes into a jsonb column; `ts` holds aware datetimes.

    Raises:
        psycopg.Error: the database refused the batch; nothing of it was written.
    """
    batch = [[Jsonb(value) if isinstance(value, dict) else value for value in row] for row in rows]
    if not batch:
        return Written()
    _ensure_partitions(connection, table, columns, batch)
    name = sql.Identifier(*table.split("."))
    fields = sql.SQL(", ").join(map(sql.Identifier, columns))
    with connection.transaction():
        try:
            with connection.transaction():  # a savepoint, to come back to
                _copy(connection, name, fields, batch)
            return Written(len(batch))
        except (psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected):
            pass
        staging = sql.Identifier("staging")
        # In the order of the key, so that two writers of the same rows wait for each other and never in a circle.
        key = sql.SQL(", ").join(sql.Identifier(row[0]) for row in connection.execute(KEY_OF, [table]))
        connection.execute(
            sql.SQL("CREATE TEMP TABLE {} (LIKE {} INCLUDING DEFAULTS) ON COMMIT DROP").format(staging, name)
        )
        _copy(connection, staging, fields, batch)
        inserted = connection.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ORDER BY {} ON CONFLICT DO NOTHING").format(
                name, fields, fields, staging, key
            )
        )
        return Written(inserted.rowcount, len(batch) - inserted.rowcount)


def _copy(
    connection: psycopg.Connection, name: sql.Identifier, fields: sql.Composed, batch: list[list[object]]
) -> None:
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(name, fields)) as copy:
        for row in batch:
            copy.write_row(row)


def _ensure_partitions(
    connection: psycopg.Connection, table: str, columns: Sequence[str], batch: list[list[object]]
) -> None:
    if "ts" not in columns:
        return  # only what is measured is partitioned
    at = columns.index("ts")
    utc = (moment.astimezone(UTC) for row in batch if isinstance(moment := row[at], datetime))
    months = {(moment.year, moment.month): moment for moment in utc}
    with connection.transaction():
        connection.execute("CALL metrics.ensure_partitions(%s::regclass, %s)", [table, [*months.values()]])
