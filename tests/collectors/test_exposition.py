"""Serving /metrics."""

from __future__ import annotations

import socket

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from collectors.exposition import Exposition, Health
from store.errors import SettingsError
from store.settings import load


def test_health_is_served_on_any_free_port() -> None:
    registry = CollectorRegistry()
    health = Health("rabbitmq", registry)
    health.wrote("metrics.rabbitmq_queues", 3)
    with Exposition(load(metrics_port=0), registry) as exposition:
        page = httpx2.get(exposition.url, trust_env=False).text
    assert 'gaugebook_collector_rows_total{collector="rabbitmq",table="metrics.rabbitmq_queues"} 3.0' in page
    assert 'gaugebook_collector_errors_total{collector="rabbitmq"} 0.0' in page
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(exposition.url, trust_env=False)


def test_who_asks_for_names_is_spared_the_rest() -> None:
    registry = CollectorRegistry()
    Health("rabbitmq", registry).succeeded(0.1)
    asked = []

    def more() -> list[bytes]:
        asked.append(1)
        return [b"rabbitmq_queue_messages 5\n"]

    with Exposition(load(metrics_port=0), registry, more=more) as exposition:
        part = httpx2.get(exposition.url, params={"name[]": "gaugebook_collector_rows_buffered"}, trust_env=False).text
        assert not asked
        whole = httpx2.get(exposition.url, trust_env=False).text
    assert [line for line in part.splitlines() if line[0] != "#"] == [
        'gaugebook_collector_rows_buffered{collector="rabbitmq"} 0.0'
    ]
    assert whole.endswith("rabbitmq_queue_messages 5\n")
    assert "gaugebook_collector_duration_seconds" in whole


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"'metrics_port'.*127.0.0.1:{port}"):
            Exposition(load(metrics_port=port), CollectorRegistry())


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(SettingsError, match="metrics"):
        Exposition(load(metrics_address="192.0.2.1", metrics_port=0), CollectorRegistry())
