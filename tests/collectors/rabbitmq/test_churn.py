"""Clients that connect, send, fetch and leave: what they count is what the collector says, also across a restart."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Self

import pika
import pytest

from collectors.rabbitmq.collect import RabbitMQ
from store.errors import SourceError
from store.settings import load
from tests.fix_rabbitmq import Broker

QUEUES = ("churn-a", "churn-b")
EACH = 40  # messages of one client
COUNTED = ("published", "delivered", "acked")


class Clients:
    """Each connection does one thing and leaves; `counts` is what they did, by queue and kind."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.counts: Counter[tuple[str, str]] = Counter()

    def publish(self, queue: str, *, times: int) -> None:
        for _ in range(times):
            with self._broker.connect() as connection:
                channel = connection.channel()
                channel.confirm_delivery()
                for _ in range(EACH):
                    channel.basic_publish("", queue, b"body", pika.BasicProperties(delivery_mode=2))
                    self.counts[queue, "published"] += 1

    def fetch(self, queue: str, *, acknowledge: bool) -> None:
        with self._broker.connect() as connection:
            channel = connection.channel()
            for _ in range(EACH):
                method, _, _ = channel.basic_get(queue, auto_ack=not acknowledge)
                assert method is not None
                self.counts[queue, "delivered"] += 1
                if acknowledge:
                    channel.basic_ack(method.delivery_tag)
                    self.counts[queue, "acked"] += 1

    def consume(self, queue: str) -> None:
        """Takes `EACH` messages, leaves the queue, and acknowledges them only then: so it is sent no more than these."""
        with self._broker.connect() as connection:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=EACH)
            tags: list[int] = []
            tag = channel.basic_consume(queue, lambda *args: tags.append(args[1].delivery_tag))
            while len(tags) < EACH:
                connection.process_data_events(1)
            channel.basic_cancel(tag)
            channel.basic_ack(tags[-1], multiple=True)
            self.counts[queue, "delivered"] += EACH
            self.counts[queue, "acked"] += EACH


class Watcher:
    """Takes samples; `grown` adds up rates times the seconds that they stand for, by queue ("" for all) and kind."""

    def __init__(self, broker: Broker) -> None:
        settings = load(rabbitmq_url=broker.url, rabbitmq_interval_s=2)
        self._source = RabbitMQ(settings)
        self._at: Any = None
        self.grown: Counter[tuple[str, str]] = Counter()
        self.totals: dict[tuple[str, str], int] = {}
        self.fastest = 0.0

    def look(self) -> None:
        overview, _, queues = self._source.take()
        rows = [dict(zip(batch.columns, row, strict=True)) for batch in (overview, queues) for row in batch.rows]
        ts = rows[0]["ts"]
        for row in rows:
            for kind in COUNTED:
                key = row.get("queue", ""), kind
                if (total := row[f"{kind}_total"]) is not None:
                    assert total >= self.totals.get(key, 0)  # whoever closes channels
                    self.totals[key] = total
                if (rate := row[f"{kind}_per_s"]) is not None:
                    self.grown[key] += rate * (ts - self._at).total_seconds()
                    self.fastest = max(self.fastest, rate)
        self._at = ts

    def look_until(self, counted: dict[tuple[str, str], int], *, since: dict[tuple[str, str], int]) -> None:
        """Look until the broker, which renews its statistics every 5 s, has counted as much, and once more."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            self.look()
            if all(self.totals.get(key, -1) - since.get(key, 0) >= count for key, count in counted.items()):
                break
            time.sleep(0.5)
        time.sleep(0.5)
        self.look()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()


@pytest.fixture
def queues(broker: Broker) -> Iterator[None]:
    with broker.connect() as connection:
        for name in QUEUES:
            connection.channel().queue_declare(name, durable=True)
    yield
    with broker.connect() as connection:
        for name in QUEUES:
            connection.channel().queue_delete(name)


def churn(clients: Clients, watcher: Watcher, rounds: int) -> None:
    for _ in range(rounds):
        for queue in QUEUES:
            clients.publish(queue, times=5)
            watcher.look()
            clients.fetch(queue, acknowledge=True)
            clients.fetch(queue, acknowledge=False)
            clients.consume(queue)
        watcher.look()


def truth(clients: Clients) -> dict[tuple[str, str], int]:
    """What the clients counted, by queue, and of all queues under ""."""
    counts = dict(clients.counts)
    return counts | {("", kind): sum(counts[queue, kind] for queue in QUEUES) for kind in COUNTED}


@pytest.mark.drill
def test_counters_and_rates_are_those_of_the_clients_across_a_restart(broker: Broker, queues: None) -> None:
    nothing = dict.fromkeys(((queue, kind) for queue in QUEUES for kind in COUNTED), 0)
    with Watcher(broker) as watcher:
        watcher.look_until(nothing, since={})
        check(broker, watcher, rounds=3)

        broker.stop()
        with pytest.raises(SourceError):
            watcher.look()
        broker.start()
        grown, watcher.totals = Counter(watcher.grown), {}
        watcher.look_until(nothing, since={})
        assert watcher.grown == grown  # a restart is no burst, and neither is what comes after it
        check(broker, watcher, rounds=2)


def check(broker: Broker, watcher: Watcher, *, rounds: int) -> None:
    before, grown, clients = dict(watcher.totals), Counter(watcher.grown), Clients(broker)
    churn(clients, watcher, rounds)
    counted = truth(clients)
    watcher.look_until(counted, since=before)
    assert {key: watcher.totals[key] - before.get(key, 0) for key in counted} == pytest.approx(counted, rel=0.01)
    assert {key: watcher.grown[key] - grown[key] for key in counted} == pytest.approx(counted, rel=0.01)
