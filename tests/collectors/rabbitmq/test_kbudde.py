"""An existing exporter: what a real one showed of RabbitMQ 3.10.8, and pages with something amiss."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors.rabbitmq.access import access
from collectors.rabbitmq.ask import Ask
from collectors.rabbitmq.kbudde import Kbudde, parse
from collectors.rabbitmq.reading import Link, Queue, Reading
from store.errors import SourceError
from tests.collectors.rabbitmq.test_access import say, server
from tests.fix_prometheus import wait_until
from tests.fix_rabbitmq import Broker

RECORDED = (Path(__file__).parent / "recorded" / "kbudde_1.0_on_3.10.8.prom").read_text(encoding="utf-8")
WHEN = datetime(2026, 11, 23, tzinfo=UTC)


def read(page: str) -> Reading:
    return parse(page, WHEN, 0.0, "http://exporter")


def test_recorded() -> None:
    """30 messages published: of the queue `limited` 22 delivered and 3 fetched without, 5 fetched with acknowledgement."""
    reading = read(RECORDED)
    assert (reading.version, reading.erlang, reading.source) == ("3.10.8", "25.2.3", "kbudde")
    assert reading.skipped == 0
    assert reading.totals["queues"] == 15
    assert reading.counters == {}  # it knows none of the whole cluster
    (node,) = reading.nodes
    assert node.running
    assert (node.values["memory_alarm"], node.values["fd_total"], node.values["partitions"]) == (0, 20000, 0)
    assert node.values["uptime_s"] == pytest.approx(2041.15)
    assert reading.boots[node.name] == pytest.approx(WHEN.timestamp() - 2041.15)
    queues = {queue.name: queue for queue in reading.queues}
    assert queues["limited"] == Queue(
        *("/", "limited", 0, 0, 0, 0),
        state="idle",
        durable=True,
        message_bytes=0,
        memory_bytes=18128,
        consumer_utilisation=0.0,
        max_length=100,
        counters={"published": 30, "delivered": 30, "acked": 5, "redelivered": 0},
    )
    assert (queues["stream"].messages, queues["stream"].state) == (30, "running")


def test_a_real_one(broker: Broker, kbudde_exporter: str) -> None:
    """Publishers come, send and leave; the exporter asks the broker at each of our looks."""
    source = Kbudde(Ask(access(kbudde_exporter)))
    with broker.connect() as connection:
        channel = connection.channel()
        name = channel.queue_declare('by the "exporter"', arguments={"x-max-length": 500}).method.queue
        try:
            for _ in range(5):
                with broker.connect() as one:
                    publisher = one.channel()
                    for _ in range(6):
                        publisher.basic_publish("", name, b"abc")
            for _ in range(4):
                method, _, _ = channel.basic_get(name)
                channel.basic_ack(method.delivery_tag)
            true = {"published": 30, "delivered": 4, "acked": 4, "redelivered": 0}

            def queue() -> Queue | None:
                source.read()  # its page is what detail is taken from
                return next(iter(source.detail([("/", name)])), None)

            wait_until(lambda: (there := queue()) is not None and there.counters == true)
            wait_until(lambda: (there := queue()) is not None and there.messages == 26)
            there = queue()
            assert there is not None
            assert (there.ready, there.unacked, there.consumers, there.max_length) == (26, 0, 0, 500)
            reading = source.read()
            assert (reading.source, reading.version, reading.skipped) == ("kbudde", "3.10.8", 0)
            assert all(node.running and node.values["memory_bytes"] > 1e7 for node in reading.nodes)
        finally:
            channel.queue_delete(name)
            source.close()


def test_over_http() -> None:
    asked = []

    def answer(handler: object) -> None:
        asked.append(handler.path)  # type: ignore[attr-defined]
        say(handler, 200, RECORDED.encode())  # type: ignore[arg-type]

    with server(answer) as url:
        source = Kbudde(Ask(access(url)))
        assert len(source.read().queues) == 3
        assert [queue.name for queue in source.detail([("/", "quorum"), ("/", "gone")])] == ["quorum"]
        assert source.read(vhosts=lambda vhost: vhost != "/").queues == []
        assert (source.checks(), source.where) == ([], url)
        source.close()
        elsewhere = Kbudde(Ask(access(f"{url}/rabbitmq/metrics")))
        elsewhere.read()
        elsewhere.close()
    assert set(asked) == {"/metrics", "/rabbitmq/metrics"}


def test_its_broker_is_down() -> None:
    with pytest.raises(SourceError, match="cannot reach its broker") as caught:
        read('rabbitmq_up{cluster="",node=""} 0\nrabbitmq_queue_messages{vhost="/",queue="old"} 5\n')
    assert caught.value.kind == "down"


def test_another_exporter() -> None:
    with pytest.raises(SourceError, match="shows no rabbitmq_up") as caught:
        read("go_goroutines 7\n")
    assert caught.value.kind == "wrong"


def test_odd_names_and_links() -> None:
    page = """\
rabbitmq_up{} 1
rabbitmq_queue_messages{vhost="/",queue="say \\"hi\\" c:\\\\new",durable="1",policy="p"} 3
rabbitmq_queue_messages{vhost="/",queue="say "hi""} 4
rabbitmq_queue_messages{vhost="/",queue="later"} NaN
rabbitmq_queue_head_message_timestamp{vhost="/",queue="say \\"hi\\" c:\\\\new"} 1.79e+12
rabbitmq_shovel_state{vhost="/",shovel="s",type="static",self="1",state="running"} 1
rabbitmq_federation_state{vhost="/",node="rabbit@a",queue="",exchange="x",self="1",status="starting"} 1
"""
    reading = read(page)
    (queue,) = reading.queues
    assert (queue.name, queue.messages, queue.durable, queue.policy) == ('say "hi" c:\\new', 3, True, "p")
    assert queue.head_timestamp == 1_790_000_000  # this publisher stamps milliseconds
    assert reading.skipped == 1
    assert reading.links == [
        Link("shovel", "s", "/", "running"),
        Link("federation", "exchange x", "/", "starting", "rabbit@a"),
    ]
