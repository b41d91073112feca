"""What Prometheus can ask of the service."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

OUTCOMES = ("accepted", "duplicate", "rejected")
REASONS = (
    "content_type",
    "disconnected",
    "encoding",
    "failed",
    "forbidden",
    "idempotency",
    "malformed",
    "overload",
    "slow",
    "spool",
    "stopping",
    "too_large",
    "too_many",
    "unauthorized",
)


class Metrics:
    """Counters and gauges of the service, as metrics of `registry`; `routes` are the values of the label `route`."""

    def __init__(self, registry: CollectorRegistry, routes: Iterable[str]) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"gaugebook_service_{name}", text, labels, registry=registry)

        self.requests = counter("requests_total", "Requests by route and status.", "route", "status")
        self.refused = counter("refused_total", "Requests that were refused as a whole, by why.", "reason")
        self.rows = counter("rows_total", "Rows by what became of them.", "route", "outcome")
        self._in_flight = Gauge(
            "gaugebook_service_in_flight_bytes", "Bytes of requests not answered yet.", registry=registry
        )
        for reason in REASONS:
            self.refused.labels(reason)
        for route in routes:
            for outcome in OUTCOMES:
                self.rows.labels(route, outcome)

    def watch(self, in_flight: Callable[[], int]) -> None:
        """`in_flight` tells bytes, whenever it is called."""
        self._in_flight.set_function(in_flight)
