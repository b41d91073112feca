"""Rows of a reading, and what the store and the analyses make of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from analytics import load, queues
from collectors.rabbitmq import rows
from collectors.rabbitmq.reading import Link, Node, Queue, Reading
from collectors.sink import Batch
from store.connect import connect
from store.rollup import refresh
from store.settings import Settings
from store.write import write
from tests.collectors.rabbitmq.names import NASTY

TS = datetime(2026, 9, 22, 12, tzinfo=UTC)


def reading(ts: datetime = TS) -> Reading:
    return Reading(ts, 0.0, "rabbit@one", "3.10.8", "25.2", "native")


def put(settings: Settings, table: str, found: list[rows.Row]) -> None:
    batch = Batch(table, tuple(found[0]), [tuple(row.values()) for row in found])
    with connect(settings) as connection:
        done = write(connection, batch.table, batch.columns, batch.rows)
    assert (done.written, done.rejected) == (len(found), ())


def test_overview_and_nodes(store: Settings) -> None:
    look = reading()
    look.totals = {"connections": 3.0, "messages": 12.0, "messages_ready": float("nan"), "bytes": 99.0, "vhosts": 2.0}
    look.counters = {"published": 100, "returned": 4}
    look.links = [Link("shovel", "move\0it", "/", "running")]
    look.nodes = [
        Node(
            "rabbit@one", running=True, values={"memory_bytes": 5e7, "memory_alarm": 0.0, "partitions": 1.0, "gc": 0.5}
        ),
        Node("rabbit@two", running=False),
    ]
    overview = rows.overview_row(look, {"published": 2.5, "returned": 0.5})
    put(store, "metrics.rabbitmq_overview", [overview])
    put(store, "metrics.rabbitmq_nodes", rows.node_rows(look))
    assert (overview["connections"], overview["messages"], overview["messages_ready"]) == (3, 12, None)
    assert (overview["published_total"], overview["published_per_s"], overview["acked_per_s"]) == (100, 2.5, None)
    assert overview["attrs"] == {
        "source": "native",
        "bytes": 99,
        "vhosts": 2,
        "returned_total": 4,
        "returned_per_s": 0.5,
        "links": [{"kind": "shovel", "name": "move\ufffdit", "vhost": "/", "state": "running"}],
    }
    one, two = rows.node_rows(look)
    assert (one["memory_bytes"], one["memory_alarm"], one["disk_alarm"]) == (50_000_000, False, None)
    assert one["attrs"] == {"partitions": 1, "gc": 0.5}
    assert (two["running"], two["memory_bytes"], two["attrs"]) == (False, None, {})


def test_a_queue_with_everything(store: Settings) -> None:
    queue = Queue("/", "q", 7, 5, 2, 1, "quorum", "running", "limits", "rabbit@one", durable=True, message_bytes=70)
    queue.head_timestamp, queue.consumer_utilisation = TS.timestamp() - 90, 0.25
    queue.max_length, queue.message_ttl_ms, queue.dead_letter_exchange = 1000, 60_000, ""
    queue.counters, queue.extra = {"published": 2**62, "acked": 3}, {"raft_lag": 12.0}
    (row,) = rows.queue_rows(reading(), [queue], {("/", "q"): {"published": 1.5}})
    put(store, "metrics.rabbitmq_queues", [row])
    assert (row["head_age_s"], row["published_total"], row["published_per_s"]) == (90.0, 2**62, 1.5)
    assert (row["delivered_total"], row["acked_per_s"]) == (None, None)
    assert row["attrs"] == {
        "node": "rabbit@one",
        "durable": True,
        "max_length": 1000,
        "message_ttl_ms": 60_000,
        "dead_letter_exchange": "",
        "raft_lag": 12,
    }


@pytest.mark.parametrize(
    ("stamped", "age_s"),
    [(-90, 90.0), (0, 0.0), (30, 0.0), (3600, None)],
    ids=["old", "now", "clock a little ahead", "clock far ahead"],
)
def test_age_of_the_head(stamped: int, age_s: float | None) -> None:
    assert rows.head_age_s(TS, TS.timestamp() + stamped) == age_s


@pytest.mark.parametrize("value", [None, 0, -1, float("nan"), TS.timestamp() * 1000])
def test_age_of_no_head_or_in_milliseconds(value: float | None) -> None:
    assert rows.head_age_s(TS, value) is None


def test_numbers_that_the_tables_cannot_hold() -> None:
    queue = Queue("/", "q", messages=-1, ready=2**70, consumers=2**40, consumer_utilisation=1.5)
    row = rows.queue_row(TS, "c", queue, {})
    assert [row[name] for name in ("messages", "messages_ready", "consumers", "consumer_utilisation")] == [None] * 4


def test_names_as_they_come(store: Settings) -> None:
    put(store, "metrics.rabbitmq_queues", rows.queue_rows(reading(), [Queue(name, name, 1) for name in NASTY], {}))
    with connect(store) as connection:
        found = {row[:2] for row in connection.execute("SELECT vhost, queue FROM metrics.rabbitmq_queues")}
    assert found == {(name, name) for name in NASTY}


def test_names_that_postgresql_cannot_hold() -> None:
    found = rows.queue_rows(reading(), [Queue("/", name, 1) for name in ("a\0b", "a\ud800b", "c")], {})
    assert [row["queue"] for row in found] == ["a\ufffdb", "c"]


def test_the_rest_is_summed_per_vhost() -> None:
    rest = [Queue("/", "a", 1, 1, 0, 2), Queue("/", "b", 4, 3, 1, None), Queue("x", "a", 5), Queue("y", "a")]
    found = {row["vhost"]: row for row in rows.rest_rows(reading(), rest)}
    assert {row["queue"] for row in found.values()} == {rows.REST}
    assert [found["/"][name] for name in ("messages", "messages_ready", "messages_unacked", "consumers")] == [
        5,
        4,
        1,
        2,
    ]
    assert (found["/"]["attrs"], found["/"]["published_per_s"]) == ({"queues": 2}, None)
    assert (found["x"]["messages"], found["x"]["consumers"], found["y"]["messages"]) == (5, None, None)


def test_no_analysis_takes_the_rest_for_a_queue_and_every_sum_has_it(any_store: Settings) -> None:
    """Of ten queues with ten messages each, "a" always has a row, "b" in every second sample."""
    for minute in range(0, 60, 10):
        look = reading(TS + timedelta(minutes=minute))
        every = [Queue("/", name, 10, 10, 0, 1) for name in "abcdefghij"]
        own = 1 if minute % 20 else 2
        rates = {("/", "a"): {"published": 2.0, "delivered": 2.0, "acked": 2.0}}
        found = rows.queue_rows(look, every[:own], rates) + rows.rest_rows(look, every[own:])
        put(any_store, "metrics.rabbitmq_queues", found)
    refresh(any_store)
    span = {"since": TS, "until": TS + timedelta(hours=1)}
    wide = load.queue_metrics(any_store, **span)
    assert wide["queue"].to_list() == ["a", "b"]
    assert queues.state(wide).sentence().startswith("2 queues hold 20 messages")
    assert load.queues(any_store, by=("vhost", "queue"), **span)["unique_id"].to_list() == ["//a", "//b"]
    for by in ((), ("cluster",), ("vhost",)):
        assert load.queues(any_store, by=by, **span)["y"].to_list() == [100.0]
        assert load.queues(any_store, value="consumers", by=by, **span)["y"].to_list() == [10.0]
        assert load.queues(any_store, value="published_per_s", by=by, **span)["y"].to_list() == [2.0]
    with connect(any_store) as connection:
        listed = connection.execute("SELECT DISTINCT queue FROM grafana.queues(%(since)s, %(until)s) ORDER BY 1", span)
        assert listed.fetchall() == [("a",), ("b",)]
