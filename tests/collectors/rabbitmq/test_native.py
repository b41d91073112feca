"""The Prometheus plugin of a real broker: odd names, churn, restarts, filters, and parts of it that are away."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from urllib.parse import quote

import httpx2
import pika
import pytest

from collectors.rabbitmq import api, management, pages
from collectors.rabbitmq.access import access
from collectors.rabbitmq.ask import Ask
from collectors.rabbitmq.management import Management
from collectors.rabbitmq.native import Native
from collectors.rabbitmq.reading import Node, Queue, Reading, Source
from store.errors import SourceError
from tests.fix_prometheus import wait_until
from tests.fix_rabbitmq import Broker, recording
from tests.servers import free_port

ODD = [
    'say "hi"',
    "back\\slash",
    "c:\\new",  # as if a line break had been escaped
    "two\\\\backslashes",
    'q"} 5',
    "curly{}",
    "tab\tulator",
    "emoji 😀",
    "é" * 127,
    "x" * 255,
    " ",
    "..",
    "#",
    "a/b?c=d&e",
]
PLAIN = pika.BasicProperties()


def native(broker: Broker) -> Native:
    at = access(broker.url)
    return Native([Ask(at.at(broker.prometheus_url))], Ask(at))


@pytest.fixture(params=["native", "management"])
def source(request: pytest.FixtureRequest, broker: Broker) -> Iterator[Source]:
    """Each way to ask the same broker."""
    made: Source = native(broker) if request.param == "native" else Management(Ask(access(broker.url)))
    yield made
    made.close()


@pytest.fixture
def plugin(broker: Broker) -> Iterator[Native]:
    """The plugin with the API beside it."""
    made = native(broker)
    yield made
    made.close()


def settled(source: Source, name: str, messages: int) -> Reading:
    """A reading in which a queue holds so many messages; the broker renews its statistics twice a second."""
    found: list[Reading] = []

    def there() -> bool:
        found.append(source.read())
        return any(queue.name == name and queue.messages == messages for queue in found[-1].queues)

    wait_until(there)
    return found[-1]


def test_odd_names(
    broker: Broker, source: Source, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(management, "LONG_S", math.inf)  # however slow this machine is, consumers are asked for
    vhost = f"odd of {type(source).__name__}"  # the broker remembers the counts of a queue that was there before
    at = f"{broker.url}/api/vhosts/{quote(vhost)}"
    httpx2.put(at, trust_env=False).raise_for_status()
    request.addfinalizer(lambda: httpx2.delete(at, trust_env=False).raise_for_status())
    expected = {name: number for number, name in enumerate(ODD, start=1)}
    skipped = source.read().skipped  # other tests may have left something
    with pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", broker.amqp_port, vhost)) as connection:
        channel = connection.channel()
        for name, number in expected.items():
            channel.queue_declare(name)
            for _ in range(number):
                channel.basic_publish("", name, b"x")
        told = {name: (number, number, 0, 0) for name, number in expected.items()}
        found: list[Queue] = []

        def counted() -> dict[str, tuple[int | None, ...]]:
            reading = source.read()
            assert reading.skipped <= skipped
            found[:] = [queue for queue in reading.queues if queue.vhost == vhost]
            return {queue.name: (queue.messages, queue.ready, queue.unacked, queue.consumers) for queue in found}

        wait_until(lambda: counted() == told)

        def published() -> dict[str, int | None]:
            return {queue.name: queue.counters.get("published") for queue in source.detail([*keys])}

        keys = {queue.key for queue in found}
        wait_until(lambda: published() == expected)


def test_a_name_that_breaks_the_page_costs_itself(broker: Broker, plugin: Native) -> None:
    """The broker takes line breaks out of a queue's name, but not out of a vhost's, and does not escape them."""
    vhost = "line\nbreak"
    at = f"{broker.url}/api/vhosts/{quote(vhost, safe='')}"
    httpx2.put(at, trust_env=False).raise_for_status()
    try:
        parameters = pika.ConnectionParameters("127.0.0.1", broker.amqp_port, vhost)
        with pika.BlockingConnection(parameters) as there, broker.connect() as here:
            there.channel().queue_declare("lost")
            here.channel().queue_declare("found", exclusive=True)
            here.channel().basic_publish("", "found", b"x")
            reading = settled(plugin, "found", 1)
            assert reading.skipped > 0
            assert vhost not in {queue.vhost for queue in reading.queues}
            assert [queue.vhost for queue in plugin.detail([(vhost, "lost")])] == [vhost]
    finally:
        httpx2.delete(at, trust_env=False).raise_for_status()


def test_counters_do_not_fall_when_channels_close(broker: Broker, source: Source) -> None:
    """Publishers come, send and leave; so does a consumer. The plugin's own counter of a queue falls to nothing."""
    with broker.connect() as connection:
        keeper = connection.channel()
        name = f"churn of {type(source).__name__}"
        keeper.queue_declare(name)
        try:
            before = source.read()
            for number in range(20):
                with broker.connect() as one:
                    channel = one.channel()
                    for _ in range(7):
                        channel.basic_publish("", name, b"x")
                    channel.basic_publish("", "nowhere", b"x")
                    if number % 2:
                        method, _, _ = channel.basic_get(name)
                        assert method is not None
                        channel.basic_ack(method.delivery_tag)
            true = {"published": 140, "delivered": 10, "acked": 10, "redelivered": 0}
            wait_until(lambda: source.detail([("/", name)])[0].counters == true)
            wait_until(lambda: source.detail([("/", name)])[0].messages == 130)

            def grown(counter: str) -> int:
                return source.read().counters[counter] - before.counters[counter]

            wait_until(lambda: grown("published") >= 160)
            counted = ("published", "delivered", "acked", "unroutable_dropped")
            assert {each: grown(each) for each in counted} == dict(zip(counted, (160, 10, 10, 20), strict=True))
            assert 20 <= grown("connections_opened") <= 21  # our own may have been counted late
            page = httpx2.get(f"{broker.prometheus_url}/metrics", trust_env=False).text
            assert "\nrabbitmq_queue_messages_published_total 0\n" in page
        finally:
            keeper.queue_delete(name)


