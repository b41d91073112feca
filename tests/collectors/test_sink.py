"""The sink that spools rows and delivers them, and what it does when the store is away."""

from __future__ import annotations

import os
import time
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from collectors.exposition import Health
from collectors.sink import Batch, StoreSink
from store.connect import connect
from store.settings import Settings, load
from tests.fix_prometheus import wait_until
from tests.servers import free_port

START = datetime(2024, 1, 1, tzinfo=UTC)
COLUMNS = ("ts", "cluster", "vhost", "queue", "messages")
QUEUES = "metrics.rabbitmq_queues"


def batch(*numbers: int) -> Batch:
    return Batch(QUEUES, COLUMNS, [(START + timedelta(seconds=abs(n)), "c", "/", "q", n) for n in numbers])


def stored(settings: Settings) -> list[int]:
    with connect(settings) as connection:
        return [row[0] for row in connection.execute("SELECT messages FROM metrics.rabbitmq_queues ORDER BY ts")]


class Counters:
    """The health of a sink, read back from its registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.health = Health("test", self.registry)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"gaugebook_collector_{name}", {"collector": "test"} | labels)


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def nowhere() -> Settings:
    return load(dsn=f"postgresql://me:s3cret@127.0.0.1:{free_port()}/none", connect_timeout_s=1)


def test_rows_are_written_once_and_counted(store: Settings, counters: Counters) -> None:
    sink = StoreSink(store, counters.health, "test")
    sink.write(batch(1, 2), batch())
    sink.write(batch(2, 3))
    sink.close()
    assert stored(store) == [1, 2, 3]
    assert counters("rows_total", table=QUEUES) == 3
    assert counters("write_errors_total") == 0


def test_rows_come_by_themselves(store: Settings, counters: Counters) -> None:
    sink = StoreSink(store, counters.health, "test", linger_s=0.1)
    sink.write(batch(1))
    wait_until(lambda: stored(store) == [1])
    sink.close()


def test_a_refused_row_does_not_take_the_others_along(
    store: Settings, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    sink = StoreSink(store, counters.health, "test")
    sink.write(batch(1, 2, -3, 4, 5))
    sink.write(batch(6))
    sink.close()
    assert stored(store) == [1, 2, 4, 5, 6]
    assert counters("rows_total", table=QUEUES) == 5
    assert counters("rows_rejected_total", table=QUEUES) == 1
    assert counters("rows_buffered") == 0
    assert "metrics.rabbitmq_queues refused 1 rows" in caplog.text
    assert store.dead_letters is not None
    assert [*store.dead_letters.iterdir()]


def test_a_connection_that_breaks_is_made_anew(
    store: Settings, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    sink = StoreSink(store, counters.health, "test")
    sink.write(batch(1))
    assert sink.flush(10)
    with connect(store, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    sink.write(batch(2))
    assert sink.flush(10)
    sink.write(batch(3))
    sink.close()
    assert stored(store) == [1, 2, 3]
    assert counters("write_errors_total") == 1
    assert [record.message.partition(";")[0].partition(":")[0] for record in caplog.records] == [
        "the database takes no rows",
        "the database takes rows again",
    ]


def test_without_a_database_rows_wait_on_disk_for_the_next_start(
    store: Settings, nowhere: Settings, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    sink = StoreSink(nowhere, counters.health, "test")
    for first in range(0, 8, 2):
        sink.write(batch(first, first + 1))
    assert not sink.flush(0.2)
    assert counters("rows_buffered") == 8
    assert (counters("buffered_bytes") or 0) > 100
    assert counters("spool_limit_bytes") == nowhere.spool_mb << 20
    assert 0 <= (counters("oldest_buffered_seconds") or -1) < 60
    assert (counters("write_errors_total") or 0) >= 1
    sink.close(0.1)
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        f"the database takes no rows; they wait in {nowhere.spool}/test-0",
        f"8 rows wait in {nowhere.spool}/test-0 and will be delivered at the next start",
    ]
    assert "s3cret" not in caplog.text
    time.sleep(0.5)  # its thread lets go of the folder
    again = StoreSink(store, Counters().health, "test")
    again.close()
    assert stored(store) == list(range(8))


def test_a_full_spool_drops_the_oldest(nowhere: Settings, counters: Counters) -> None:
    sink = StoreSink(nowhere.model_copy(update={"spool_mb": 1}), counters.health, "test")
    for first in range(0, 200_000, 5_000):
        sink.write(batch(*range(first, first + 5_000)))
    dropped = counters("rows_dropped_total", reason="spool_full") or 0
    assert dropped > 20_000
    assert counters("rows_buffered") == 200_000 - dropped
    sink.close(0)


def test_rows_wait_while_the_database_refuses_connections(store: Settings, counters: Counters) -> None:
    assert store.dsn is not None
    dsn = store.dsn.get_secret_value()
    name = sql.Identifier(str(conninfo_to_dict(dsn)["dbname"]))
    sink = StoreSink(store, counters.health, "test")
    with psycopg.connect(make_conninfo(dsn, dbname="postgres"), autocommit=True) as administration:
        administration.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        sink.write(batch(1))
        sink.write(batch(2))
        assert not sink.flush(0.3)
        administration.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
    assert counters("rows_buffered") == 2
    sink.write(batch(3))
    assert sink.flush(10)
    sink.close()
    assert stored(store) == [1, 2, 3]


def test_a_disk_that_takes_no_more_costs_its_rows_and_raises_nothing(
    store: Settings, counters: Counters, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = StoreSink(store, counters.health, "test")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", full)
        sink.write(batch(1, 2))
        sink.write(batch(3))
    sink.write(batch(4))
    sink.close()
    assert stored(store) == [4]
    assert counters("rows_dropped_total", reason="disk") == 3
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "rows are dropped",
        "rows are kept again",
    ]


def test_without_a_folder_rows_wait_in_memory(
    store: Settings, counters: Counters, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    sink = StoreSink(store.model_copy(update={"spool": tmp_path / "file/spool"}), counters.health, "test")
    sink.write(batch(1), batch(2))
    sink.close()
    assert stored(store) == [1, 2]
    assert "Not a directory; set GAUGEBOOK_SPOOL" in caplog.text


def test_a_forked_child_has_a_spool_of_its_own(store: Settings, counters: Counters) -> None:
    sink = StoreSink(store, counters.health, "test")
    sink.write(batch(1))
    assert sink.flush(10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of forking with threads: that is the point
        child = os.fork()
    if child == 0:
        done = False
        try:
            sink.write(batch(2))
            done = sink.flush(10)
        finally:
            os._exit(0 if done else 1)
    assert os.waitpid(child, 0)[1] == 0
    sink.write(batch(3))
    sink.close()
    assert stored(store) == [1, 2, 3]
    assert counters("write_errors_total") == 0
