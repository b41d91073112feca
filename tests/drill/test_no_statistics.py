"""A real broker that keeps no statistics: what its plugin still tells, and what is missed by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.rabbitmq import offer
from collectors.rabbitmq.offer import choose
from store.settings import load
from tests.fix_rabbitmq import Broker
from tests.servers import need

pytestmark = pytest.mark.drill


def test_a_broker_that_keeps_no_statistics(tmp_path: Path) -> None:
    """`management.disable_stats`: depth is told by the plugin, and the rest is missed by name."""
    need("rabbitmq-server", package="rabbitmq-server")
    quiet = Broker(tmp_path, config="management_agent.disable_metrics_collector = true\n")
    try:
        quiet.start()
        settings = load(rabbitmq_url=quiet.url, rabbitmq_prometheus_url=quiet.prometheus_url)  # it does not say where
        found = offer.offer(settings)
        assert found.choice == "native"
        assert any("the broker keeps no statistics" in one.what for one in found.lacks)
        source = choose(settings)
        with quiet.connect() as connection:
            connection.channel().queue_declare("q", exclusive=True)
            connection.channel().basic_publish("", "q", b"x")
            reading = source.read()
            assert reading.counters["published"] == 1
            assert source.detail([("/", "q")])[0].counters == {}
        source.close()
    finally:
        quiet.close()
