"""How to reach the database: the one that `GAUGEBOOK_DSN` names, else the embedded server."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from store.embedded import EmbeddedServer
from store.errors import SettingsError, Unreachable
from store.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


def conninfo(settings: Settings) -> str:
    """The libpq connection string; starts the embedded server and makes its database where no DSN is set.

    Raises:
        SettingsError: the DSN cannot be read.
        EmbeddedServerError: the embedded server cannot be started.
    """
    defaults: dict[str, Any] = {"connect_timeout": settings.connect_timeout_s, "application_name": "gaugebook"}
    if settings.dsn is None:
        server = EmbeddedServer(settings.home)
        server.start()
        _make_database(server, settings.database)
        return make_conninfo(server.conninfo(settings.database), **defaults)
    try:
        named = conninfo_to_dict(settings.dsn.get_secret_value())
    except psycopg.ProgrammingError:
        raise SettingsError(
            "dsn", "GAUGEBOOK_DSN", "is not a PostgreSQL connection string such as postgresql://user@host/database"
        ) from None
    return make_conninfo(**{**defaults, **named})


def connect(settings: Settings, *, autocommit: bool = False) -> psycopg.Connection:
    """A connection in UTC; use it as a context manager.

    Raises:
        Unreachable: the server does not answer or refuses the credentials; the password is never shown.
    """
    target = conninfo(settings)
    try:
        connection = psycopg.connect(target, autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise Unreachable(where(target), _first_line(error)) from None  # the cause may print the DSN
    connection.execute("SET TIME ZONE 'UTC'")
    if not autocommit:
        connection.commit()
    return connection


def engine(settings: Settings) -> Engine:
    """A SQLAlchemy engine over `connect`, for pandas.read_sql, JupySQL and the like."""
    from sqlalchemy import create_engine

    return create_engine("postgresql+psycopg://", creator=lambda: connect(settings), pool_pre_ping=True)


def where(target: str) -> str:
    """A connection string without its secrets, for people."""
    known = conninfo_to_dict(target)
    return (
        f"{known.get('user', '')}@{known.get('host', 'localhost')}:{known.get('port', 5432)}/{known.get('dbname', '')}"
    )


def _make_database(server: EmbeddedServer, name: str) -> None:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount == 0:
            with suppress(
                psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation
            ):  # another process was faster
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip() and "Multiple connection attempts" not in line]
    return lines[0].rpartition("failed: ")[2].removeprefix("FATAL:  ").strip() if lines else "no answer"
