"""A cluster of two real nodes: each plugin shows its own part, and a node leaves and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.rabbitmq.offer import choose, offer
from store.errors import SourceError
from store.settings import load
from tests.fix_prometheus import wait_until
from tests.fix_rabbitmq import Broker

pytestmark = pytest.mark.drill


def test_two_nodes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = Broker(tmp_path / "a")
    try:
        one.start()
        other = Broker(tmp_path / "b", beside=one)
        try:
            other.start()
            other.join(one)
            _look(one, other)
        finally:
            other.close()
    finally:
        one.close()


def _look(one: Broker, other: Broker) -> None:
    settings = load(rabbitmq_url=one.url)
    wait_until(lambda: len(offer(settings).prometheus) == 2)
    assert offer(settings).choice == "native"
    with one.connect() as here:
        channel = here.channel()
        channel.queue_declare("on one", durable=True)
        with other.connect() as there:
            there.channel().queue_declare("on other", durable=True)
            for _ in range(5):
                there.channel().basic_publish("", "on one", b"x")
        channel.queue_declare("on both", durable=True, arguments={"x-queue-type": "quorum"})
        for name in ("on one", "on other", "on both"):
            for _ in range(7):
                channel.basic_publish("", name, b"x")
        source = choose(settings)
        expected = {"on one": 12, "on other": 7, "on both": 7}
        wait_until(lambda: {queue.name: queue.messages for queue in source.read().queues} == expected)
        reading = source.read()
        assert reading.counters["published"] == 26
        assert reading.totals["queues"] == 3
        assert {node.name for node in reading.nodes} == set(reading.boots) == {one.node, other.node}
        (quorum,) = source.detail([("/", "on both")])
        assert quorum.extra["raft_lag"] >= 0

        other.stop()
        wait_until(lambda: [node.running for node in source.read().nodes] == [True, False])
        assert "on other" not in {queue.name for queue in source.read().queues}
        source.close()
        part = choose(settings)  # as a collector that starts now
        assert list(part.read().boots) == [one.node]

        other.start()
        wait_until(lambda: len(offer(settings).prometheus) == 2)
        with pytest.raises(SourceError, match=f"no Prometheus plugin shows {other.node}"):
            part.read()
        part.close()
        whole = choose(settings)
        assert set(whole.read().boots) == {one.node, other.node}
        whole.close()
