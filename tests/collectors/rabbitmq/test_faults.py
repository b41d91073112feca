"""A real broker in trouble, and what the collector says of it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pika
import pytest
from prometheus_client.parser import text_string_to_metric_families

from collectors.rabbitmq.collect import RabbitMQ
from store.errors import FileUnusable, SourceError
from store.settings import load
from tests.collectors.rabbitmq.names import NASTY
from tests.fix_prometheus import wait_until
from tests.fix_rabbitmq import LAUNCHER, Broker
from tests.network import Proxy
from tests.servers import free_port

Page = dict[tuple[str, ...], float]


class Collector:
    """Samples when it is told to."""

    def __init__(self, url: str, **settings: Any) -> None:
        given = {"rabbitmq_url": url, "rabbitmq_interval_s": 1.0, "rabbitmq_timeout_s": 5.0} | settings
        self.source = RabbitMQ(load(**given))

    def rows(self, table: str = "queues") -> dict[str, dict[str, Any]]:
        """One sample: the rows of a table by queue, or by what else names them."""
        batches = {batch.table.removeprefix("metrics.rabbitmq_"): batch for batch in self.source.take()}
        rows = [dict(zip(batches[table].columns, row, strict=True)) for row in batches[table].rows]
        return {row.get("queue") or row.get("node") or row["cluster"]: row for row in rows}

    def depth(self, queue: str) -> int | None:
        """The messages of a queue in a further sample; None while it is not seen."""
        return self.rows().get(queue, {}).get("messages")

    def page(self) -> Page:
        """What /metrics says, by name and labels but the cluster and the node."""
        text = b"".join(self.source.shown.page()).decode()
        samples = [found for family in text_string_to_metric_families(text) for found in family.samples]
        left_out = ("cluster", "node")
        return {(each.name, *(v for k, v in each.labels.items() if k not in left_out)): each.value for each in samples}

    def fails(self) -> str:
        """One sample that fails: the reason that /metrics gives."""
        with pytest.raises(SourceError):
            self.source.collect()
        page = self.page()
        assert page["rabbitmq_up",] == 0
        (reason,) = [
            reason
            for (name, *labels), value in page.items()
            if name == "rabbitmq_up_reason" and value
            for reason in labels
        ]
        return reason


@pytest.fixture
def collector(broker: Broker) -> Iterator[Callable[..., Collector]]:
    made: list[Collector] = []

    def make(url: str = broker.url, **settings: Any) -> Collector:
        made.append(Collector(url, **settings))
        return made[-1]

    yield make
    for each in made:
        each.source.close()


@contextmanager
def queue(broker: Broker, *names: str, **arguments: Any) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    """Durable queues of these names, gone afterwards."""
    with broker.connect() as connection:
        channel = connection.channel()
        for name in names:
            channel.queue_declare(name, durable=True, arguments=arguments)
        try:
            yield channel
        finally:
            with broker.connect() as fresh:
                for name in names:
                    fresh.channel().queue_delete(name)


def rabbitmqctl(broker: Broker, *words: str) -> None:
    command = [LAUNCHER.parent / "rabbitmqctl", "--node", broker.node, *words]
    subprocess.run(command, env=broker._environment(), check=True, capture_output=True, timeout=60)


def test_a_memory_alarm_is_raised_and_cleared(
    broker: Broker, collector: Callable[..., Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.rabbitmq.collect.CHECK_S", 0.0)
    one = collector()
    (before,) = one.rows("nodes").values()
    assert (before["running"], before["memory_alarm"], before["disk_alarm"]) == (True, False, False)
    assert one.page()["rabbitmq_health_check", "alarms"] == 1
    rabbitmqctl(broker, "set_vm_memory_high_watermark", "absolute", "1MB")
    try:
        wait_until(lambda: next(iter(one.rows("nodes").values()))["memory_alarm"])
        page = one.page()
        assert page["rabbitmq_up",] == 1
        assert page["rabbitmq_node_mem_alarm",] == 1
        wait_until(lambda: next(iter(one.rows("nodes").values()))["memory_limit_bytes"] == 1_000_000)
        (overview,) = one.rows("overview").values()
        assert "memory" in overview["attrs"]["checks"]["alarms"]
        assert one.page()["rabbitmq_health_check", "alarms"] == 0
    finally:
        rabbitmqctl(broker, "set_vm_memory_high_watermark", "0.4")
    wait_until(lambda: not next(iter(one.rows("nodes").values()))["memory_alarm"])
    assert one.page()["rabbitmq_health_check", "alarms"] == 1


def test_down_not_allowed_slow_and_something_else(broker: Broker, collector: Callable[..., Collector]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert collector(f"http://guest:guest@127.0.0.1:{port}", rabbitmq_timeout_s=0.5).fails() == "slow"
    assert collector(f"http://guest:guest@127.0.0.1:{port}").fails() == "down"
    assert collector(broker.url.replace("guest@", "s3cret@")).fails() == "denied"
    assert collector(f"http://127.0.0.1:{broker.amqp_port}", rabbitmq_timeout_s=3).fails() in ("down", "wrong")


def test_a_user_without_rights(
    broker: Broker, collector: Callable[..., Collector], caplog: pytest.LogCaptureFixture
) -> None:
    """Without the tag that the management API wants, and asked through it alone, nothing can be read."""
    api = httpx2.Client(base_url=broker.url, auth=("guest", "guest"), trust_env=False, timeout=60)
    api.put("/api/users/nobody", json={"password": "s3cret", "tags": ""}).raise_for_status()
    url = broker.url.replace("guest:guest", "nobody:s3cret")
    one = collector(url)
    assert one.fails() == "denied"
    assert one.fails() == "denied"
    told = [record.message for record in caplog.records if record.name == "collectors.rabbitmq.collect"]
    assert len(told) == 1
    assert "monitoring" in told[0]
    assert "s3cret" not in caplog.text
    api.put("/api/users/nobody", json={"password": "s3cret", "tags": "monitoring"}).raise_for_status()
    one.source.collect()
    assert one.page()["rabbitmq_up_reason", "ok"] == 1
    api.delete("/api/users/nobody").raise_for_status()
    api.close()


def test_a_file_with_a_password_that_is_away_for_a_while(
    broker: Broker, collector: Callable[..., Collector], tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    wanted = {"rabbitmq_user": "guest", "rabbitmq_password_file": secret, "rabbitmq_source": "management"}
    url = f"http://127.0.0.1:{broker.management_port}"
    with pytest.raises(FileUnusable, match="cannot be read"):
        collector(url, **wanted).source.collect()
    secret.write_text("guest\n")
    one = collector(url, **wanted)
    one.source.collect()
    secret.write_text("s3cret\n")
    assert one.fails() == "denied"
    secret.unlink()
    assert one.fails() == "denied"
    secret.write_text("guest\n")
    one.source.collect()
    assert one.page()["rabbitmq_up",] == 1


def test_a_better_way_to_ask_is_found_later(
    broker: Broker, collector: Callable[..., Collector], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = collector(rabbitmq_prometheus_url=f"http://127.0.0.1:{free_port()}")
    (overview,) = one.rows("overview").values()
    assert overview["attrs"]["source"] == "management"
    monkeypatch.setattr("collectors.rabbitmq.collect.CHOOSE_S", 0.0)
    one.source._settings = one.source._settings.model_copy(update={"rabbitmq_prometheus_url": (broker.prometheus_url,)})
    (overview,) = one.rows("overview").values()
    assert (overview["attrs"]["source"], overview["published_per_s"]) == ("native", None)


def test_quorum_queues_and_streams(broker: Broker, collector: Callable[..., Collector]) -> None:
    one = collector()
    with (
        queue(broker, "quorum", **{"x-queue-type": "quorum"}) as channel,
        queue(broker, "stream", **{"x-queue-type": "stream"}),
    ):
        channel.confirm_delivery()
        for name in ("quorum", "stream"):
            for _ in range(20):
                channel.basic_publish("", name, b"body")
        wait_until(lambda: one.depth("quorum") == 20 and one.depth("stream") == 20)
        rows = one.rows()
        assert (rows["quorum"]["type"], rows["stream"]["type"]) == ("quorum", "stream")
        assert rows["quorum"]["attrs"]["raft_lag"] == 0
        page = one.page()
        assert page["rabbitmq_queue_raft_lag", "/", "quorum"] == 0
        assert page["rabbitmq_queue_messages", "/", "stream"] == 20
        few = collector(rabbitmq_types="stream")
        assert set(few.rows()) == {"stream"}


def test_dead_letters_limits_and_policies(broker: Broker, collector: Callable[..., Collector]) -> None:
    one = collector()
    limits = {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "dead",
        "x-max-length": 5,
        "x-message-ttl": 60_000,
    }
    with queue(broker, "alive", **limits) as channel, queue(broker, "dead"):
        channel.confirm_delivery()
        for _ in range(8):
            channel.basic_publish("", "alive", b"body")
        wait_until(lambda: one.depth("dead") == 3)
        alive = one.rows()["alive"]
        assert alive["messages"] == 5
        wanted = {
            "dead_letter_exchange": "",
            "dead_letter_routing_key": "dead",
            "max_length": 5,
            "message_ttl_ms": 60_000,
        }
        assert wanted.items() <= alive["attrs"].items()
        page = one.page()
        assert page["rabbitmq_queue_max_length", "/", "alive"] == 5
        assert page["rabbitmq_queue_message_ttl_seconds", "/", "alive"] == 60
        assert ("rabbitmq_queue_info", "/", "alive", "classic", "", "", "dead") in page


def test_a_queue_that_is_deleted_and_made_again_has_no_burst(
    broker: Broker, collector: Callable[..., Collector]
) -> None:
    one = collector()

    def publish(count: int) -> None:
        with broker.connect() as connection:
            channel = connection.channel()
            channel.queue_declare("again")
            for _ in range(count):
                channel.basic_publish("", "again", b"body")

    publish(50)
    wait_until(lambda: one.rows().get("again", {}).get("published_total") == 50, every_s=0.5)
    with broker.connect() as connection:
        connection.channel().queue_delete("again")
    wait_until(lambda: "again" not in one.rows())
    assert ("rabbitmq_queue_messages", "/", "again") not in one.page()
    publish(7)
    rates = []

    def counted() -> bool:
        row = one.rows().get("again")
        if row is None:
            return False
        rates.append(row["published_per_s"])
        return bool(row["published_total"] == 7)

    wait_until(counted, every_s=0.5)
    assert rates[0] is None
    assert all(rate is None or 0 <= rate <= 7 / 0.4 for rate in rates)
    with broker.connect() as connection:
        connection.channel().queue_delete("again")


def test_nasty_names_go_all_the_way(broker: Broker, collector: Callable[..., Collector]) -> None:
    """Of names that the Prometheus plugin does not escape some samples are lost, and counted; detail has them all."""
    other, one = collector(rabbitmq_source="management"), collector()
    api = httpx2.Client(base_url=broker.url, auth=("guest", "guest"), trust_env=False, timeout=60)
    # AMQP clients cannot declare a line break, definitions can.
    made = [{"vhost": "/", "name": name, "durable": True, "auto_delete": False, "arguments": {}} for name in NASTY]
    try:
        api.post("/api/definitions", json={"queues": made}).raise_for_status()
        with broker.connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for number, name in enumerate(NASTY):
                for _ in range(number):
                    channel.basic_publish("", name, b"body")

        def depths() -> list[int | None]:
            rows = other.rows()
            return [rows.get(name, {}).get("messages") for name in NASTY]

        wait_until(lambda: depths() == list(range(len(NASTY))), every_s=0.5)
        page = other.page()
        for number, name in enumerate(NASTY):
            assert page["rabbitmq_queue_messages", "/", name] == number
        native = one.rows()
        lost = [name for name in NASTY if name not in native]
        assert all(native[name]["messages"] == NASTY.index(name) for name in NASTY if name not in lost)
        assert bool(lost) == bool(one.page()["gaugebook_collector_skipped_samples_total", "rabbitmq"])
    finally:
        for name in NASTY:
            api.delete(f"/api/queues/%2F/{quote(name, safe='')}").raise_for_status()
        api.close()


def test_the_network_to_the_broker_is_cut(broker: Broker, collector: Callable[..., Collector]) -> None:
    api, plugin = Proxy.of_port(broker.management_port), Proxy.of_port(broker.prometheus_port)
    try:
        one = collector(
            f"http://guest:guest@127.0.0.1:{api.port}",
            rabbitmq_prometheus_url=f"http://127.0.0.1:{plugin.port}",
            rabbitmq_timeout_s=1.0,
        )
        with queue(broker, "cut") as channel:
            for _ in range(5):
                channel.basic_publish("", "cut", b"body")
            wait_until(lambda: one.depth("cut") == 5)
            with api.cut(), plugin.cut():
                for _ in range(40):
                    channel.basic_publish("", "cut", b"body")
                began = time.monotonic()
                assert one.fails() == "slow"
                assert one.fails() == "slow"
                assert time.monotonic() - began < 6
            wait_until(lambda: one.depth("cut") == 45)
            row = one.rows()["cut"]
            assert row["published_per_s"] is None or row["published_per_s"] <= 45
            assert one.page()["rabbitmq_up",] == 1
    finally:
        api.close()
        plugin.close()


def test_the_management_api_alone_is_cut(broker: Broker, collector: Callable[..., Collector]) -> None:
    """Depth and totals go on by way of the plugin, without detail."""
    api = Proxy.of_port(broker.management_port)
    try:
        one = collector(
            f"http://guest:guest@127.0.0.1:{api.port}",
            rabbitmq_prometheus_url=broker.prometheus_url,
            rabbitmq_timeout_s=0.5,
        )
        with queue(broker, "half") as channel:
            for _ in range(5):
                channel.basic_publish("", "half", b"body")
            wait_until(lambda: one.depth("half") == 5)
            assert one.rows()["half"]["type"] == "classic"
            with api.cut():
                row = one.rows()["half"]
                assert (row["messages"], row["type"], row["published_per_s"]) == (5, None, None)
                page = one.page()
                assert page["rabbitmq_up",] == 1
                assert page["rabbitmq_collected_queues", "yes"] == 0
                assert page["rabbitmq_connections",] >= 1
    finally:
        api.close()
