"""How to reach the database: the one that `GAUGEBOOK_DSN` names, else the embedded server."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from store.embedded import EmbeddedServer
from store.errors import SettingsError, Unreachable, Untrusted
from store.settings import PREFIX, Settings

if TYPE_CHECKING:
    from pydantic import SecretStr
    from sqlalchemy import Engine

# A peer that vanishes without a word is noticed within half a minute; the kernel alone would take hours.
ALIVE: dict[str, Any] = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
TLS_WORDS = ("certificate", "SSL", "no encryption")  # what libpq and the server say when TLS is the matter


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
    return make_conninfo(**{**defaults, **_parsed("dsn", settings.dsn)})


def conninfo_for_reading(settings: Settings) -> str:
    """The libpq connection string for analyses: of the replica that `dsn_read` names, else that of `conninfo`.

    Raises:
        SettingsError: the DSN cannot be read.
        EmbeddedServerError: the embedded server cannot be started.
    """
    if settings.dsn_read is None:
        return conninfo(settings)
    defaults: dict[str, Any] = {"connect_timeout": settings.connect_timeout_s, "application_name": "gaugebook"}
    return make_conninfo(**{**defaults, **_parsed("dsn_read", settings.dsn_read)})


def connect(settings: Settings, *, autocommit: bool = False) -> psycopg.Connection:
    """A connection in UTC; use it as a context manager.

    Raises:
        Unreachable: the server does not answer or refuses the credentials; the password is never shown.
        Untrusted: it shows no certificate that the DSN trusts, or takes no connection without TLS.
    """
    target = conninfo(settings)
    try:
        connection = psycopg.connect(make_conninfo(**{**ALIVE, **conninfo_to_dict(target)}), autocommit=autocommit)
    except psycopg.OperationalError as error:
        raise unreachable(target, error) from None  # the cause may print the DSN
    connection.execute("SET TIME ZONE 'UTC'")
    if not autocommit:
        connection.commit()
    return connection


def engine(settings: Settings) -> Engine:
    """A SQLAlchemy engine over `connect`, for pandas.read_sql, JupySQL and the like."""
    from sqlalchemy import create_engine

    return create_engine("postgresql+psycopg://", creator=lambda: connect(settings), pool_pre_ping=True)


def unreachable(target: str, error: Exception) -> Unreachable:
    """What to tell of a connection that a driver could not make, in libpq's words."""
    reason = _reason(error)
    return (Untrusted if any(word in reason for word in TLS_WORDS) else Unreachable)(where(target), reason)


def where(target: str) -> str:
    """A connection string without its secrets, for people."""
    known = conninfo_to_dict(target)
    return (
        f"{known.get('user', '')}@{known.get('host', 'localhost')}:{known.get('port', 5432)}/{known.get('dbname', '')}"
    )


def _parsed(key: str, dsn: SecretStr) -> dict[str, Any]:
    try:
        return conninfo_to_dict(dsn.get_secret_value())
    except psycopg.ProgrammingError:
        reason = "is not a PostgreSQL connection string such as postgresql://user@host/database"
        raise SettingsError(key, PREFIX + key.upper(), reason) from None


def _make_database(server: EmbeddedServer, name: str) -> None:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount == 0:
            with suppress(
                psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation
            ):  # another process was faster
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _reason(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip() and "Multiple connection attempts" not in line]
    # A name may stand for two addresses: one where nobody answers, and one whose certificate is wrong.
    telling = [line for line in lines if any(word in line for word in TLS_WORDS)] or lines or ["no answer"]
    return telling[0].rpartition("failed: ")[2].removeprefix("FATAL:  ").strip()
