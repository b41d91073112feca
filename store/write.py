"""Writing: rows into a table, once each however often they come."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, Self
from weakref import WeakKeyDictionary

import psycopg
from psycopg import errors, sql

from store.precedence import FIELDS, Precedence
from store.rows import Row, Rows
from store.table import Table, look_up
from store.values import shown

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

__all__ = ["Precedence", "Rejected", "Written", "write", "write_frame"]

ATTEMPTS = 6  # of a batch that met a deadlock or a serialization failure
BACK_OFF_S = 0.05  # before the second one; twice as long before each further one
WARY = 20  # batches after a duplicate of which only what is later than all that is stored is copied
NEWEST = "SELECT metrics.newest(%s::regclass)"
TOO_OLD = "GB001"  # what metrics.ensure_partitions says of months whose raw rows have been dropped
ROW_IS_BAD = (
    psycopg.DataError,
    psycopg.IntegrityError,
    errors.ProgramLimitExceeded,  # a key too long for its index
    TypeError,
    ValueError,
    OverflowError,
)
# The hours of a batch are marked from memory. The table is there already, but for the first batch of a session.
PREPARE = """
    SET LOCAL client_min_messages = warning;
    SET LOCAL work_mem = '64MB';
    CREATE TEMP TABLE IF NOT EXISTS {staging} ({columns}) ON COMMIT DELETE ROWS;
    {clear}
"""
SUPERSEDE = """
    SELECT settled.losers::text[], settled.removed
    FROM (SELECT array_agg(ctid) AS refs, array_agg(ts) AS sent, array_agg(request_id) AS ids,
                 array_agg(provider) AS providers, array_agg(source) AS sources
          FROM {staging} WHERE source = ANY (%(sources)s)) AS given
    CROSS JOIN LATERAL metrics.supersede(refs, sent, ids, providers, given.sources, %(sources)s, %(window)s) AS settled
    WHERE refs IS NOT NULL
"""


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be stored, as it was given, and why: a sentence that names the column and the value."""

    row: Row
    reason: str


@dataclass(frozen=True)
class Written:
    """What became of a batch: rows that are new, rows that were there already, rows that cannot be stored."""

    written: int = 0
    duplicate: int = 0
    rejected: tuple[Rejected, ...] = ()

    def __add__(self, other: Written) -> Written:
        return Written(
            self.written + other.written, self.duplicate + other.duplicate, (*self.rejected, *other.rejected)
        )


class Batch(Protocol):
    """Rows that fit into the columns of `table`, in the order of its key."""

    table: Table

    @property
    def types(self) -> tuple[str, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, part: slice) -> Self: ...
    def row(self, index: int) -> Row: ...
    def later(self, moment: datetime) -> tuple[Self, Self]: ...
    def distinct(self, column: str) -> set[object]: ...
    def months(self) -> dict[tuple[int, int], datetime]: ...
    def without(self, months: Container[tuple[int, int]]) -> tuple[Self, list[Row]]: ...
    def drop(self, indices: Container[int]) -> Self: ...
    def copy(self, cursor: psycopg.Cursor, statement: sql.Composed) -> None: ...


@dataclass
class _Session:
    """What is known of the database through one connection."""

    tables: dict[tuple[str, tuple[str, ...]], Table] = field(default_factory=dict)
    months: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    direct: bool = True  # whether it may copy into a table, which row-level security forbids
    wary: int = 0  # batches to come in which duplicates are expected


_sessions: WeakKeyDictionary[psycopg.Connection, _Session] = WeakKeyDictionary()


