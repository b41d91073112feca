"""Locks in the database: of many ticks on many hosts, one makes the slots of a job and one at a time writes a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from store.connect import connect
from store.settings import Settings

# The server holds a lock for as long as it believes in the session: a host that vanished without a word is noticed
# within half a minute, not after the hours that a kernel waits, and nobody ends the session because it is idle.
SESSION = {
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "idle_session_timeout": "0",
}


@contextmanager
def job_lock(settings: Settings, job: str) -> Iterator[psycopg.Connection | None]:
    """The connection that holds the lock of a job, in autocommit mode; None where another holds it.

    It is a session lock: it ends with the process or the server that holds it, however these end, and needs a
    connection of its own, so no pooler that shares one between transactions.
    """
    with connect(settings, autocommit=True) as connection:
        for name, value in SESSION.items():
            with suppress(psycopg.errors.InvalidParameterValue):  # a Unix socket has no keepalives
                connection.execute("SELECT set_config(%s, %s, false)", [name, value])
        taken = connection.execute(
            "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [f"gaugebook.report.{job}"]
        ).fetchone()
        yield connection if taken == (True,) else None


def holds(connection: psycopg.Connection) -> bool:
    """Whether a connection still is the session that it was."""
    try:
        connection.execute("SELECT")
    except psycopg.OperationalError:
        return False
    return True


def wait_for_turn(connection: psycopg.Connection, output: Path) -> None:
    """Wait for one's turn to write a page; the turn ends with the transaction."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"gaugebook.page.{output}"])
