"""A streaming replica that analyses read from, and the fail-over to it: the steps of docs/operations/replication.md."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from store.connect import connect, conninfo, conninfo_for_reading
from store.embedded import EmbeddedServer
from store.errors import SettingsError
from store.migrate import migrate
from store.programs import run
from store.read import read
from store.rollup import refresh
from store.settings import Settings, load
from store.write import write
from tests.fix_prometheus import wait_until
from tests.servers import open_folder

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
COLUMNS = ("ts", "request_id", "source", "model")


def requests(connection: psycopg.Connection, first: int, count: int) -> None:
    """Write `count` requests, a second apart."""
    rows = [(NOON + timedelta(seconds=nr), f"r{nr}", "test", "m") for nr in range(first, first + count)]
    assert write(connection, "metrics.llm_requests", COLUMNS, rows).written == count
    connection.commit()


@contextmanager
def replica_of(primary: EmbeddedServer, replica: EmbeddedServer) -> Iterator[None]:
    """A standby that PostgreSQL's own programs make and that follows over a slot."""
    replica.make_folder()
    code, output = run(
        primary.programs() / "pg_basebackup",
        *("-d", primary.conninfo(), "-D", replica.data, "-R", "-C", "-S", "reports", "-X", "stream", "-c", "fast"),
        user=primary.user(),
    )
    assert code == 0, output
    replica.start()
    try:
        yield
    finally:
        replica.stop()


def rows_in(settings: Settings) -> int:
    return sum(read(settings, "table_sizes").filter(name="llm_requests")["rows"].to_list())


@pytest.mark.drill
def test_analyses_read_from_the_replica_and_writes_go_on_there_after_a_fail_over():
    with open_folder() as folder:
        primary, replica = EmbeddedServer(folder / "primary"), EmbeddedServer(folder / "replica")
        writing = load(home=primary.home)
        try:
            migrate(writing)
            with connect(writing, autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'")
            with replica_of(primary, replica):
                settings = load(home=primary.home, dsn_read=replica.conninfo(writing.database))
                with connect(settings) as connection:
                    requests(connection, 0, 100)
                refresh(settings)
                wait_until(lambda: rows_in(settings) == 100, every_s=0.05)
                with psycopg.connect(conninfo_for_reading(settings)) as reading:
                    assert reading.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
                    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                        reading.execute("DELETE FROM metrics.llm_requests")
                with connect(settings) as connection:
                    assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,)
                    assert connection.execute("SELECT active FROM pg_replication_slots").fetchall() == [(True,)]

                os.kill(int((primary.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
                assert rows_in(settings) == 100  # reports go on without the primary

                # Fail over: promote, and let GAUGEBOOK_DSN name the replica.
                with psycopg.connect(replica.conninfo(), autocommit=True) as connection:
                    assert connection.execute("SELECT pg_promote()").fetchone() == (True,)
                after = load(home=replica.home, dsn=replica.conninfo(writing.database))
                with connect(after) as connection:
                    requests(connection, 100, 50)
                    # Nothing was kept back for a replica of the new primary: slots are not copied.
                    assert connection.execute("SELECT FROM pg_replication_slots").rowcount == 0
                refresh(after)
                assert rows_in(after) == 150
        finally:
            primary.stop()


def test_without_a_replica_analyses_read_where_they_write(store: Settings):
    assert conninfo_for_reading(store) == conninfo(store)


def test_a_read_dsn_that_is_none_is_named():
    with pytest.raises(SettingsError, match="GAUGEBOOK_DSN_READ"):
        conninfo_for_reading(load(dsn_read="nonsense"))
