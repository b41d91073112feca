"""The push of gen_ai.* metrics, into a real HTTP server that reads what arrives as protobuf's own JSON does."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from collectors import llm
from collectors.llm import otlp_push
from collectors.llm.metrics import Metrics
from collectors.llm.otlp_push import Push
from collectors.llm.record import Request
from store.errors import SettingsError
from store.settings import load
from tests.servers import free_port

AT = datetime(2026, 11, 1, tzinfo=UTC)


class Sink(ThreadingHTTPServer):
    """Keeps every export that is posted to it; answers with `status`, after `wait_s`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.received: list[ExportMetricsServiceRequest] = []
        self.paths: list[tuple[str, str]] = []
        self.status, self.wait_s = 200, 0.0
        super().__init__(("127.0.0.1", 0), Receive)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def points(self):
        """The last export: {metric: [(attributes, data point)]}."""
        (resource,) = self.received[-1].resource_metrics
        (scope,) = resource.scope_metrics
        return {
            metric.name: [
                ({a.key: a.value.string_value for a in point.attributes}, point)
                for point in metric.histogram.data_points
            ]
            for metric in scope.metrics
        }


class Receive(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        time.sleep(self.server.wait_s)
        self.server.paths.append((self.path, self.headers["content-type"]))
        if self.server.status == 200:
            self.server.received.append(json_format.Parse(body, ExportMetricsServiceRequest()))
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def sink():
    server = Sink()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def request(**changed):
    return Request(
        **{
            "ts": AT, "request_id": "r", "source": "tap", "provider": "aws", "model": "gpt-4o", "team": "search",
            "project": "ranking", "input_tokens": 100, "output_tokens": 20, "ttfc_s": 0.1, "ttft_s": 0.5,
            "duration_s": 2.0, "output_tokens_per_s": 40.0, **changed,
        }
    )  # fmt: skip


def failures(metrics):
    return metrics.registry.get_sample_value("llm_otlp_push_failures_total")


def test_every_metric_with_the_attributes_of_the_conventions(sink):
    metrics = Metrics(Push(sink.url, interval_s=3600))
    metrics.observe(request(provider="openai"))
    metrics.observe(request(provider="openai", duration_s=4.0, ttfc_s=None, ttft_s=None, output_tokens_per_s=None))
    metrics.observe(request(status="error", error_type="rate_limit", input_tokens=None, output_tokens=None))
    metrics.push.close()
    assert sink.paths == [("/v1/metrics", "application/json")]
    points = sink.points()
    who = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gaugebook.team": "search",
        "gaugebook.project": "ranking",
    }
    tokens = {
        attributes["gen_ai.token.type"]: (attributes, point)
        for attributes, point in points["gen_ai.client.token.usage"]
    }
    assert tokens["input"][0] == {**who, "gen_ai.token.type": "input"}
    assert (tokens["input"][1].count, tokens["input"][1].sum, tokens["output"][1].sum) == (2, 200, 40)
    (fine, point), (failed, slow) = points["gen_ai.client.operation.duration"]
    assert fine == who
    assert (point.count, point.sum, point.min, point.max) == (2, 6.0, 2.0, 4.0)
    bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
    assert len(counts) == len(bounds) + 1
    assert [bounds[n] for n, count in enumerate(counts) if count] == [2.56, 5.12]
    assert failed == {
        **who,
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": "other",
        "error.type": "rate_limit",
    }
    assert slow.count == 1
    singles = {
        "gen_ai.client.operation.time_to_first_chunk": 0.1,
        "gen_ai.server.time_to_first_token": 0.5,
        "gen_ai.client.operation.time_per_output_chunk": 0.025,
        "gen_ai.server.time_per_output_token": 0.025,
    }
    for name, seconds in singles.items():
        ((attributes, point),) = points[name]
        assert (attributes, point.count, point.sum) == (who, 1, seconds)
    assert points.keys() == {*singles, "gen_ai.client.token.usage", "gen_ai.client.operation.duration"}
    (resource,) = sink.received[-1].resource_metrics
    assert {a.key for a in resource.resource.attributes} >= {"service.name", "service.instance.id"}


def test_a_bound_belongs_to_the_bucket_below_it(sink):
    metrics = Metrics(Push(sink.url, interval_s=3600))
    metrics.observe(request(duration_s=0.64))
    metrics.push.close()
    ((_, point),) = sink.points()["gen_ai.client.operation.duration"]
    assert point.explicit_bounds[list(point.bucket_counts).index(1)] == 0.64


def test_sums_are_cumulative_and_a_failed_push_loses_nothing(sink):
    metrics = Metrics(Push(sink.url, interval_s=3600))
    metrics.observe(request())
    assert metrics.push.push()
    ((_, first),) = sink.points()["gen_ai.client.operation.duration"]
    sink.status = 503
    metrics.observe(request())
    assert not metrics.push.push()
    assert failures(metrics) == 1
    sink.status = 200
    assert metrics.push.push()
    ((_, point),) = sink.points()["gen_ai.client.operation.duration"]
    assert (point.count, point.start_time_unix_nano) == (2, first.start_time_unix_nano)
    assert point.time_unix_nano > first.time_unix_nano > first.start_time_unix_nano
    assert metrics.registry.get_sample_value("llm_otlp_pushes_total") == 2
    metrics.push.close()


def test_it_pushes_by_itself(sink):
    metrics = Metrics(Push(sink.url + "/v1/metrics", interval_s=0.05))
    metrics.observe(request())
    end = time.monotonic() + 5
    while len(sink.received) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    metrics.push.close()
    assert len(sink.received) >= 2


def test_nobody_waits_for_a_sink_that_is_slow_or_not_there(sink):
    sink.wait_s = 1.0
    for url in (sink.url, f"http://127.0.0.1:{free_port()}"):
        metrics = Metrics(Push(url, interval_s=0.01))
        begun = time.monotonic()
        for _ in range(100):
            metrics.observe(request())
            time.sleep(0.001)
        metrics.push.close(0.0)
        assert time.monotonic() - begun < 0.9
        metrics.push._thread.join()
    assert failures(metrics) >= 1


def test_series_are_bounded(sink, monkeypatch):
    monkeypatch.setattr(otlp_push, "MOST_SERIES", 50)
    metrics = Metrics(Push(sink.url, interval_s=3600))
    for number in range(150):
        metrics.observe(request(team=f"team-{number}"))
    metrics.push.close()
    points = sink.points()
    assert sum(map(len, points.values())) < 70
    assert sum(point.count for _, point in points["gen_ai.client.operation.duration"]) == 150


def test_the_tap_pushes_where_the_settings_say(store, local_llm, sink):
    import httpx2

    settings = load(dsn=store.dsn, llm_otlp_endpoint=sink.url)
    tap = llm.install(settings, team="tests", providers={local_llm.netloc: "openai"})
    try:
        ask = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
        httpx2.post(f"{local_llm.url}/chat/completions", json=ask).raise_for_status()
        assert tap.flush()
    finally:
        llm.uninstall()
    ((attributes, point),) = sink.points()["gen_ai.client.operation.duration"]
    assert (attributes["gen_ai.request.model"], attributes["gaugebook.team"], point.count) == (
        "gpt-4o-mini",
        "tests",
        1,
    )


def test_an_address_that_is_none():
    with pytest.raises(SettingsError, match="llm_otlp_endpoint"):
        load(llm_otlp_endpoint="collector:4318")
    assert Push.of(load()) is None