def test_limits_and_dead_letters(broker: Broker, plugin: Native) -> None:
    """Of policy and argument the smaller limit holds, and the argument names the exchange."""
    policy = {
        "pattern": "^limited$",
        "definition": {"max-length": 50, "message-ttl": 9000, "dead-letter-exchange": "policy", "expires": 60_000},
    }
    at = f"{broker.url}/api/policies/%2F/limits"
    httpx2.put(at, json=policy, trust_env=False).raise_for_status()
    arguments = {"x-max-length": 100, "x-message-ttl": 5000, "x-dead-letter-exchange": "", "x-max-length-bytes": 1000}
    with broker.connect() as connection:
        channel = connection.channel()
        channel.queue_declare("limited", arguments={**arguments, "x-dead-letter-routing-key": "dead"})
        try:
            wait_until(lambda: any(queue.policy for queue in plugin.detail([("/", "limited")])))
            (queue,) = plugin.detail([("/", "limited")])
        finally:
            channel.queue_delete("limited")
            httpx2.delete(at, trust_env=False).raise_for_status()
    assert (queue.policy, queue.durable, queue.exclusive) == ("limits", False, False)
    limits = (queue.max_length, queue.max_length_bytes, queue.message_ttl_ms, queue.expires_ms)
    assert limits == (50, 1000, 5000, 60_000)
    assert (queue.dead_letter_exchange, queue.dead_letter_routing_key) == ("", "dead")


def test_age_use_and_bytes(broker: Broker, plugin: Native) -> None:
    with broker.connect() as connection:
        channel = connection.channel()
        channel.queue_declare("stamped")
        channel.basic_publish("", "stamped", b"12345", pika.BasicProperties(timestamp=1_790_000_000))
        channel.basic_publish("", "stamped", b"12345", pika.BasicProperties(timestamp=1_790_000_500))
        try:
            wait_until(lambda: plugin.detail([("/", "stamped")])[0].head_timestamp is not None)
            (queue,) = plugin.detail([("/", "stamped")])
        finally:
            channel.queue_delete("stamped")
    assert (queue.head_timestamp, queue.message_bytes) == (1_790_000_000, 10)
    assert (queue.memory_bytes or 0) > 1000
    assert queue.consumer_utilisation == 0
    assert queue.node == broker.node


def test_only_the_vhosts_that_are_wanted(broker: Broker, source: Source) -> None:
    names = ["tenant a", 'tenant "b"', "other"]
    for name in names:
        httpx2.put(f"{broker.url}/api/vhosts/{quote(name)}", trust_env=False).raise_for_status()
        httpx2.put(f"{broker.url}/api/queues/{quote(name)}/q", json={}, trust_env=False).raise_for_status()
    try:
        wait_until(lambda: set(names) <= {queue.vhost for queue in source.read().queues})
        tenants = source.read(vhosts=lambda vhost: vhost.startswith("tenant"))
        assert {queue.vhost for queue in tenants.queues} == set(names[:2])
        assert source.read(vhosts=lambda vhost: False).queues == []
    finally:
        for name in names:
            httpx2.delete(f"{broker.url}/api/vhosts/{quote(name)}", trust_env=False).raise_for_status()


