"""A real broker, a real store, a real Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pika
import pytest
from prometheus_client.parser import text_string_to_metric_families

from collectors.rabbitmq.collect import RabbitMQ, collect_once, collect_rabbitmq
from store.connect import connect
from store.errors import SourceError
from store.settings import Settings, load
from tests.fix_prometheus import Prometheus, wait_until
from tests.fix_rabbitmq import Broker
from tests.servers import free_port

ODD = 'weird "quoted" back\\slash'
PERSISTENT = pika.BasicProperties(delivery_mode=2)
INTERVAL_S = 0.5


@contextmanager
def collecting(settings: Settings, broker: Broker) -> Iterator[str]:
    """A collector in a thread; gives the address of its /metrics."""
    port = free_port()
    running = load(dsn=settings.dsn, rabbitmq_url=broker.url, rabbitmq_interval_s=INTERVAL_S, metrics_port=port)
    stop = threading.Event()
    thread = threading.Thread(target=collect_rabbitmq, args=(running, stop))
    thread.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def shown(target: str) -> dict[tuple[str, str], float]:
    """(metric, queue) -> value of a collector's /metrics; the queue is "" where there is none."""
    try:
        page = httpx2.get(f"http://{target}/metrics", trust_env=False).text
    except httpx2.HTTPError:
        return {}
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return {(sample.name, sample.labels.get("queue", "")): sample.value for sample in samples}


def stored(settings: Settings) -> list[Any]:
    """(queue, messages, ready, unacked, consumers) of the newest sample in the store, of "orders" and ODD."""
    query = """
        SELECT queue, messages, messages_ready, messages_unacked, consumers FROM metrics.rabbitmq_queues
        WHERE ts = (SELECT max(ts) FROM metrics.rabbitmq_queues) ORDER BY queue
    """
    with connect(settings) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def queues(broker: Broker) -> Iterator[dict[str, int]]:
    """Two durable queues with so many persistent messages."""
    depths = {"orders": 30, ODD: 7}
    with broker.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for name, depth in depths.items():
            channel.queue_declare(name, durable=True)
            for _ in range(depth):
                channel.basic_publish("", name, b"body", PERSISTENT)
    yield depths
    with broker.connect() as connection:
        for name in depths:
            connection.channel().queue_delete(name)


def test_depths_in_the_store_and_on_metrics(
    store: Settings, broker: Broker, queues: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "collectors.rabbitmq.collect")
    with collecting(store, broker) as target:
        wait_until(lambda: shown(target).get(("rabbitmq_queue_messages", "orders")) == 30)
        wait_until(lambda: stored(store) == [("orders", 30, 30, 0, 0), (ODD, 7, 7, 0, 0)])

        with broker.connect() as connection:
            channel = connection.channel()
            tags = [channel.basic_get("orders")[0].delivery_tag for _ in range(10)]
            for tag in tags[:6]:
                channel.basic_ack(tag)
            wait_until(lambda: stored(store)[0] == ("orders", 24, 20, 4, 0))
            wait_until(lambda: shown(target).get(("rabbitmq_queue_messages_unacked", "orders")) == 4)
            assert shown(target)["rabbitmq_queue_messages", ODD] == 7

        with broker.connect() as connection:
            connection.channel().queue_delete("orders")
        wait_until(lambda: ("rabbitmq_queue_messages", "orders") not in shown(target))
        health = shown(target)
        assert health["gaugebook_collector_errors_total", ""] == 0
        assert health["gaugebook_collector_write_errors_total", ""] == 0
        assert health["rabbitmq_node_mem_used", ""] > 0

    heard = [record.message for record in caplog.records if record.name == "collectors.rabbitmq.collect"]
    assert sum("answers: RabbitMQ 3." in message for message in heard) == 1
    assert "guest" not in caplog.text


def test_rates_never_burst(store: Settings, broker: Broker, queues: dict[str, int]) -> None:
    """100 messages are published while we look; the rates must add up to them, and the 37 from before must not show."""
    at = f"{broker.url}/api/queues/%2F/orders"  # the counts of a queue come to be known later than its depth
    wait_until(lambda: "publish" in httpx2.get(at, trust_env=False).json().get("message_stats", {}))
    with collecting(store, broker) as target:
        wait_until(lambda: shown(target).get(("rabbitmq_queue_messages", "orders")) == 30)
        with broker.connect() as connection:
            channel = connection.channel()
            for _ in range(100):
                channel.basic_publish("", "orders", b"body", PERSISTENT)
        wait_until(lambda: [row[1] for row in stored(store)[:1]] == [130])
        wait_until(lambda: counted(store)[0] == 130)
    total, by_rate, first, lowest = counted(store)
    assert total == 130
    assert by_rate == pytest.approx(100, rel=0.05)
    assert first is None
    assert lowest >= 0


def counted(settings: Settings) -> Any:
    """Published to "orders": the broker's counter, our rates x time, the first rate, the lowest."""
    query = """
        WITH samples AS (
            SELECT ts, published_total, published_per_s, extract(epoch FROM ts - lag(ts) OVER (ORDER BY ts)) AS elapsed_s
            FROM metrics.rabbitmq_queues WHERE queue = 'orders'
        )
        SELECT max(published_total), sum(published_per_s * elapsed_s)::float8,
               (array_agg(published_per_s ORDER BY ts))[1], min(published_per_s)
        FROM samples
    """
    with connect(settings) as connection:
        return connection.execute(query).fetchone()


def test_prometheus_scrapes_it(store: Settings, broker: Broker, queues: dict[str, int], prometheus: Prometheus) -> None:
    with collecting(store, broker) as target:
        prometheus.scrape(target)
        (series,) = prometheus.wait_for(r'rabbitmq_queue_messages{queue="weird \"quoted\" back\\slash"} == 7')
        assert series["metric"]["queue"] == ODD
        assert series["metric"]["vhost"] == "/"
        (up,) = prometheus.wait_for("rabbitmq_up")
        assert up["value"][1] == "1"
        assert prometheus.wait_for('gaugebook_collector_rows_total{table="metrics.rabbitmq_queues"} > 0')
    prometheus.scrape()


def test_once(store: Settings, broker: Broker, queues: dict[str, int]) -> None:
    def depths() -> dict[str, int]:
        listed = httpx2.get(f"{broker.url}/api/queues", trust_env=False).json()
        return {queue["name"]: queue.get("messages", 0) for queue in listed if queue["name"] in queues}

    wait_until(lambda: depths() == queues)
    # Other tests' queues may lie on this broker, too.
    assert collect_once(load(dsn=store.dsn, rabbitmq_url=broker.url, rabbitmq_queues=("orders", "weird*"))) == 2
    with connect(store) as connection:
        hourly = connection.execute(
            "SELECT queue, last_messages FROM metrics.rabbitmq_metrics_hourly ORDER BY 1"
        ).fetchall()
        (version,) = connection.execute("SELECT rabbitmq_version FROM metrics.rabbitmq_overview").fetchone()
        (running,) = connection.execute("SELECT running FROM metrics.rabbitmq_nodes").fetchone()
    assert hourly == [("orders", 30), (ODD, 7)]
    assert version.startswith("3.")
    assert running is True


def test_a_wrong_password(broker: Broker) -> None:
    settings = load(rabbitmq_url=broker.url.replace("guest@", "wrong@"))
    source = RabbitMQ(settings)
    with pytest.raises(SourceError) as caught:
        source.collect()
    source.close()
    assert "wrong" not in str(caught.value)
