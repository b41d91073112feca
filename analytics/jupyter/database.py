"""Run a statement that only reads: in a transaction that cannot write, with a time limit, and cancelled by Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import RawCursor

from analytics.jupyter.statement import Statement
from analytics.waiting import ticking
from store.connect import connect
from store.errors import SqlRefused
from store.settings import Settings

if TYPE_CHECKING:
    import polars as pl

PART = 5_000  # rows of one fetch
TIMEOUT_S = 60.0
LIMIT = 10_000  # rows, unless more are asked for
CURSOR = "DECLARE answer NO SCROLL CURSOR FOR "
BOUND = "SELECT set_config('statement_timeout', $1, true)"


@dataclass(frozen=True)
class Answer:
    """What a statement gave: the rows, whether there are more than were asked for, and how long it took."""

    frame: pl.DataFrame
    more: bool
    seconds: float


def ask(
    settings: Settings,
    statement: Statement,
    values: Sequence[object],
    *,
    limit: int | None = LIMIT,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """The rows of a statement, `limit` of them at most.

    The transaction is read-only, and no statement can make it another: it has read before the statement comes. Ctrl-C
    cancels in the server.

    Raises:
        SqlRefused: the server finds fault with it, shows the place; or it took too long.
        Unreachable: the database does not answer.
    """
    begun = time.monotonic()
    rows: list[tuple[Any, ...]] = []
    most = None if limit is None else limit + 1
    streams = statement.streams
    with connect(settings if settings.dsn_read is None else _replica(settings)) as connection:
        connection.read_only = True
        try:
            with RawCursor(connection) as cursor, ticking("query", "rows", lambda: len(rows)):
                _as_text(cursor)
                cursor.execute(BOUND, [str(round(timeout_s * 1000))])
                text = CURSOR + statement.sent if streams else statement.sent
                # Binary: psycopg then takes the protocol that refuses a second statement in the same text.
                cursor.execute(text.encode(), list(values), binary=True)
                while streams:
                    part = PART if most is None else min(PART, most - len(rows))
                    cursor.execute(f"FETCH FORWARD {part} FROM answer".encode(), binary=True)
                    rows += cursor.fetchall()
                    if cursor.rowcount < part or len(rows) == most:
                        break
                if not streams and cursor.description is not None:
                    rows += cursor.fetchall()
                columns = cursor.description or []
        except psycopg.errors.QueryCanceled as error:
            reason = f"it took more than {timeout_s:g} s"
            raise SqlRefused(f"{reason}; narrow the span, or give --timeout {timeout_s * 5:g}") from error
        except psycopg.Error as error:
            raise _refused(statement, error, len(CURSOR) if streams else 0) from error
        finally:
            connection.rollback()
    more = limit is not None and len(rows) > limit
    frame = _frame(columns, rows[:limit] if more else rows)
    return Answer(frame, more, time.monotonic() - begun)


def _replica(settings: Settings) -> Settings:
    return settings.model_copy(update={"dsn": settings.dsn_read})


def _refused(statement: Statement, error: psycopg.Error, ahead: int) -> SqlRefused:
    diag = error.diag
    reason = diag.message_primary or (str(error).splitlines() or ["no answer"])[0]
    if error.sqlstate == "25006":  # read_only_sql_transaction
        return statement.refused(f"{reason}: %gsql only reads", None)
    place = int(diag.statement_position) - ahead if diag.statement_position else None
    if error.sqlstate in ("42P01", "3F000") and place is None:
        reason += "; the schema is not there or is old, run `gaugebook db migrate`"
    hint = diag.message_hint or diag.message_detail or ""
    return statement.refused(reason, place if place and place > 0 else None, hint)


def _as_text(cursor: RawCursor[Any]) -> None:
    """JSON as it is written: a column of many shapes is no column of a frame."""
    from psycopg.types.json import set_json_loads

    set_json_loads(lambda raw: raw.decode() if isinstance(raw, bytes) else str(raw), context=cursor)


def _frame(columns: Sequence[psycopg.Column], rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    """The rows with the types of `store.arrow`; what a frame does not hold becomes text."""
    import polars as pl

    kinds: dict[str, Any] = {
        "numeric": pl.Float64, "float8": pl.Float64, "float4": pl.Float32, "int2": pl.Int16, "int4": pl.Int32,
        "int8": pl.Int64, "bool": pl.Boolean, "timestamptz": pl.Datetime("us", "UTC"), "timestamp": pl.Datetime("us"),
        "date": pl.Date, "time": pl.Time, "interval": pl.Duration("us"), "bytea": pl.Binary,
    }  # fmt: skip
    made, seen = [], dict[str, int]()
    for k, column in enumerate(columns):
        seen[column.name] = seen.get(column.name, 0) + 1
        name = column.name if seen[column.name] == 1 else f"{column.name}_{seen[column.name]}"
        values = [row[k] for row in rows]
        known = psycopg.adapters.types.get(column.type_code)
        array = known is not None and column.type_code == known.array_oid
        kind = kinds.get(known.name) if known is not None else None
        if array:
            element = kinds.get(known.name, pl.String) if known is not None else pl.String
            values = [None if value is None else [_item(one, element) for one in value] for value in values]
            made.append(pl.Series(name, values, dtype=pl.List(element)))
        elif kind == pl.Float64:
            made.append(pl.Series(name, [None if value is None else float(value) for value in values], dtype=kind))
        elif kind is not None:
            made.append(pl.Series(name, values, dtype=kind, strict=False))
        else:
            made.append(pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String))
    return pl.DataFrame(made)


def _item(value: Any, element: Any) -> Any:
    import polars as pl

    if value is None:
        return None
    if element == pl.Float64:
        return float(value)
    return str(value) if element == pl.String else value