def test_quorum_queues_and_streams(broker: Broker, plugin: Native) -> None:
    with broker.connect() as connection:
        channel = connection.channel()
        for kind in ("quorum", "stream"):
            channel.queue_declare(kind, durable=True, arguments={"x-queue-type": kind})
            for _ in range(10):
                channel.basic_publish("", kind, b"x")
        try:
            wait_until(lambda: plugin.detail([("/", "quorum")])[0].extra.get("raft_applied", 0) >= 10)
            quorum, stream = plugin.detail([("/", "quorum"), ("/", "stream")])
            wait_until(lambda: plugin.detail([("/", "stream")])[0].messages == 10)
        finally:
            for kind in ("quorum", "stream"):
                channel.queue_delete(kind)
    assert (quorum.type, stream.type) == ("quorum", "stream")
    assert quorum.extra["raft_lag"] == 0
    assert quorum.extra["raft_written"] >= quorum.extra["raft_committed"] >= quorum.extra["raft_applied"] >= 10
    assert "raft_lag" not in stream.extra


def test_what_is_gone_is_left_out(source: Source) -> None:
    assert source.detail([("/", "never was"), ("no vhost", "q"), ("..", "q"), ("/", ".")]) == []
    assert source.detail([]) == []


def test_totals_and_nodes(broker: Broker, source: Source) -> None:
    with broker.connect() as connection:
        channel = connection.channel()
        channel.queue_declare("watched", exclusive=True)
        channel.basic_consume("watched", lambda *_: None)

        def told() -> bool:
            totals = source.read().totals
            return totals["connections"] >= 1 and totals["channels"] >= 1 and totals["consumers"] >= 1

        wait_until(told)
        reading = source.read()
    assert reading.totals["exchanges"] >= 7
    assert reading.version
    assert reading.erlang
    (node,) = reading.nodes
    assert (node.name, node.running) == (broker.node, True)
    assert node.values["memory_bytes"] > 1e7
    assert node.values["memory_limit_bytes"] > node.values["memory_bytes"]
    assert node.values["partitions"] == node.values["memory_alarm"] == node.values["disk_alarm"] == 0
    assert node.values["disk_free_bytes"] > 1e6
    assert 0 < node.values["fd_used"] < node.values["fd_total"]
    assert 0 < node.values["processes_used"] < node.values["processes_total"]
    assert abs(reading.boots[broker.node] - (reading.ts.timestamp() - node.values["uptime_s"])) < 1
    assert all(check.passed for check in source.checks())


