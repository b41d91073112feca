"""What the management API's JSON is taken for: recordings of two releases, and answers that make no sense."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.rabbitmq import api
from collectors.rabbitmq.access import access
from collectors.rabbitmq.ask import Ask
from tests.collectors.rabbitmq.test_access import say, server
from tests.fix_rabbitmq import Guarded, recording, recordings

MOMENTS = ["00-empty", "01-load", "02-load", "03-load", "04-load", "05-load", "06-load"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_queues_of_3_10(moment: str) -> None:
    answers = json.loads(recording(moment, "api-queues.json"))
    queues = api.queues(answers)
    for answer, queue in zip(answers, queues, strict=True):
        assert queue.messages == answer["messages"] == (queue.ready or 0) + (queue.unacked or 0)
        assert (queue.vhost, queue.name, queue.type) == (answer["vhost"], answer["name"], answer["type"])
        assert queue.counters["acked"] == answer.get("message_stats", {}).get("ack", 0)
        assert queue.counters["delivered"] == answer.get("message_stats", {}).get("deliver_get", 0)
        assert (queue.consumers, queue.node) == (answer["consumers"], answer["node"])
    limits = {queue.name: queue.max_length for queue in queues if queue.max_length}
    assert limits == ({} if moment == "00-empty" else {"batch": 500})


def test_overview_and_nodes_of_3_10() -> None:
    answer = json.loads(recording("03-load", "api-overview.json"))
    assert api.totals(answer)["queues"] == answer["object_totals"]["queues"]
    assert api.counters(answer)["published"] == answer["message_stats"]["publish"]
    (item,) = json.loads(recording("03-load", "api-nodes.json"))
    node = api.node(item)
    assert node is not None
    assert (node.name, node.running) == ("fixcap@localhost", True)
    assert node.values["memory_bytes"] == item["mem_used"]
    assert node.values["uptime_s"] == pytest.approx(item["uptime"] / 1000)
    assert node.values["partitions"] == 0


def test_3_7() -> None:
    folder = recordings() / "kbudde_3.7.0"
    queues = api.queues(json.loads((folder / "queues-3.7.0.json").read_text()))
    assert [queue.messages for queue in queues] == [0, 0, 0]
    assert {queue.type for queue in queues} == {None}
    overview = json.loads((folder / "overview-3.7.0.json").read_text())
    assert api.totals(overview)["queues"] == 3
    counters = api.counters(overview)
    assert counters["acked"] == 0
    assert not {"unroutable_dropped", "connections_opened"} & set(counters)  # younger than this release
    (item,) = json.loads((folder / "nodes-3.7.0.json").read_text())
    node = api.node(item)
    assert node is not None
    assert node.values["fd_used"] == 36


@pytest.mark.parametrize(
    ("queue", "utilisation"),
    [
        ({"consumer_utilisation": 0.25}, 0.25),
        ({"consumer_capacity": 0.5}, 0.5),
        ({"consumer_utilisation": None, "consumer_capacity": 1}, 1.0),
        ({"consumer_utilisation": ""}, None),
        ({"consumer_utilisation": 7}, None),
        ({}, None),
    ],
)
def test_either_name_of_utilisation(queue: dict[str, Any], utilisation: float | None) -> None:
    found = api.queue({"name": "q", "vhost": "/"} | queue)
    assert found is not None
    assert found.consumer_utilisation == utilisation


@pytest.mark.parametrize(
    ("stamp", "seconds"), [(1_790_000_000, 1_790_000_000), (1_790_000_000_000, 1_790_000_000), (0, None), (-1, None)]
)
def test_the_time_that_a_publisher_stamped(stamp: float, seconds: float | None) -> None:
    assert api.seconds(stamp) == seconds


@pytest.mark.parametrize(
    ("stats", "item", "counted"),
    [
        (True, {"messages": 0}, True),
        (True, {}, False),  # in its first seconds the broker has no statistics of a queue
        (False, {"messages": 0}, False),
    ],
)
def test_what_is_not_listed_was_never_done_where_it_is_counted(
    stats: bool, item: dict[str, Any], counted: bool
) -> None:
    queue = api.queue({"name": "q", "vhost": "/"} | item, stats=stats)
    assert queue is not None
    assert queue.counters == (dict.fromkeys(("published", "delivered", "acked", "redelivered"), 0) if counted else {})


@pytest.mark.parametrize("off", [{"disable_stats": True}, {"rates_mode": "none"}])
def test_a_broker_that_does_not_count(off: dict[str, Any]) -> None:
    assert api.counters({"message_stats": {"publish": 5}} | off) == {}


def test_of_two_limits_the_smaller_and_of_two_names_the_argument() -> None:
    item = {
        "effective_policy_definition": {"max-length": 5, "dead-letter-exchange": "policy", "message-ttl": 10},
        "arguments": {"x-max-length": 9, "x-dead-letter-exchange": "argument", "x-dead-letter-routing-key": "key"},
    }
    queue = api.queue({"name": "q", "vhost": "/"} | item)
    assert queue is not None
    assert (queue.max_length, queue.message_ttl_ms, queue.expires_ms) == (5, 10, None)
    assert (queue.dead_letter_exchange, queue.dead_letter_routing_key) == ("argument", "key")


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_names_that_postgresql_cannot_hold(name: str) -> None:
    queue = api.queue({"name": name, "vhost": "/"})
    assert queue is not None
    assert queue.name == "a\ufffdb"


TEXT = st.text("aé\0\ud800", max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    [
        *("name", "vhost", "messages", "consumers", "consumer_utilisation", "head_message_timestamp", "message_stats"),
        *("arguments", "effective_policy_definition", "durable", "running", "uptime", "mem_used", "object_totals"),
    ]
)


@given(st.dictionaries(FIELDS, JSON))
def test_any_json_is_read(item: dict[str, Any]) -> None:
    queue = api.queue(item)
    if queue is not None:
        queue.name.encode()
        assert queue.consumer_utilisation is None or 0 <= queue.consumer_utilisation <= 1
        for value in (queue.messages, queue.consumers, *queue.counters.values()):
            assert value is None or 0 <= value < 2**63
    api.node(item)
    for value in (*api.totals(item).values(), *api.counters(item).values()):
        assert 0 <= value < 2**63


def test_lag_of_streams(guarded: Guarded) -> None:
    """Of several consumers the slowest; none where nobody consumes, and none where the plugin is off."""
    consumers = [
        {"queue": {"vhost": "/", "name": "s"}, "offset_lag": 7},
        {"queue": {"vhost": "/", "name": "s"}, "offset_lag": 40},
        {"queue": {"vhost": "/", "name": "t"}, "offset_lag": "?"},
        {"offset_lag": 1},
    ]
    with server(lambda handler: say(handler, 200, json.dumps(consumers).encode())) as url, Ask(access(url)) as ask:
        assert api.stream_lags(ask) == {("/", "s"): 40}
    with server(lambda handler: say(handler, 404)) as url, Ask(access(url)) as ask:
        assert api.stream_lags(ask) == {}
    with Ask(access(guarded.broker.url)) as ask:
        assert api.stream_lags(ask) == {}
