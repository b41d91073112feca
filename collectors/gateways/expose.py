"""The last page of each gateway as `llm_*` metrics of the collector's own /metrics."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from collectors.gateways.scrape import COUNTS, Scrape, Who
from collectors.gateways.text import Sample
from collectors.llm.metrics import Bounded

WHERE = ("source", "gateway")
MODEL = (*WHERE, "provider", "model")
WHO = (*MODEL, "team", "project")
KINDS = {"input_tokens": "input", "cached_tokens": "cached", "cache_write_tokens": "cache_write"} | {
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
}
_TEXT = {
    "llm_time_to_first_token_seconds": "Seconds to the first token of a stream, as the gateway says.",
    "llm_time_to_first_chunk_seconds": "Seconds to the first chunk of a stream, whatever is in it.",
    "llm_request_duration_seconds": "Seconds from request to last byte, as the gateway says.",
    "llm_time_per_output_token_seconds": "Seconds from one output token to the next, as the gateway says.",
    "llm_request_queue_seconds": "Seconds that requests waited in the server.",
    "llm_request_prefill_seconds": "Seconds that requests were in prefill.",
    "llm_request_decode_seconds": "Seconds that requests were in decode.",
    "llm_requests_running": "Requests in work.",
    "llm_requests_waiting": "Requests that wait in the server.",
    "llm_kv_cache_usage_ratio": "Share of the KV cache in use, of the fullest engine.",
}


@dataclass(slots=True)
class Shown:
    """What is known of one gateway."""

    source: str = "unknown"
    up: bool = False
    resets: int = 0
    bad_lines: int = 0
    scrape: Scrape | None = None


@dataclass(eq=False)  # the registry hashes it
class LastPages(Collector):
    """Renders the last page of each gateway, by its address; older than `stale_s`, only its health is left.

    The counters are the gateway's own, summed over labels that are not kept, and start anew when it does. Whatever it
    counts is labelled with `source` and `gateway`, which requests metered by the tap are not.
    """

    stale_s: float
    gateways: dict[str, Shown] = field(default_factory=dict)
    _bounded: dict[str, Bounded] = field(default_factory=lambda: {name: Bounded() for name in WHO})

    def collect(self) -> Iterator[Metric]:
        shown = list(self.gateways.items())
        up = GaugeMetricFamily("llm_gateway_up", "1 where the last page was fetched.", labels=WHERE)
        resets = CounterMetricFamily("llm_gateway_resets", "Times that counters began anew.", labels=WHERE)
        bad = CounterMetricFamily("llm_gateway_bad_lines", "Lines of pages that could not be read.", labels=WHERE)
        for where, gateway in shown:
            up.add_metric([gateway.source, where], float(gateway.up))
            resets.add_metric([gateway.source, where], gateway.resets)
            bad.add_metric([gateway.source, where], gateway.bad_lines)
        yield from (up, resets, bad)
        oldest = time.monotonic() - self.stale_s
        fresh = [(where, each.scrape) for where, each in shown if each.scrape and each.scrape.at_s >= oldest]
        yield from self._counters(fresh)
        yield from self._histograms(fresh)
        yield from self._gauges(fresh)

    def _counters(self, fresh: Iterable[tuple[str, Scrape]]) -> Iterator[Metric]:
        requests = CounterMetricFamily("llm_requests", "LLM requests that a gateway counted.", labels=WHO)
        tokens = CounterMetricFamily("llm_tokens", "Tokens; some kinds are parts of others.", labels=(*WHO, "kind"))
        cost = CounterMetricFamily("llm_cost_usd", "Cost as a gateway works it out.", labels=WHO)
        for where, scrape in fresh:
            for column in (*COUNTS, "cost_usd"):
                for labels, value in self._sums(where, scrape, scrape.kind.counters.get(column, ())).items():
                    if column == "requests":
                        requests.add_metric(labels, value)
                    elif column == "cost_usd":
                        cost.add_metric(labels, value)
                    else:
                        tokens.add_metric((*labels, KINDS[column]), value)
        yield from (requests, tokens, cost)

    def _sums(self, where: str, scrape: Scrape, names: tuple[str, ...]) -> dict[tuple[str, ...], float]:
        sums: dict[tuple[str, ...], Decimal] = {}
        for sample in _first(scrape, names):
            labels = self._labels(where, scrape, scrape.who[sample], WHO)
            sums[labels] = sums.get(labels, Decimal(0)) + sample.value
        return {labels: float(value) for labels, value in sums.items()}

    def _histograms(self, fresh: list[tuple[str, Scrape]]) -> Iterator[Metric]:
        for ours in dict.fromkeys(name for _, scrape in fresh for name in scrape.kind.histograms):
            family = HistogramMetricFamily(ours, _TEXT[ours], labels=MODEL)
            for where, scrape in fresh:
                names = scrape.kind.histograms.get(ours, ())
                buckets: dict[tuple[str, ...], dict[str, Decimal]] = {}
                sums: dict[tuple[str, ...], Decimal] = {}
                for sample in _first(scrape, tuple(f"{name}_bucket" for name in names)):
                    labels = self._labels(where, scrape, scrape.who[sample], MODEL)
                    edges = buckets.setdefault(labels, {})
                    edge = dict(sample.labels).get("le", "+Inf")
                    edges[edge] = edges.get(edge, Decimal(0)) + sample.value
                for sample in _first(scrape, tuple(f"{name}_sum" for name in names)):
                    labels = self._labels(where, scrape, scrape.who[sample], MODEL)
                    sums[labels] = sums.get(labels, Decimal(0)) + sample.value
                for labels, edges in buckets.items():
                    if "+Inf" in edges:
                        ordered = sorted(edges.items(), key=lambda edge: float(edge[0]))
                        counts = [(edge, float(count)) for edge, count in ordered]
                        family.add_metric(labels, counts, float(sums.get(labels, Decimal(0))))
            yield family

    def _gauges(self, fresh: list[tuple[str, Scrape]]) -> Iterator[Metric]:
        for ours in dict.fromkeys(name for _, scrape in fresh for name in scrape.kind.gauges):
            family = GaugeMetricFamily(ours, _TEXT[ours], labels=MODEL)
            for where, scrape in fresh:
                how, names = scrape.kind.gauges.get(ours, ("sum", ()))
                values: dict[tuple[str, ...], list[Decimal]] = {}
                for sample in _first(scrape, names):
                    labels = self._labels(where, scrape, scrape.who[sample], MODEL)
                    values.setdefault(labels, []).append(sample.value)
                for labels, found in values.items():
                    family.add_metric(labels, float(max(found) if how == "max" else sum(found)))
            yield family

    def _labels(self, where: str, scrape: Scrape, who: Who, names: tuple[str, ...]) -> tuple[str, ...]:
        given = {"source": scrape.kind.name, "gateway": where, "provider": who.provider, "model": who.model}
        given |= {"team": who.team, "project": who.project}
        return tuple(self._bounded[name](given[name]) for name in names)


def _first(scrape: Scrape, names: tuple[str, ...]) -> list[Sample]:
    """The samples of the first of `names` that the page has."""
    for name in names:
        found = [sample for sample in scrape.page.samples if sample.name == name]
        if found:
            return found
    return []