def write(
    connection: psycopg.Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    precedence: Precedence | None = None,
) -> Written:
    """Write `rows` to `table` (as "metrics.llm_requests") in one transaction: all that can be stored, or none.

    A row whose primary key is there already, in the table or earlier in the batch, is a duplicate: the first to come
    stays. A row that cannot be stored is rejected and the rest goes on. A role needs no more than INSERT on the table,
    TEMP on the database and EXECUTE on the functions `ensure_partitions`, `newest` and `supersede` of metrics.

    Args:
        connection: outside a transaction, the batch is committed; inside one, it belongs to it.
        table: with its schema.
        columns: name the values of each row; other columns get their defaults.
        rows: datetimes with a zone; text of up to 10,000 characters; a dict, or JSON of up to 65,536 characters, for
            jsonb; an int, Decimal or float for numeric.
        precedence: how one call that two sources report becomes one row, where the batch has `ts`, `request_id`,
            `provider` and `source`. Default: every report is a call of its own.

    Raises:
        UnknownName: the table has no such column.
        psycopg.OperationalError: the database is away, or has cancelled the statement; nothing of the batch was
            written. Deadlocks and serialization failures come here only after several attempts.
        psycopg.Error: the table is not there, or the role may not write to it; nothing of the batch was written.
    """
    given = rows if isinstance(rows, list | tuple) else list(rows)
    if not given:
        return Written()
    session = _sessions.setdefault(connection, _Session())
    batch, refused = Rows.of(_table(connection, session, table, columns), given)
    rejected = Written(rejected=tuple(Rejected(*refusal) for refusal in refused))
    return _write(connection, session, batch, precedence) + rejected


def write_frame(
    connection: psycopg.Connection,
    table: str,
    frame: pl.DataFrame | pa.Table,
    *,
    precedence: Precedence | None = None,
) -> Written:
    """Write a polars frame or an Arrow table as `write` does, and faster: no Python object is made per value.

    Its columns are named as those of the table and have the same types or narrower ones: whole floats do for integers,
    floats for numeric, text or structs for jsonb, datetimes of any zone and unit (cut to microseconds) for timestamptz.
    Of a column of another type every value is rejected.
    """
    from store.frame import Frame, to_polars

    given = to_polars(frame)
    if given.is_empty():
        return Written()
    if any(dtype.is_object() for dtype in given.dtypes):
        return write(connection, table, given.columns, given.rows(), precedence=precedence)
    session = _sessions.setdefault(connection, _Session())
    batch, refused = Frame.of(_table(connection, session, table, given.columns), given)
    rejected = Written(rejected=tuple(Rejected(*refusal) for refusal in refused))
    return _write(connection, session, batch, precedence) + rejected


def _table(connection: psycopg.Connection, session: _Session, name: str, columns: Sequence[str]) -> Table:
    known = (name, tuple(columns))
    if known not in session.tables:
        session.tables[known] = look_up(connection, name, columns)
    return session.tables[known]