def test_a_list_that_takes_long_is_asked_for_once_a_minute(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Depths are told at every look all the same; the consumers are those of the last list."""
    monkeypatch.setattr(management, "LONG_S", -1.0)
    source = Management(Ask(access(broker.url)))
    with broker.connect() as connection:
        channel = connection.channel()
        channel.queue_declare("listed", exclusive=True)
        channel.basic_publish("", "listed", b"x")
        settled(source, "listed", 1)
        channel.queue_declare("new", exclusive=True)
        for _ in range(2):
            channel.basic_publish("", "listed", b"x")
        reading = settled(source, "listed", 3)
        found = {queue.name: (queue.messages, queue.consumers) for queue in reading.queues}
        assert (found["listed"][0], found["new"]) == (3, (0, None))

        def consumers_a_minute_later() -> int | None:
            source._again_s = 0.0
            return {queue.name: queue.consumers for queue in source.read().queues}["listed"]

        wait_until(lambda: consumers_a_minute_later() == 0)
    source.close()


def test_without_the_management_api(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    """It is away: said once, left alone for a while, and what the plugin knows is still told."""
    caplog.set_level(logging.WARNING)
    source = Native([Ask(access(broker.prometheus_url))], Ask(access(f"http://127.0.0.1:{free_port()}")))
    with broker.connect() as connection:
        channel = connection.channel()
        channel.queue_declare("alone", exclusive=True)
        channel.basic_publish("", "alone", b"12345")
        reading = settled(source, "alone", 1)
        (queue,) = source.detail([("/", "alone")])
        assert (queue.messages, queue.message_bytes) == (1, 5)
        assert reading.counters["published"] > 0
        assert source.checks() == []
    source.close()
    assert [record.levelname for record in caplog.records if "no detail of queues" in record.message] == ["WARNING"]


def test_one_plugin_of_two(broker: Broker) -> None:
    """What one node has is told; its counters are of other nodes than before, which `boots` shows."""
    away = f"http://127.0.0.1:{free_port()}"
    source = Native([Ask(access(away)), Ask(access(broker.prometheus_url))])
    assert list(source.read().boots) == [broker.node]
    source.close()
    nobody = Native([Ask(access(away))])
    with pytest.raises(SourceError, match=away) as caught:
        nobody.read()
    assert caught.value.kind == "down"
    nobody.close()


def test_a_node_that_has_come_and_is_not_seen(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was chosen while a node was away shows too little when it is back."""
    nodes = [Node(broker.node, running=True), Node("rabbit@back", running=True), Node("rabbit@away", running=False)]
    monkeypatch.setattr(api, "nodes", lambda _: nodes)
    at = access(broker.url)
    whole, part = (
        Native([Ask(at.at(broker.prometheus_url))], Ask(at), whole=True),
        Native([Ask(at.at(broker.prometheus_url))], Ask(at)),
    )
    with pytest.raises(SourceError, match="no Prometheus plugin shows rabbit@back"):
        whole.read()
    assert [(node.name, node.running) for node in part.read().nodes] == [(node.name, node.running) for node in nodes]
    whole.close()
    part.close()


def test_something_else_shows_metrics() -> None:
    with pytest.raises(SourceError, match="not that of RabbitMQ's Prometheus plugin"):
        pages.shown("go_goroutines 7\n", 0.0, "http://other")


@pytest.mark.parametrize("moment", ["00-empty", "01-load", "02-load", "03-load", "04-load", "05-load", "06-load"])
def test_recorded(moment: str) -> None:
    """Every recorded moment: the pages show the queues that the API lists, and as deep."""
    asked = {queue.key: queue for queue in api.queues(json.loads(recording(moment, "api-queues.json")))}
    for page in ("detailed.prom", "per-object.prom"):
        told, skipped = pages.depths(recording(moment, page), raw=True)
        assert {queue.key for queue in told} == set(asked)
        assert skipped == 0
        for queue in told:
            assert queue.messages == pytest.approx(asked[queue.key].messages, abs=60)
            assert queue.messages == (queue.ready or 0) + (queue.unacked or 0)
            assert queue.consumers == asked[queue.key].consumers


def test_a_release_that_escapes_is_read_as_it_is_written() -> None:
    """Since 3.13: a queue that would be another one in a release that does not escape."""
    page = 'rabbitmq_detailed_queue_messages{vhost="/",queue="say \\"hi\\" c:\\\\new"} 3\n'
    ((queue,), skipped) = pages.depths(page)
    assert (queue.name, skipped) == ('say "hi" c:\\new', 0)
    broken = 'rabbitmq_detailed_queue_messages{vhost="/",queue="say "hi""} 3\n'
    assert pages.depths(broken) == ([], 1)


PAGE_41 = """\
# TYPE rabbitmq_detailed_queue_messages_ready gauge
rabbitmq_detailed_queue_messages_ready{vhost="/",queue="q"} 3
rabbitmq_detailed_queue_messages{vhost="/",queue="q"} NaN
rabbitmq_detailed_queue_consumers{vhost="/",queue="q"} +Inf
rabbitmq_detailed_queue_messages_delivered_ack_total{vhost="/",queue="q"} 5
rabbitmq_detailed_queue_messages_delivered_total{vhost="/",queue="q"} 7
rabbitmq_detailed_queue_get_ack_total{vhost="/",queue="q"} 1
rabbitmq_detailed_queue_get_total{vhost="/",queue="q"} 2
rabbitmq_detailed_queue_exchange_messages_published_total{vhost="/",exchange="",queue="q"} 4
rabbitmq_detailed_queue_exchange_messages_published_total{vhost="/",exchange="amq.topic",queue="q"} 6
rabbitmq_detailed_queue_head_message_timestamp{vhost="/",queue="q"} NaN
rabbitmq_detailed_stream_consumer_max_offset_lag{vhost="/",queue="q"} 9
rabbitmq_detailed_queue_info{vhost="/",queue="q",queue_type="rabbit_stream_queue",membership="leader"} 1
rabbitmq_build_info{rabbitmq_version="4.1.0",erlang_version="27.3"} 1
rabbitmq_identity_info{rabbitmq_node="rabbit@a",rabbitmq_cluster="c",rabbitmq_endpoint="detailed"} 1
"""


def test_a_page_of_4() -> None:
    """Deliveries come in four parts, and `delivered` alone is the part without acknowledgement."""
    (queue,) = pages.details(PAGE_41, {("/", "q")})
    assert (queue.ready, queue.messages, queue.consumers, queue.head_timestamp) == (3, None, None, None)
    assert queue.counters == {"delivered": 15, "published": 10}
    assert queue.extra == {"stream_lag": 9}
