"""The page that Prometheus reads."""

from __future__ import annotations

import gzip
import subprocess
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.request import Request, urlopen

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from collectors.exposition import Exposition, Health
from collectors.rabbitmq.expose import REASONS, Reason, Sample, Shown
from collectors.rabbitmq.reading import Check, Link, Node, Queue, Reading
from store.settings import load
from tests.collectors.rabbitmq.names import NASTY
from tests.servers import need

TS = datetime(2026, 9, 22, tzinfo=UTC)
Samples = dict[tuple[str, ...], float]


def sample(*detailed: Queue, many: int = 0) -> Sample:
    look = Reading(TS, 0.0, "rabbit@one", "3.10.8", "25.2", "native")
    look.totals = {"connections": 3.0, "channels": 5.0, "queues": 2.0}
    look.nodes = [
        Node("rabbit@one", running=True, values={"memory_bytes": 5e7, "memory_alarm": 1.0, "uptime_s": 12.5}),
        Node("rabbit@two", running=False),
    ]
    look.links = [Link("federation", "up", "/", "starting")]
    others = [Queue("/", f"other-{k}", k, k, 0, 1) for k in range(many)]
    checks = [Check("alarms", "failed", "memory"), Check("virtual_hosts", "passed"), Check("local_alarms", "unknown")]
    counters = {"published": 100, "connections_opened": 9}
    return Sample(time.monotonic(), look, [*detailed, *others], detailed, checks, counters)


def shown(page: Iterable[bytes]) -> Samples:
    """(metric, its labels' values but the cluster, in the order of the page) -> value."""
    samples = [found for family in text_string_to_metric_families(b"".join(page).decode()) for found in family.samples]
    return {(each.name, *(v for k, v in each.labels.items() if k != "cluster")): each.value for each in samples}


def test_everything_there_is() -> None:
    queue = Queue("/", "q", 7, 5, 2, 1, "quorum", "running", "p", "rabbit@one", message_bytes=70, memory_bytes=9)
    queue.consumer_utilisation, queue.head_timestamp, queue.message_ttl_ms = 0.25, TS.timestamp() - 90, 1500
    queue.dead_letter_exchange, queue.dead_letter_routing_key, queue.max_length = "", "dead", 10
    queue.counters, queue.extra = {"published": 8, "delivered": 6, "acked": 4}, {"raft_lag": 3.0}
    page = Shown(60, sample(queue), "ok")
    need_promtool(page.page())
    found = shown(page.page())
    expected: Samples = {
        ("rabbitmq_up",): 1,
        ("rabbitmq_up_reason", "ok"): 1,
        ("rabbitmq_up_reason", "down"): 0,
        ("rabbitmq_build_info", "3.10.8", "25.2", "native"): 1,
        ("rabbitmq_connections",): 3,
        ("rabbitmq_channels",): 5,
        ("rabbitmq_messages_published_total",): 100,
        ("rabbitmq_connections_opened_total",): 9,
        ("rabbitmq_running", "rabbit@one"): 1,
        ("rabbitmq_running", "rabbit@two"): 0,
        ("rabbitmq_process_resident_memory_bytes", "rabbit@one"): 5e7,
        ("rabbitmq_node_mem_alarm", "rabbit@one"): 1,
        ("rabbitmq_uptime_seconds", "rabbit@one"): 12.5,
        ("rabbitmq_health_check", "alarms"): 0,
        ("rabbitmq_health_check", "virtual_hosts"): 1,
        ("rabbitmq_link_running", "federation", "/", "up"): 0,
        ("rabbitmq_collected_queues", "yes"): 1,
        ("rabbitmq_queue_messages", "/", "q"): 7,
        ("rabbitmq_queue_messages_ready", "/", "q"): 5,
        ("rabbitmq_queue_messages_unacked", "/", "q"): 2,
        ("rabbitmq_queue_consumers", "/", "q"): 1,
        ("rabbitmq_queue_message_bytes", "/", "q"): 70,
        ("rabbitmq_queue_consumer_utilisation", "/", "q"): 0.25,
        ("rabbitmq_queue_head_message_age_seconds", "/", "q"): 90,
        ("rabbitmq_queue_max_length", "/", "q"): 10,
        ("rabbitmq_queue_message_ttl_seconds", "/", "q"): 1.5,
        ("rabbitmq_queue_running", "/", "q"): 1,
        ("rabbitmq_queue_messages_published_total", "/", "q"): 8,
        ("rabbitmq_queue_messages_delivered_total", "/", "q"): 6,
        ("rabbitmq_queue_messages_acked_total", "/", "q"): 4,
        ("rabbitmq_queue_raft_lag", "/", "q"): 3,
        ("rabbitmq_queue_info", "/", "q", "quorum", "p", "rabbit@one", "", "dead"): 1,
    }
    assert expected.items() <= found.items()
    assert ("rabbitmq_process_resident_memory_bytes", "rabbit@two") not in found
    assert ("rabbitmq_health_check", "local_alarms") not in found
    assert "rabbitmq_exchanges" not in {name for name, *_ in found}


