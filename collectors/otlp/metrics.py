"""What Prometheus can ask of the receiver."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge

KEPT, DUPLICATE, REFUSED, OTHER = OUTCOMES = ("kept", "duplicate", "refused", "other")
REASONS = (
    "content_type",
    "disconnected",
    "encoding",
    "failed",
    "malformed",
    "overload",
    "slow",
    "spool",
    "stopping",
    "too_large",
    "too_many",
    "unusable",
)
SIGNALS = ("traces", "metrics", "logs")


class Metrics:
    """The receiver's counters and gauges, as metrics of `registry`.

    Outcome `other` is a span that is no model call, and every metric; all of them are taken and none is kept.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"llm_otlp_{name}", text, labels, registry=registry)

        self.requests = counter("requests_total", "OTLP requests by the status they were answered.", "signal", "status")
        self.refused = counter("refused_total", "Requests that were refused, by why.", "reason")
        self.received = counter("received_bytes_total", "Bytes of the bodies, as they were sent.", "signal")
        self.decoded = counter("decoded_bytes_total", "Bytes of the bodies, without compression.", "signal")
        self.failures = counter("failures_total", "Errors inside the receiver.")
        self._items = {
            "traces": counter("spans_total", "Spans by what became of them.", "outcome"),
            "logs": counter("log_records_total", "Log records by what became of them.", "outcome"),
            "metrics": counter("metrics_total", "Metrics, of which none is kept.", "outcome"),
        }
        self._in_flight = Gauge("llm_otlp_in_flight_bytes", "Bytes of requests not answered yet.", registry=registry)
        self._waiting = Gauge("llm_otlp_in_flight_rows", "Rows on disk that wait for the database.", registry=registry)
        for reason in REASONS:
            self.refused.labels(reason)
        for signal in SIGNALS:
            self.received.labels(signal)
            for outcome in OUTCOMES if signal != "metrics" else (OTHER,):
                self._items[signal].labels(outcome)

    def watch(self, in_flight: Callable[[], int], waiting: Callable[[], int]) -> None:
        """`in_flight` and `waiting` tell bytes and rows, whenever they are called."""
        self._in_flight.set_function(in_flight)
        self._waiting.set_function(waiting)

    def items(self, signal: str, outcome: str, count: int) -> None:
        if count:
            self._items[signal].labels(outcome).inc(count)