def _write(connection: psycopg.Connection, session: _Session, batch: Batch, precedence: Precedence | None) -> Written:
    if not len(batch):
        return Written()
    rule = precedence if precedence and _settles(precedence, batch) else None
    nested = connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _attempt(connection, session, batch, rule)
        except (errors.SerializationFailure, errors.DeadlockDetected):
            if nested or attempt == ATTEMPTS:  # a transaction that is not ours has to be tried again as a whole
                raise
            time.sleep(BACK_OFF_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311
        except errors.CheckViolation as error:
            # Retention dropped the partition of a month that was there: it has to be made again, or refused.
            if error.diag.constraint_name is not None or attempt == ATTEMPTS:
                raise
            session.months.clear()
    raise AssertionError("unreachable")


def _attempt(connection: psycopg.Connection, session: _Session, batch: Batch, rule: Precedence | None) -> Written:
    batch, rejected = _make_room(connection, session, batch)
    if not len(batch):
        return rejected
    emptied = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    while True:
        try:
            with connection.transaction():
                copied = None if rule else _copy(connection, session, batch, emptied=emptied)
                return rejected + (copied or _store(connection, batch, rule, emptied=emptied))
        except ROW_IS_BAD as error:
            if _no_partition(error):
                raise
            refusal = error
        bad: list[int] = []
        with suppress(*ROW_IS_BAD), connection.transaction():  # other rows may be bad in another way
            bad = _all_like(connection, batch, refusal)
        if not bad:
            with connection.transaction():
                return rejected + _split(connection, batch, rule, refusal)
        rejected += Written(rejected=tuple(Rejected(batch.row(n), _reason(batch[n : n + 1], refusal)) for n in bad))
        batch = batch.drop({*bad})
        if not len(batch):
            return rejected


def _all_like(connection: psycopg.Connection, batch: Batch, refusal: Exception) -> list[int]:
    """All rows of `batch` that the CHECK or NOT NULL of `refusal` refuses; none where it was another thing."""
    if not isinstance(refusal, psycopg.IntegrityError):
        return []
    columns, rule = batch.table.checks.get(refusal.diag.constraint_name or "", ((), ""))
    if isinstance(refusal, errors.NotNullViolation) and refusal.diag.column_name in batch.table.names:
        broken = sql.SQL("{} IS NULL").format(sql.Identifier(refusal.diag.column_name))
    elif columns and {*columns} <= {*batch.table.names} and rule.startswith("CHECK "):
        broken = sql.SQL("{} IS FALSE").format(sql.SQL(rule.removeprefix("CHECK ")))
    else:
        return []
    staging, casts = _stage(connection, batch, emptied=False)
    found = connection.execute(
        sql.SQL("SELECT {} FROM (SELECT ctid, {} FROM {}) AS staged ORDER BY ctid").format(broken, casts, staging)
    )
    return [n for n, (bad,) in enumerate(found) if bad]


def _split(connection: psycopg.Connection, batch: Batch, rule: Precedence | None, refusal: Exception) -> Written:
    """Store what can be stored of a refused batch: its halves are tried apart, down to the bad rows."""
    if len(batch) == 1:
        return Written(rejected=(Rejected(batch.row(0), _reason(batch, refusal)),))
    middle = len(batch) // 2
    outcome = Written()
    for half in (batch[:middle], batch[middle:]):
        try:
            with connection.transaction():  # a savepoint
                outcome += _store(connection, half, rule, emptied=False)
        except ROW_IS_BAD as error:
            if _no_partition(error):
                raise
            outcome += _split(connection, half, rule, error)
    return outcome


def _store(connection: psycopg.Connection, batch: Batch, rule: Precedence | None, *, emptied: bool) -> Written:
    """Store all of `batch` in the transaction that is open; `emptied`: no row was staged in it before."""
    table = batch.table
    staging, casts = _stage(connection, batch, emptied=emptied)
    replaced = _settle(connection, staging, rule) if rule else 0
    # A role that may only insert can name no columns in ON CONFLICT.
    inserted = connection.execute(
        sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ON CONFLICT DO NOTHING").format(
            sql.Identifier(*table.name.split(".")), _fields(table), casts, staging
        )
    ).rowcount
    new = inserted - min(inserted, replaced)  # a row that takes the place of another one is no new one
    return Written(new, len(batch) - new)


def _copy(connection: psycopg.Connection, session: _Session, batch: Batch, *, emptied: bool) -> Written | None:
    """Copy `batch` straight into its table; none where that cannot be, or where a row of it was there already.

    After a duplicate only what is later than all that is stored is copied, and the rest is inserted.
    """
    table = batch.table
    if not session.direct or batch.types != tuple(column.type for column in table.columns):
        return None
    rest = None
    if session.wary:
        if "ts" not in table.key or not {*table.key} <= {*table.names}:
            return None
        (newest,) = connection.execute(NEWEST, [table.name]).fetchone() or (None,)
        batch, rest = batch.later(newest)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)")
    try:
        with connection.transaction(), connection.cursor() as cursor:
            batch.copy(cursor, statement.format(sql.Identifier(*table.name.split(".")), _fields(table)))
    except errors.UniqueViolation:
        session.wary = WARY
        return None
    except errors.FeatureNotSupported:
        session.direct = False
        return None
    copied = Written(len(batch))
    session.wary = max(0, session.wary - 1)
    if rest is not None and len(rest):
        copied += _store(connection, rest, None, emptied=emptied)
        session.wary = WARY if copied.duplicate else session.wary
    return copied


