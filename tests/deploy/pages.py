"""Pages of /metrics as our own programs show them, of a small company: its calls, its vLLM server, its OTLP receiver."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
from prometheus_client import CollectorRegistry, generate_latest

from collectors.exposition import Health
from collectors.gateways.collect import Gateways
from collectors.gateways.scrape import Gateway
from collectors.llm.metrics import BudgetLeft, Metrics
from collectors.llm.record import Request
from collectors.otlp import metrics as otlp
from pipelines.gauges import Gauges
from pipelines.simulate import WORKLOADS
from store.settings import Settings
from store.tally import Waiting
from tests.collectors.gateways.gateway_server import metrics_server
from tests.pipelines.seeded import writer

ERRORS = ("rate_limit_exceeded", "http_500", "APITimeoutError", "content_filter")
# Bounds of vLLM's histograms, as its source has them (vllm/v1/metrics/loggers.py); the counts are made up.
BOUNDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
VLLM = {
    "time_to_first_token_seconds": 0.35,
    "inter_token_latency_seconds": 0.03,
    "e2e_request_latency_seconds": 6.0,
    "request_queue_time_seconds": 0.08,
    "request_prefill_time_seconds": 0.2,
    "request_decode_time_seconds": 5.0,
}


def of_tap() -> str:
    """What a program with the tap shows after two thousand calls."""
    random, shown = np.random.default_rng(3), Metrics()
    for number in range(2000):
        work = WORKLOADS[random.choice(len(WORKLOADS), p=_shares())]
        given, made = (
            int(work.input_tokens * random.lognormal(0, 0.4)),
            int(work.output_tokens * random.lognormal(0, 0.5)),
        )
        ttft, speed = float(work.ttft_s * random.lognormal(0, 0.4)), float(work.tokens_per_s * random.lognormal(0, 0.2))
        failed = random.random() < 0.02
        who = {"provider": work.provider, "model": work.model, "team": work.team, "project": work.project}
        told = {"ts": datetime(2026, 11, 1, tzinfo=UTC), "request_id": f"r{number}", "source": "tap", **who}
        if failed:
            shown.observe(Request(**told, status="error", error_type=ERRORS[number % len(ERRORS)]))
            continue
        usage = {"input_tokens": given, "output_tokens": made, "cached_tokens": int(given * work.cached)}
        cost = Decimal(str(round((given * 0.4 + made * 1.6) / 1e6, 8))) if number % 97 else None
        times = {"ttft_s": ttft, "duration_s": ttft + made / speed, "output_tokens_per_s": speed}
        shown.observe(
            Request(**told, **usage, **times, cost_usd=cost, usage_source="reported" if number % 61 else "missing")
        )
    shown.wrote("metrics.llm_requests", 1990)
    shown.watch(lambda: Waiting(rows=10, size=4096, oldest_s=1.5, limit=1 << 30))
    left = [("all teams", 5000, 3100), ("search month", 1500, 120), ("research day", 40, 31)]
    budgets = [BudgetLeft(name, Decimal(limit), Decimal(room)) for name, limit, room in left]
    shown.watch_budgets(lambda: budgets)
    return generate_latest(shown.registry).decode()


def of_gateways() -> str:
    """What the collector of gateways shows of two servers of vLLM."""
    registry = CollectorRegistry()
    with metrics_server() as first, metrics_server() as second:
        first.page, second.page = _vllm("llama-3.3-70b", 9000), _vllm("qwen3-32b", 4000)
        source = Gateways([Gateway(first.url), Gateway(second.url)], registry, interval_s=60)
        source.collect()
        health = _health("llm-gateway", registry)
        health.wrote("metrics.llm_usage", 240)
        text = generate_latest(registry).decode()
        source.close()
    for port, name in ((first.port, "vllm-0:8000"), (second.port, "vllm-1:8000")):
        text = text.replace(f"127.0.0.1:{port}", name)
    return text


def of_otlp() -> str:
    """What the OTLP receiver shows."""
    registry = CollectorRegistry()
    shown = otlp.Metrics(registry)
    for signal, status, count in (("traces", "200", 900), ("metrics", "200", 300), ("traces", "429", 4)):
        shown.requests.labels(signal, status).inc(count)
    shown.refused.labels("overload").inc(4)
    shown.items("traces", otlp.KEPT, 5200)
    shown.items("traces", otlp.OTHER, 2100)
    shown.watch(lambda: 12_000, lambda: 40)
    _health("otlp", registry).wrote("metrics.llm_requests", 5200)
    return generate_latest(registry).decode()


def of_tick(settings: Settings) -> str:
    """What a tick shows of what is written in a store, by a schedule of one job a kind."""
    jobs = [writer(name) for name in ("forecasts", "anomalies", "change_points", "budgets", "queues")]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Gauges(settings, lambda: jobs))
    return generate_latest(registry).decode()


def _health(collector: str, registry: CollectorRegistry) -> Health:
    health = Health(collector, registry)
    health.succeeded(0.05)
    health.watch(lambda: Waiting(rows=25, size=9000, oldest_s=2.0, limit=1 << 30))
    return health


def _shares() -> list[float]:
    whole = sum(work.share for work in WORKLOADS)
    return [work.share / whole for work in WORKLOADS]


def _vllm(model: str, requests: int) -> str:
    """The page of a server of vLLM, by the names that its version 0.11 has."""
    labels = f'engine="0",model_name="{model}"'
    lines = [
        "process_start_time_seconds 1.79e9",
        f"vllm:num_requests_running{{{labels}}} {requests // 500}",
        f"vllm:num_requests_waiting{{{labels}}} {requests // 3000}",
        f"vllm:kv_cache_usage_perc{{{labels}}} 0.{requests // 120}",
        f"vllm:prompt_tokens_total{{{labels}}} {requests * 900}",
        f"vllm:prefix_cache_hits_total{{{labels}}} {requests * 380}",
        f"vllm:generation_tokens_total{{{labels}}} {requests * 210}",
        f'vllm:request_success_total{{finished_reason="stop",{labels}}} {requests}',
    ]
    for name, median in VLLM.items():
        for bound in BOUNDS:
            below = requests / (1 + (median / bound) ** 3)
            lines.append(f'vllm:{name}_bucket{{{labels},le="{bound}"}} {below:.0f}')
        lines.append(f'vllm:{name}_bucket{{{labels},le="+Inf"}} {requests}')
        lines.append(f"vllm:{name}_sum{{{labels}}} {requests * median * 1.2}")
        lines.append(f"vllm:{name}_count{{{labels}}} {requests}")
    return "\n".join(lines) + "\n"