def need_promtool(page: Iterable[bytes]) -> None:
    """Prometheus itself reads the page. What its linter thinks of names is not asked."""
    promtool = need("promtool", package="prometheus")
    checked = subprocess.run([promtool, "check", "metrics"], input=b"".join(page), capture_output=True, check=False)
    assert checked.returncode in (0, 3), checked.stderr.decode()
    assert b"error while linting" not in checked.stderr


def test_what_is_not_told_is_left_out() -> None:
    found = shown(Shown(60, sample(Queue("/", "q")), "ok").page())
    assert {name for name, *labels in found if "q" in labels} == {"rabbitmq_queue_info"}


def test_of_many_queues_four_series_each() -> None:
    page = Shown(60, sample(Queue("/", "q", 1, 1, 0, 0, "classic"), many=1000), "ok").page()
    found = shown(page)
    assert sum(1 for _, *labels in found if "other-7" in labels) == 4
    assert found["rabbitmq_queue_messages", "/", "other-7"] == 7
    assert found["rabbitmq_collected_queues", "no"] == 1000


@pytest.mark.parametrize("reason", REASONS)
def test_what_the_last_collection_met(reason: Reason) -> None:
    found = shown(Shown(60, None, reason).page())
    assert found["rabbitmq_up",] == (reason == "ok")
    assert {each: found["rabbitmq_up_reason", each] for each in REASONS} == {each: each == reason for each in REASONS}


def test_an_old_sample_is_not_shown() -> None:
    page = Shown(0.0, sample(Queue("/", "q", 1)), "ok", skipped=3)
    time.sleep(0.01)
    found = shown(page.page())
    assert ("rabbitmq_queue_messages", "/", "q") not in found
    assert found["gaugebook_collector_skipped_samples_total", "rabbitmq"] == 3


def test_nasty_names() -> None:
    page = Shown(60, sample(*[Queue(name, name, k) for k, name in enumerate(NASTY)]), "ok")
    need_promtool(page.page())
    found = shown(page.page())
    for k, name in enumerate(NASTY):
        assert found["rabbitmq_queue_messages", name, name] == k
    assert ("rabbitmq_queue_messages", "/", "a\ufffdb") in shown(
        Shown(60, sample(Queue("/", "a\ud800b", 1)), "ok").page()
    )


@pytest.mark.parametrize("accepted", ["", "gzip"])
def test_it_is_served_beside_the_health_of_the_collector(accepted: str) -> None:
    registry = CollectorRegistry()
    Health("rabbitmq", registry)
    page = Shown(60, sample(Queue("/", "q", 7)), "ok")
    with (
        Exposition(load(metrics_port=0), registry, more=page.page) as exposition,
        urlopen(Request(exposition.url, headers={"Accept-Encoding": accepted}), timeout=10) as answer,
    ):
        body = gzip.decompress(answer.read()) if accepted else answer.read()
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = shown([body])
    assert found["rabbitmq_queue_messages", "/", "q"] == 7
    assert ("gaugebook_collector_errors_total", "rabbitmq") in found
