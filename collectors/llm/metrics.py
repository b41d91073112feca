"""What Prometheus can ask of the LLM meter."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from collectors.llm import prices
from collectors.llm.otlp_push import Push
from collectors.llm.record import Request
from store.tally import REASONS, Waiting

log = logging.getLogger(__name__)

MOST_VALUES = 200  # per label; whatever comes after is `other`
OTHER = "other"
TTFT_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 13, 20, 30, 60)
DURATION_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 600)
TPOT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1)
_WHO = ("provider", "model", "team", "project")


class Bounded:
    """Lets the first `most` values through and calls the rest `other`.

    >>> bounded = Bounded(most=1)
    >>> bounded("a"), bounded("b"), bounded("a")
    ('a', 'other', 'a')
    """

    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._seen: set[str] = set()

    def __call__(self, value: str) -> str:
        if value in self._seen:
            return value
        if len(self._seen) >= self._most:
            return OTHER
        self._seen.add(value)
        return value


class _Children(dict[tuple[str, ...], Any]):
    """The children of a metric by their labels: to look one up here takes a fraction of `labels()`."""

    def __init__(self, family: Counter | Histogram) -> None:
        super().__init__()
        self._family = family

    def __missing__(self, labels: tuple[str, ...]) -> Any:
        child = self[labels] = self._family.labels(*labels)
        return child


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """A budget as it stands: what it allows in its period, and what is left of that (USD)."""

    budget: str
    limit_usd: Decimal
    left_usd: Decimal


class Metrics:
    """The meter's counters and histograms, in a registry of their own; it is also the tally of the tap's rows.

    `kind` of `llm_tokens_total` is input, cached, cache_write, output or reasoning; cached and cache_write are parts of
    input, reasoning is a part of output. The latencies leave errors out, which are fast for another reason.
    `model` is the catalogue's name of the model that was asked for or that answered, or the pattern of the price file
    that fits it; any other name is `other`.

    Args:
        push: also sends the figures of each request by OTLP.
    """

    def __init__(self, push: Push | None = None) -> None:
        self.registry = CollectorRegistry()
        self.push = push
        registry = self.registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def by(name: str, text: str, *labels: str) -> _Children:
            return _Children(counter(name, text, *labels))

        def latency(name: str, text: str, buckets: tuple[float, ...]) -> _Children:
            return _Children(Histogram(name, text, ("provider", "model"), buckets=buckets, registry=registry))

        self._requests = by("llm_requests_total", "LLM requests by how they ended.", *_WHO, "status")
        self._errors = by("llm_errors_total", "LLM requests that failed.", *_WHO, "error_type")
        self._tokens = by("llm_tokens_total", "Tokens as reported; some kinds are parts of others.", *_WHO, "kind")
        self._cost = by("llm_cost_usd_total", "Cost of the requests that have a price.", *_WHO)
        self._unpriced = by("llm_unpriced_requests_total", "Requests that ended well and have no price.", *_WHO)
        self._unmetered = by(
            "llm_unmetered_requests_total", "Requests that ended well without a word on tokens.", *_WHO
        )
        self._ttft = latency(
            "llm_time_to_first_token_seconds", "Seconds to the first real token of a stream.", TTFT_BUCKETS
        )
        self._duration = latency(
            "llm_request_duration_seconds", "Seconds from sending to the last byte.", DURATION_BUCKETS
        )
        self._tpot = latency(
            "llm_time_per_output_token_seconds", "Seconds per token of a stream after its first.", TPOT_BUCKETS
        )
        self.failures = counter("llm_metering_failures_total", "Errors inside the meter; the calls themselves went on.")
        self._written = counter("llm_written_rows_total", "Rows written to the database.")
        self._write_failures = counter("llm_write_failures_total", "Batches that the database did not take; they wait.")
        self._dropped = counter(
            "llm_dropped_rows_total", "Rows that did not reach the database and never will.", "reason"
        )
        self._damaged = counter("llm_spool_damaged_total", "Records of the spool that cannot be read.", "kind")
        self._waiting = Gauge("llm_waiting_rows", "Rows that wait for the database.", registry=registry)
        self._bytes = Gauge("llm_waiting_bytes", "Bytes on disk of the rows that wait.", registry=registry)
        self._limit = Gauge(
            "llm_waiting_limit_bytes", "Bytes that may wait; beyond it the oldest are dropped.", registry=registry
        )
        self._oldest = Gauge("llm_oldest_waiting_seconds", "How long the oldest row waits.", registry=registry)
        for reason in ("queue_full", "refused", *REASONS):
            self._dropped.labels(reason)
        for kind in ("torn", "corrupt"):
            self._damaged.labels(kind)
        if push is not None:
            push.register(registry)
        self.rows_written = 0
        self._bounded = {label: Bounded() for label in (*_WHO, "error_type")}

    def watch(self, waiting: Callable[[], Waiting]) -> None:
        self._waiting.set_function(lambda: waiting().rows)
        self._bytes.set_function(lambda: waiting().size)
        self._limit.set_function(lambda: waiting().limit)
        self._oldest.set_function(lambda: waiting().oldest_s)

    def watch_budgets(self, standing: Callable[[], Iterable[BudgetLeft]]) -> None:
        """`standing` tells how the budgets stand, whenever it is called: from the thread that serves a scrape."""
        self.registry.register(_BudgetGauges(standing))

    def wrote(self, table: str, rows: int) -> None:
        del table  # there is but one
        self.rows_written += rows
        self._written.inc(rows)

    def rejected(self, table: str, rows: int) -> None:
        del table
        self._dropped.labels("refused").inc(rows)

    def failed(self) -> None:
        self._write_failures.inc()

    def dropped(self, rows: int, reason: str) -> None:
        self._dropped.labels(reason).inc(rows)

    def damaged(self, kind: str) -> None:
        self._damaged.labels(kind).inc()

    def observe(self, request: Request) -> None:
        """Count one finished request."""
        known = prices.label(request.provider, request.model, request.response_model)
        bounded = self._bounded
        who = (
            bounded["provider"](request.provider),
            bounded["model"](known) if known else OTHER,
            bounded["team"](request.team),
            bounded["project"](request.project),
        )
        error = bounded["error_type"](request.error_type or "unnamed") if request.status == "error" else None
        self._requests[(*who, request.status)].inc()
        if error:
            self._errors[(*who, error)].inc()
        for kind in ("input", "cached", "cache_write", "output", "reasoning"):
            tokens = getattr(request, f"{kind}_tokens")
            if tokens:
                self._tokens[(*who, kind)].inc(tokens)
        if request.cost_usd is not None:
            self._cost[who].inc(float(request.cost_usd))
        elif request.status == "ok":
            self._unpriced[who].inc()
        if request.status == "ok" and request.usage_source == "missing":
            self._unmetered[who].inc()
        if not error:
            self._observe_latencies(request, *who[:2])
        if self.push is not None:
            self.push.observe(request, who, error)

    def _observe_latencies(self, request: Request, provider: str, model: str) -> None:
        if request.ttft_s is not None:
            self._ttft[provider, model].observe(request.ttft_s)
        if request.output_tokens_per_s:
            self._tpot[provider, model].observe(1 / request.output_tokens_per_s)
        if request.status == "ok" and request.duration_s is not None:
            self._duration[provider, model].observe(request.duration_s)


class _BudgetGauges:
    """Gauges that are asked for at each scrape; where that fails they are missing from it, which an alert can see."""

    def __init__(self, standing: Callable[[], Iterable[BudgetLeft]]) -> None:
        self._standing = standing
        self._names = Bounded()

    def describe(self) -> Iterator[Metric]:
        yield from self._families()

    def collect(self) -> Iterator[Metric]:
        limits, lefts = self._families()
        try:
            for each in self._standing():
                name = self._names(each.budget)
                if name != OTHER:  # two budgets cannot share a gauge
                    limits.add_metric([name], float(each.limit_usd))
                    lefts.add_metric([name], float(each.left_usd))
        except Exception:  # whatever the ledger does, the other metrics must be served
            log.warning("no budgets in this scrape", exc_info=True)
        yield limits
        yield lefts

    def _families(self) -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily("llm_budget_limit_usd", "What a budget allows in its period.", labels=["budget"]),
            GaugeMetricFamily("llm_budget_left_usd", "What is left of a budget in its period.", labels=["budget"]),
        )
