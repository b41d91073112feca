"""A broker, a collector, both Prometheus versions with our configuration, Alertmanager: does the truth come through?"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from collectors.rabbitmq.names import escapes, version
from store.settings import Settings
from tests.deploy.site import DEPLOY, Called, alertmanager, called, changed, collector, ports, site
from tests.fix_prometheus import Prometheus, prometheus_program, serving, wait_until
from tests.fix_rabbitmq import Broker
from tests.servers import BUILT, built

BURST, BURSTS_PER_S = 10, 5
ODD = 'say "hi"'  # before 3.13 this one name costs a Prometheus the whole of /metrics/detailed


class Publisher:
    """Publishes at a steady rate over connections that live for one burst each, until stopped."""

    def __init__(self, broker: Broker) -> None:
        self.broker, self.sent, self.began_s = broker, 0, time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        next_s = self.began_s
        while not self._stop.wait(max(0, next_s - time.monotonic())):
            next_s += 1 / BURSTS_PER_S
            with closing(self.broker.connect()) as connection:
                channel = connection.channel()
                for _ in range(BURST):
                    channel.basic_publish("", "orders", b"one")
            self.sent += BURST

    @property
    def per_s(self) -> float:
        """Messages a second until now: a machine that has other work to do falls behind a little."""
        return self.sent / (time.monotonic() - self.began_s)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@dataclass
class Plant:
    """All that runs. By the major version of Prometheus: `sites`, `archives` that they write to, servers `above` them."""

    broker: Broker
    cluster: str
    publisher: Publisher
    called: Called
    stop_collector: Callable[[], None]
    sites: dict[int, Prometheus] = field(default_factory=dict)
    archives: dict[int, Prometheus] = field(default_factory=dict)
    above: dict[int, Prometheus] = field(default_factory=dict)

    def site(self, major: int) -> Prometheus:
        return self.sites[major] if major in self.sites else pytest.skip(str(built("prometheus")))


@pytest.fixture(scope="module")
def plant(broker: Broker, shared_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    def folder(name: str) -> Path:
        return tmp_path_factory.mktemp(name)

    with ExitStack() as stack, ExitStack() as collecting:
        setup = stack.enter_context(closing(broker.connect()))
        channel = setup.channel()
        for queue in ("orders", ODD):
            channel.queue_declare(queue, durable=True)
            stack.callback(channel.queue_delete, queue)
        changes = ports() | {"127.0.0.1:15692": f"127.0.0.1:{broker.prometheus_port}"}
        answers = stack.enter_context(called())
        stack.enter_context(alertmanager(folder("alertmanager"), _port(changes["127.0.0.1:9093"]), answers.port))
        settings = shared_store.model_copy(
            update={
                "rabbitmq_url": broker.url,
                "rabbitmq_prometheus_url": (broker.prometheus_url,),
                "rabbitmq_interval_s": 1.0,
                "metrics_port": _port(changes["127.0.0.1:9466"]),
                "spool": folder("spool"),
            }
        )
        collecting.enter_context(collector(settings))
        publisher = Publisher(broker)
        stack.callback(publisher.stop)
        plant = Plant(broker, "", publisher, answers, collecting.close)
        for major in (2, 3) if list(BUILT.glob("prometheus-[0-9]*")) else (2,):
            archive = stack.enter_context(
                serving(prometheus_program(major), folder(f"archive-{major}-"), "--web.enable-remote-write-receiver")
            )
            own = {"127.0.0.1:9091": f"127.0.0.1:{archive.port}", "site: main": f"site: main-{major}"}
            more = (DEPLOY / "remote_write.yml").read_text()
            flags = ("--storage.tsdb.retention.time=30d", "--storage.tsdb.retention.size=1GB")
            plant.archives[major] = archive
            plant.sites[major] = stack.enter_context(
                site(major, folder(f"site-{major}-"), changes | own, *flags, more=more)
            )
            ours = {"127.0.0.1:9090": f"127.0.0.1:{plant.sites[major].port}"}
            config = changed((DEPLOY / "federation.yml").read_text(), ours)
            plant.above[major] = stack.enter_context(
                serving(prometheus_program(major), folder(f"above-{major}-"), config=config)
            )
        for each in plant.sites.values():
            (found,) = each.wait_for("instance:rabbitmq_node:info{job='rabbitmq'}")
            plant.cluster = found["metric"]["cluster"]
        yield plant


majors = pytest.mark.parametrize("major", [2, 3])


@majors
def test_rates_are_those_of_the_publisher_though_each_channel_lives_for_a_moment(plant: Plant, major: int) -> None:
    server = plant.site(major)
    time.sleep(max(0, plant.publisher.began_s + 16 - time.monotonic()))  # until the window of the rates is full
    for name in (
        "cluster:rabbitmq_messages_published:rate5m",
        'queue:rabbitmq_queue_messages_published:rate5m{queue="orders"}',
    ):
        told = f"avg_over_time({name}[5s])"  # at one moment, a scrape that came late is missing at an edge
        wait_until(lambda told=told: value(server, told) == pytest.approx(plant.publisher.per_s, rel=0.1))
    opened = value(server, "avg_over_time(cluster:rabbitmq_connections_opened:rate5m[5s])")
    assert opened == pytest.approx(plant.publisher.per_s / BURST, rel=0.5)


@majors
def test_depth_is_the_truth(plant: Plant, major: int) -> None:
    server = plant.site(major)
    plant.publisher.stop()
    sent = plant.publisher.sent
    wait_until(lambda: value(server, 'queue:rabbitmq_queue_messages:max{queue="orders"}') == sent)
    wait_until(lambda: value(server, "cluster:rabbitmq_queue_messages:sum") >= sent)
    assert value(server, 'vhost:rabbitmq_queue_messages:sum{vhost="/"}') >= sent
    assert value(server, 'queue:rabbitmq_queue_consumers:max{queue="orders"}') == 0
    # The collector reads a name that the plugin does not escape, and stands in for its lost scrape.
    (odd,) = server.query('queue:rabbitmq_queue_messages:max{queue=~"say.*"}')
    assert odd["metric"] == {
        "__name__": "queue:rabbitmq_queue_messages:max",
        "cluster": plant.cluster,
        "vhost": "/",
        "queue": ODD,
    }
    (build,) = server.query('rabbitmq_build_info{job="gaugebook-rabbitmq"}')
    release = version(build["metric"]["rabbitmq_version"])
    assert value(server, 'up{job="rabbitmq-detailed"}') == escapes(release)
    assert not server.query('rabbitmq_queue_messages_published_total{job="rabbitmq"}')


@majors
def test_health_and_every_name_that_the_rules_record_of_a_broker(plant: Plant, major: int) -> None:
    server = plant.site(major)
    assert value(server, "cluster:rabbitmq_health:min") == 1
    assert value(server, 'instance:rabbitmq_up:min{job="gaugebook-rabbitmq"}') == 1
    assert value(server, "node:rabbitmq_running:max") == 1
    assert 0 < value(server, "node:rabbitmq_memory_used:ratio") < 1
    assert value(server, "node:rabbitmq_process_resident_memory_bytes:max") > 10e6
    assert value(server, 'up{job="alertmanager"}') == 1
    rules = server.client.get("/api/v1/rules", params={"type": "record"}).json()["data"]["groups"]
    broken = {rule["name"]: rule["lastError"] for group in rules for rule in group["rules"] if rule.get("lastError")}
    assert not broken
    recorded = {rule["name"] for group in rules if group["name"].startswith("rabbitmq") for rule in group["rules"]}
    there = {row["metric"]["__name__"] for row in server.query('{__name__=~".+:rabbitmq.+"}')}
    assert there == recorded
    twice = server.query('count by (__name__, cluster, vhost, queue) ({__name__=~"queue:.+"}) > 1')
    assert not twice


@majors
def test_federation_takes_what_is_recorded_and_says_from_where(plant: Plant, major: int) -> None:
    server = plant.site(major)
    above, name = plant.above[major], "cluster:rabbitmq_queue_messages:sum"
    wait_until(lambda: value(above, name) == value(server, name))
    (depth,) = above.query(name)
    assert depth["metric"] == {"__name__": name, "cluster": plant.cluster, "site": f"main-{major}"}
    assert above.query('up{job="gaugebook-rabbitmq"}')[0]["metric"]["site"] == f"main-{major}"
    assert not above.query("rabbitmq_connections")
    assert not above.query("queue:rabbitmq_queue_messages:max")


@majors
def test_remote_write_sends_on_what_is_recorded(plant: Plant, major: int) -> None:
    server = plant.site(major)
    depth = 'queue:rabbitmq_queue_messages:max{queue="orders"}'
    wait_until(lambda: value(plant.archives[major], depth) == value(server, depth))
    assert plant.archives[major].query(depth)[0]["metric"]["site"] == f"main-{major}"
    assert not plant.archives[major].query("rabbitmq_connections")
    assert value(server, "sum(prometheus_remote_storage_samples_failed_total)") == 0


def test_one_call_for_a_collector_that_is_gone(plant: Plant) -> None:
    assert not of_the_broker(plant)
    plant.stop_collector()
    wait_until(lambda: len(of_the_broker(plant)) >= len(plant.sites))
    calls = sorted((alert["labels"]["site"], alert["labels"]["cluster"]) for alert in of_the_broker(plant))
    assert calls == [(f"main-{major}", plant.cluster) for major in plant.sites]
    with closing(plant.broker.connect()) as connection:
        connection.channel().queue_delete(ODD)
    for server in plant.sites.values():  # the plugin goes on telling
        assert value(server, "cluster:rabbitmq_queue_messages:sum") >= plant.publisher.sent
        depth = 'queue:rabbitmq_queue_messages:max{queue="orders"}'
        wait_until(lambda server=server, depth=depth: value(server, depth) == plant.publisher.sent)


def of_the_broker(plant: Plant) -> list[dict[str, Any]]:
    """Calls that the broker is down. Of other targets there are more: of most of prometheus.yml nothing runs here."""
    return [alert for alert in plant.called.alerts if alert["labels"]["alertname"] == "RabbitMQDown"]


def value(server: Prometheus, expression: str) -> float:
    """The one value of an expression; -1 where there is none."""
    found = server.query(expression)
    assert len(found) <= 1, found
    return float(found[0]["value"][1]) if found else -1


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
