"""Scraping gateways: into usage rows, onto /metrics, through restarts and absences."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from collectors.gateways.collect import TABLE, Gateways
from collectors.gateways.scrape import COLUMNS, Gateway
from store.connect import connect
from store.errors import ParameterInvalid, SourceError, UnknownName
from store.rollup import refresh
from store.settings import Settings
from store.write import write
from tests.collectors.gateways.gateway_server import MetricsServer, bifrost, litellm, metrics_server, vllm
from tests.fix_prometheus import wait_until

PROGRAM = "from pipelines.cli import main; main()"


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    with metrics_server() as running:
        yield running


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def rows_of(gateway: Gateway) -> list[dict[str, Any]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in gateway.scrape().rows]


def pages(server: MetricsServer, *texts: str) -> list[list[dict[str, Any]]]:
    gateway = Gateway(server.url)
    found = []
    for text in texts:
        server.page = text
        found.append(rows_of(gateway))
    gateway.close()
    return found


def test_vllm(server: MetricsServer) -> None:
    before = datetime.now(UTC)
    first, second, third = pages(
        server, vllm(1000, 100, 5), vllm(1500, 160, 8, cached=200), vllm(1500, 160, 8, cached=200)
    )
    assert first == []
    assert third == []  # nothing has grown
    (row,) = second
    assert before <= row["ts"] <= datetime.now(UTC)
    assert row["width_s"] == 1
    assert (row["source"], row["provider"], row["model"], row["team"]) == ("vllm", "vllm", "llama", "unassigned")
    assert (row["requests"], row["input_tokens"], row["output_tokens"], row["cached_tokens"]) == (3, 500, 60, 200)
    assert (row["reasoning_tokens"], row["cost_usd"], row["usage_source"]) == (None, None, "reported")
    assert row["attrs"] == {"gateway": f"{server.url}/metrics"}


def test_litellm(server: MetricsServer) -> None:
    _, (row,) = pages(server, litellm(0.00001, 10, 1, 1), litellm(0.00031, 110, 21, 4))
    assert (row["source"], row["provider"], row["model"]) == ("litellm", "openai", "gpt-4o")
    assert (row["team"], row["project"]) == ("search", "ci")
    assert (row["requests"], row["input_tokens"], row["output_tokens"]) == (3, 100, 20)
    assert row["cost_usd"] == Decimal("0.0003")


def test_a_spend_that_stays_nothing_is_a_cost_that_is_not_known(server: MetricsServer) -> None:
    _, (row,) = pages(server, litellm(0.0, 10, 1, 1), litellm(0.0, 110, 21, 4))
    assert row["cost_usd"] is None


def test_bifrost(server: MetricsServer) -> None:
    _, (row,) = pages(server, bifrost(0.5, 10, 1, 1), bifrost(0.75, 110, 21, 4))
    assert (row["source"], row["provider"], row["model"]) == ("bifrost", "anthropic", "claude-sonnet-4-5")
    assert (row["team"], row["project"]) == ("t-9", "ci")
    assert (row["requests"], row["input_tokens"], row["output_tokens"], row["cost_usd"]) == (
        3,
        100,
        20,
        Decimal("0.25"),
    )


def test_a_restart_counts_from_nothing(server: MetricsServer) -> None:
    _, (row,), (again,) = pages(
        server, vllm(1000, 100, 5), vllm(2000, 300, 9, started=1.8e9), vllm(10, 1, 0, started=1.8e9 + 60)
    )
    assert (row["input_tokens"], row["output_tokens"], row["requests"]) == (2000, 300, 10)
    assert (again["input_tokens"], again["output_tokens"], again["requests"]) == (10, 1, 1)


def test_a_broken_line_costs_that_line_once(server: MetricsServer) -> None:
    broken = vllm(1500, 160, 8).replace('generation_tokens_total{engine="0"', "generation_tokens_total{engine=0")
    _, (row,), (later,) = pages(server, vllm(1000, 100, 5), broken, vllm(1600, 170, 9))
    assert (row["input_tokens"], row["output_tokens"]) == (500, None)
    assert (later["input_tokens"], later["output_tokens"]) == (100, 70)


def test_it_says_what_is_wrong(server: MetricsServer) -> None:
    server.page = "go_goroutines 7\n"
    with pytest.raises(SourceError, match="shows no metrics of vLLM, LiteLLM or Bifrost"):
        Gateway(server.url).scrape()
    server.status = 500
    with pytest.raises(SourceError, match="status 500"):
        Gateway(server.url).scrape()
    server.status, server.token = 200, "s3cret"
    with pytest.raises(SourceError, match="wants credentials"):
        Gateway(server.url).scrape()
    server.page = vllm(1, 1, 1)
    assert Gateway(server.url, token="s3cret").scrape().kind.name == "vllm"
    with pytest.raises(SourceError) as caught:
        Gateway("http://me:pa55@127.0.0.1:1/x").scrape()
    assert "pa55" not in str(caught.value)
    with pytest.raises(ParameterInvalid, match="must look like"):
        Gateway("127.0.0.1:8000")
    with pytest.raises(UnknownName, match="did you mean 'vllm'"):
        Gateway(server.url, kind="vlm")


def test_one_of_two_goes_away_and_comes_back(
    server: MetricsServer, registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "collectors.gateways")
    with metrics_server() as other:
        server.page, other.page = vllm(1000, 100, 5), litellm(0.1, 10, 1, 1)
        both = [Gateway(server.url), Gateway(other.url)]
        source = Gateways(both, registry, interval_s=60)
        assert source.collect()[0].rows == []
        server.stop()
        other.page = litellm(0.2, 20, 2, 2)
        assert [row[6] for row in source.collect()[0].rows] == ["litellm"]
        source.collect()
        assert sum("does not answer" in record.message for record in caplog.records) == 1
        other.stop()
        with pytest.raises(SourceError):
            source.collect()
        assert value(registry, "llm_gateway_up", source="vllm", gateway=both[0].where) == 0
        server.page = vllm(1100, 150, 6)
        server.start()
        (row,) = source.collect()[0].rows
        found = dict(zip(COLUMNS, row, strict=True))
        assert (found["input_tokens"], found["output_tokens"], found["requests"]) == (100, 50, 1)
        assert value(registry, "llm_gateway_up", source="vllm", gateway=both[0].where) == 1
        source.close()
    with pytest.raises(ParameterInvalid, match="twice"):
        Gateways([Gateway(server.url), Gateway(f"{server.url}/metrics")], CollectorRegistry(), interval_s=1)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_what_prometheus_sees(server: MetricsServer, registry: CollectorRegistry) -> None:
    server.page = vllm(1000, 100, 5, cached=200)
    gateway = Gateway(server.url)
    source = Gateways([gateway], registry, interval_s=60)
    source.collect()
    model = {"source": "vllm", "gateway": gateway.where, "provider": "vllm", "model": "llama"}
    who = model | {"team": "unassigned", "project": "unassigned"}
    assert value(registry, "llm_requests_total", **who) == 6
    assert value(registry, "llm_tokens_total", **who, kind="input") == 1000
    assert value(registry, "llm_tokens_total", **who, kind="cached") == 200
    assert value(registry, "llm_requests_running", **model) == 7
    assert value(registry, "llm_requests_waiting", **model) == 2
    assert value(registry, "llm_kv_cache_usage_ratio", **model) == 0.5
    ttft = "llm_time_to_first_token_seconds"
    assert value(registry, f"{ttft}_bucket", **model, le="1.0") == 4
    assert value(registry, f"{ttft}_count", **model) == 5
    assert value(registry, f"{ttft}_sum", **model) == 2.25
    assert value(registry, "llm_time_per_output_token_seconds_count", **model) == 7
    source.shown.stale_s = -1
    assert value(registry, "llm_requests_total", **who) is None
    assert value(registry, "llm_gateway_up", source="vllm", gateway=gateway.where) == 1
    source.close()


def test_the_first_chunk_is_not_shown_as_the_first_token(server: MetricsServer, registry: CollectorRegistry) -> None:
    server.page = litellm(0.1, 10, 1, 1)
    source = Gateways([Gateway(server.url)], registry, interval_s=60)
    source.collect()
    text = generate_latest(registry).decode()
    assert "llm_time_to_first_chunk_seconds_count{" in text
    assert "llm_time_to_first_token" not in text
    source.close()


def test_labels_are_bounded(server: MetricsServer, registry: CollectorRegistry) -> None:
    server.page = "".join(litellm(0.5, 10, 1, 1, model=f"m{n}", team=f"t{n}") for n in range(300))
    source = Gateways([Gateway(server.url)], registry, interval_s=60)
    source.collect()
    metrics = {metric.name: metric for metric in registry.collect()}
    models = {sample.labels["model"] for sample in metrics["llm_requests"].samples}
    assert len(models) == 201
    assert sum(sample.value for sample in metrics["llm_requests"].samples) == 300
    source.close()


def test_rows_count_once_and_are_in_the_rollups(any_store: Settings, server: MetricsServer) -> None:
    gateway = Gateway(server.url)
    server.page = litellm(0.1, 10, 1, 1)
    gateway.scrape()
    server.page = litellm(0.3, 110, 21, 4)
    rows = gateway.scrape().rows
    gateway.close()
    with connect(any_store) as connection:
        assert write(connection, TABLE, COLUMNS, rows).written == 1
        assert write(connection, TABLE, COLUMNS, rows).duplicate == 1
    refresh(any_store)
    query = "SELECT source, requests, input_tokens, output_tokens, cost_usd FROM metrics.llm_usage_hourly"
    with connect(any_store) as connection:
        assert connection.execute(query).fetchall() == [("litellm", 3, 100, 20, Decimal("0.2"))]
        assert connection.execute("SELECT count(*) FROM metrics.llm_requests_hourly").fetchone() == (0,)


def test_the_command_runs_until_it_is_told_to_stop(store: Settings, server: MetricsServer, tmp_path: Path) -> None:
    assert store.dsn is not None
    server.page = vllm(1000, 100, 5)
    command = [sys.executable, "-c", PROGRAM, "collect", "llm-gateway", "--url", server.url, "--interval", "0.2"]
    environment = os.environ | {"GAUGEBOOK_DSN": store.dsn.get_secret_value(), "GAUGEBOOK_METRICS_PORT": "0"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: "answers: vllm" in (tmp_path / "log").read_text())
        time.sleep(0.3)
        server.page = vllm(1500, 160, 8)
        wait_until(lambda: tokens(store) == 500)
        server.stop()
        wait_until(lambda: "does not answer" in (tmp_path / "log").read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert tokens(store) == 500


def tokens(settings: Settings) -> int | None:
    with connect(settings) as connection:
        found = connection.execute("SELECT sum(input_tokens)::bigint FROM metrics.llm_usage").fetchone()
    return found[0] if found else None
