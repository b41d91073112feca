"""The sink that writes to the store, and what it does when the store is away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from collectors.exposition import Health
from collectors.sink import Batch, StoreSink
from store.connect import connect
from store.settings import Settings, load
from tests.servers import free_port

START = datetime(2024, 1, 1, tzinfo=UTC)
COLUMNS = ("ts", "cluster", "vhost", "queue", "messages")


def batch(*numbers: int) -> Batch:
    rows = [(START + timedelta(seconds=abs(number)), "c", "/", "q", number) for number in numbers]
    return Batch("metrics.rabbitmq_queues", COLUMNS, rows)


def stored(settings: Settings) -> list[int]:
    with connect(settings) as connection:
        return [row[0] for row in connection.execute("SELECT messages FROM metrics.rabbitmq_queues ORDER BY ts")]


class Counters:
    """The health of a sink, read back from its registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.health = Health("test", self.registry)

    def __getitem__(self, name: str) -> float | None:
        labels = {"collector": "test"} | ({"table": "metrics.rabbitmq_queues"} if name == "rows_total" else {})
        return self.registry.get_sample_value(f"gaugebook_collector_{name}", labels)


def test_rows_are_written_once_and_counted(store: Settings) -> None:
    counters = Counters()
    sink = StoreSink(store, counters.health)
    sink.write(batch(1, 2))
    sink.write(batch(2, 3))
    sink.close()
    assert stored(store) == [1, 2, 3]
    assert counters["rows_total"] == 3
    assert counters["write_errors_total"] == 0


def test_a_refused_row_does_not_take_the_others_along(store: Settings, caplog: pytest.LogCaptureFixture) -> None:
    counters = Counters()
    sink = StoreSink(store, counters.health)
    sink.write(batch(1, 2, -3, 4, 5))
    sink.write(batch(6))
    sink.close()
    assert stored(store) == [1, 2, 4, 5, 6]
    assert (counters["rows_total"], counters["rows_dropped_total"], counters["rows_buffered"]) == (5, 1, 0)
    assert "metrics.rabbitmq_queues refused a row" in caplog.text


def test_a_connection_that_breaks_is_made_anew(store: Settings, caplog: pytest.LogCaptureFixture) -> None:
    counters = Counters()
    sink = StoreSink(store, counters.health)
    sink.write(batch(1))
    with connect(store, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    sink.write(batch(2))
    assert (counters["write_errors_total"], counters["rows_buffered"]) == (1, 1)
    sink.write(batch(3))
    sink.close()
    assert stored(store) == [1, 2, 3]
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "rows are kept in memory until the database is back",
        "the database is back",
    ]


def test_a_database_that_is_not_there_costs_the_oldest_rows_and_never_raises(
    store: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    counters = Counters()
    nowhere = load(dsn=f"postgresql://me:s3cret@127.0.0.1:{free_port()}/none", connect_timeout_s=1)
    sink = StoreSink(nowhere, counters.health, capacity=4)
    for first in range(0, 8, 2):
        sink.write(batch(first, first + 1))
    assert (counters["rows_buffered"], counters["rows_dropped_total"], counters["write_errors_total"]) == (4, 4, 4)
    assert len(caplog.records) == 1
    assert "s3cret" not in caplog.text
    sink.close()
    assert counters["rows_dropped_total"] == 8
    assert "4 rows could not be written and are lost" in caplog.text


def test_rows_wait_while_the_database_refuses_connections(store: Settings) -> None:
    counters = Counters()
    assert store.dsn is not None
    dsn = store.dsn.get_secret_value()
    name = sql.Identifier(str(conninfo_to_dict(dsn)["dbname"]))
    sink = StoreSink(store, counters.health)
    with psycopg.connect(make_conninfo(dsn, dbname="postgres"), autocommit=True) as administration:
        administration.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        sink.write(batch(1))
        sink.write(batch(2))
        administration.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
    assert counters["rows_buffered"] == 2
    sink.write(batch(3))
    sink.close()
    assert stored(store) == [1, 2, 3]
