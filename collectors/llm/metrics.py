"""What Prometheus can ask of the LLM meter."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from collectors.llm.record import Request
from store.tally import REASONS, Waiting

MOST_VALUES = 200  # per label; whatever comes after is `other`
OTHER = "other"
TTFT_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 13, 20, 30, 60)
DURATION_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300, 600)
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


class Metrics:
    """The meter's counters and histograms, in a registry of their own; it is also the tally of the tap's rows.

    `kind` of `llm_tokens_total` is input, cached, cache_write, output or reasoning; cached and cache_write are parts of
    input, reasoning is a part of output. The latencies leave errors out, which are fast for another reason.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self.requests = counter("llm_requests_total", "LLM requests by how they ended.", *_WHO, "status")
        self.errors = counter("llm_errors_total", "LLM requests that failed.", *_WHO, "error_type")
        self.tokens = counter("llm_tokens_total", "Tokens as reported; some kinds are parts of others.", *_WHO, "kind")
        self.cost = counter("llm_cost_usd_total", "Cost at list price, of the requests that have a price.", *_WHO)
        self.unpriced = counter("llm_unpriced_requests_total", "Requests that ended well and have no price.", *_WHO)
        self.ttft = Histogram(
            "llm_time_to_first_token_seconds",
            "Seconds to the first real token of a stream.",
            ("provider", "model"),
            buckets=TTFT_BUCKETS,
            registry=registry,
        )
        self.duration = Histogram(
            "llm_request_duration_seconds",
            "Seconds from sending to the last byte.",
            ("provider", "model"),
            buckets=DURATION_BUCKETS,
            registry=registry,
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
        self._oldest = Gauge("llm_oldest_waiting_seconds", "How long the oldest row waits.", registry=registry)
        for reason in ("queue_full", "refused", *REASONS):
            self._dropped.labels(reason)
        for kind in ("torn", "corrupt"):
            self._damaged.labels(kind)
        self.rows_written = 0
        self._bounded = {label: Bounded() for label in (*_WHO, "error_type")}

    def watch(self, waiting: Callable[[], Waiting]) -> None:
        self._waiting.set_function(lambda: waiting().rows)
        self._bytes.set_function(lambda: waiting().size)
        self._oldest.set_function(lambda: waiting().oldest_s)

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
        bounded = self._bounded
        who = tuple(bounded[label](getattr(request, label)) for label in _WHO)
        self.requests.labels(*who, request.status).inc()
        if request.status == "error":
            self.errors.labels(*who, bounded["error_type"](request.error_type or "unnamed")).inc()
        for kind in ("input", "cached", "cache_write", "output", "reasoning"):
            tokens = getattr(request, f"{kind}_tokens")
            if tokens:
                self.tokens.labels(*who, kind).inc(tokens)
        if request.cost_usd is not None:
            self.cost.labels(*who).inc(float(request.cost_usd))
        if request.status != "error" and request.ttft_s is not None:
            self.ttft.labels(*who[:2]).observe(request.ttft_s)
        if request.status == "ok":
            if request.cost_usd is None:
                self.unpriced.labels(*who).inc()
            if request.duration_s is not None:
                self.duration.labels(*who[:2]).observe(request.duration_s)