def _stage(connection: psycopg.Connection, batch: Batch, *, emptied: bool) -> tuple[sql.Identifier, sql.Composed]:
    """Copy `batch` into a temporary table; its name, and its columns as those of the table that it is for."""
    table, types = batch.table, batch.types
    mark = zlib.crc32(repr((table.name, table.names, types)).encode())
    staging = sql.Identifier("pg_temp", f"gaugebook_{mark:08x}")
    names = [sql.Identifier(name) for name in table.names]
    columns = sql.SQL(", ").join(sql.SQL("{} {}").format(n, sql.SQL(t)) for n, t in zip(names, types, strict=True))
    clear = sql.SQL("") if emptied else sql.SQL("TRUNCATE {}").format(staging)
    connection.execute(sql.SQL(PREPARE).format(staging=staging, columns=columns, clear=clear), prepare=False)
    with connection.cursor() as cursor:
        batch.copy(cursor, sql.SQL("COPY {} FROM STDIN (FORMAT BINARY)").format(staging))
    casts = sql.SQL(", ").join(
        sql.SQL("{0}::{1} AS {0}").format(n, sql.SQL(c.type)) for n, c in zip(names, table.columns, strict=True)
    )
    return staging, casts


def _fields(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, table.names))


def _settle(connection: psycopg.Connection, staging: sql.Identifier, rule: Precedence) -> int:
    """Take reports that are beaten out of `staging`; how many stored ones were beaten and are gone."""
    found = connection.execute(
        sql.SQL(SUPERSEDE).format(staging=staging), {"sources": list(rule.sources), "window": rule.window}
    ).fetchone()
    if found is None:
        return 0
    losers, removed = found
    if losers:
        connection.execute(sql.SQL("DELETE FROM {} WHERE ctid = ANY (%s::tid[])").format(staging), [losers])
    return int(removed)


def _settles(precedence: Precedence, batch: Batch) -> bool:
    return {*FIELDS} <= {*batch.table.names} and precedence.concerns(batch.distinct("source"))


def _make_room(connection: psycopg.Connection, session: _Session, batch: Batch) -> tuple[Batch, Written]:
    """Make the partitions that `batch` needs; rows of months that are no longer kept are rejected."""
    there = session.months.setdefault(batch.table.name, set())
    wanted = {month: moment for month, moment in batch.months().items() if month not in there}
    refused: dict[tuple[int, int], str] = {}
    for month, moment in wanted.items():
        try:
            with connection.transaction():
                connection.execute("CALL metrics.ensure_partitions(%s::regclass, %s)", [batch.table.name, [moment]])
            there.add(month)
        except psycopg.Error as error:
            if error.sqlstate != TOO_OLD:
                raise
            refused[month] = str(error.diag.message_primary)
    if not refused:
        return batch, Written()
    rejected: list[Rejected] = []
    for month, reason in refused.items():
        batch, rows = batch.without({month})
        rejected += [Rejected(row, f"ts: {reason}") for row in rows]
    return batch, Written(rejected=tuple(rejected))


def _no_partition(error: Exception) -> bool:
    return isinstance(error, errors.CheckViolation) and error.diag.constraint_name is None


def _reason(batch: Batch, error: Exception) -> str:
    """Why the only row of `batch` was refused, for people."""
    if not isinstance(error, psycopg.Error):
        return str(error) or type(error).__name__
    said = error.diag
    names, row = batch.table.names, batch.row(0)
    columns, rule = batch.table.checks.get(said.constraint_name or "", ((), ""))
    if said.column_name:
        columns = (said.column_name,)
    elif not columns:
        columns = tuple(name for name in names if f"column {name}" in f"{said.context}")
    values = ", ".join(f"{name} = {shown(row[names.index(name)])}" for name in columns if name in names)
    what = f"violates {rule}" if rule else (said.message_primary or str(error).partition("\n")[0])
    if isinstance(error, errors.CharacterNotInRepertoire):
        what = "holds a NUL, which is no text"
    return f"{values}: {what}" if values else what
