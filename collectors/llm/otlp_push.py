"""Pushes the gen_ai.* metrics of OpenTelemetry's conventions by OTLP over HTTP, in its JSON encoding."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter

from collectors.llm.record import Request
from store.settings import Settings

log = logging.getLogger(__name__)

PATH = "/v1/metrics"
TIMEOUT_S = 5.0
MOST_SERIES = 2_000  # histograms; those of further combinations of labels are booked to `other`
CUMULATIVE = 2  # AGGREGATION_TEMPORALITY_CUMULATIVE

# The names that the conventions give to providers, where they differ from the catalogue's.
PROVIDERS = {
    "aws": "aws.bedrock",
    "azure": "azure.ai.openai",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "x-ai": "x_ai",
}
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_PER_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)


@dataclass(frozen=True, slots=True)
class Instrument:
    """A histogram of the conventions: its unit, and the upper bounds of its buckets but the last."""

    name: str
    unit: str
    text: str
    bounds: tuple[float, ...]


TOKENS = Instrument(
    "gen_ai.client.token.usage",
    "{token}",
    "Input and output tokens of a request.",
    tuple(4.0**power for power in range(14)),
)
DURATION = Instrument("gen_ai.client.operation.duration", "s", "From sending to the last byte.", _SECONDS)
FIRST_CHUNK = Instrument(
    "gen_ai.client.operation.time_to_first_chunk", "s", "From sending to the first chunk of a stream.", _SECONDS
)
PER_CHUNK = Instrument(
    "gen_ai.client.operation.time_per_output_chunk",
    "s",
    "A stream's mean time per token after its first; once a request.",
    _SECONDS,
)
FIRST_TOKEN = Instrument(
    "gen_ai.server.time_to_first_token",
    "s",
    "From sending to the first real token of a stream, as the client sees it.",
    (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
PER_TOKEN = Instrument(
    "gen_ai.server.time_per_output_token",
    "s",
    "A stream's mean time per token after its first, as the client sees it.",
    _PER_TOKEN,
)

Attributes = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Histogram:
    counts: list[int]
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")
    since: int = field(default_factory=time.time_ns)

    def add(self, value: float, bounds: tuple[float, ...]) -> None:
        self.counts[bisect_left(bounds, value)] += 1
        self.total += value
        self.least, self.most = min(self.least, value), max(self.most, value)


class Push:
    """Adds up what `observe` is told and posts it every `interval_s` seconds, from a thread of its own.

    The sums are cumulative: a push that fails is counted and lost on nobody, since the next one says it all again.
    Nothing here waits for the network but that thread, and `close`.

    Args:
        endpoint: the base address of an OTLP/HTTP receiver, or the full address of its `/v1/metrics`.
    """

    def __init__(self, endpoint: str, *, interval_s: float = 15.0) -> None:
        endpoint = endpoint.rstrip("/")
        self.url = endpoint if endpoint.endswith(PATH) else endpoint + PATH
        self._interval_s = interval_s
        self._series: dict[Instrument, dict[Attributes, _Histogram]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ending = threading.Event()
        self._resource = _attributes(
            (("service.name", "gaugebook"), ("service.version", _version()), ("service.instance.id", str(uuid.uuid4())))
        )
        self._pushes = Counter("llm_otlp_pushes_total", "Pushes of metrics by OTLP.", registry=None)
        self._failures = Counter(
            "llm_otlp_push_failures_total", "Pushes that failed; the next one repeats them.", registry=None
        )

    @classmethod
    def of(cls, settings: Settings) -> Push | None:
        """As the settings say; None where they name no address."""
        if settings.llm_otlp_endpoint is None:
            return None
        return cls(settings.llm_otlp_endpoint, interval_s=settings.llm_otlp_interval_s)

    def register(self, registry: CollectorRegistry) -> None:
        """Show in `registry` how many pushes there were and how many failed."""
        registry.register(self._pushes)
        registry.register(self._failures)

    def observe(self, request: Request, who: tuple[str, str, str, str], error: str | None) -> None:
        """Count one finished request; `who`: provider, model, team and project, and `error`, are from bounded sets."""
        provider, model, team, project = who
        shared: Attributes = (
            ("gen_ai.operation.name", request.operation),
            ("gen_ai.provider.name", PROVIDERS.get(provider, provider)),
            ("gen_ai.request.model", model),
            ("gaugebook.team", team),
            ("gaugebook.project", project),
        )
        with self._lock:
            for instrument, value, more in _values(request, error):
                self._add(instrument, value, shared + more)
            if self._thread is None and not self._ending.is_set():
                self._thread = threading.Thread(target=self._run, name="gaugebook-otlp-push", daemon=True)
                self._thread.start()

    def payload(self) -> dict[str, Any] | None:
        """What there is to push, as the JSON encoding of an ExportMetricsServiceRequest; None where that is nothing."""
        now = str(time.time_ns())
        with self._lock:
            metrics = [
                {
                    "name": instrument.name,
                    "unit": instrument.unit,
                    "description": instrument.text,
                    "histogram": {
                        "aggregationTemporality": CUMULATIVE,
                        "dataPoints": [_point(each, key, instrument.bounds, now) for key, each in series.items()],
                    },
                }
                for instrument, series in self._series.items()
            ]
        if not metrics:
            return None
        scoped = {"scope": {"name": "gaugebook", "version": _version()}, "metrics": metrics}
        return {"resourceMetrics": [{"resource": {"attributes": self._resource}, "scopeMetrics": [scoped]}]}

    def push(self) -> bool:
        """Post once; False, counted, where that fails."""
        import urllib.request  # the tap is not under it, and most processes never need it

        try:
            payload = self.payload()
            if payload is None:
                return True
            body = json.dumps(payload, separators=(",", ":")).encode()
            request = urllib.request.Request(self.url, body, {"content-type": "application/json"})  # noqa: S310 - http(s) alone
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
                answer.read(10_000)
        except Exception as error:  # noqa: BLE001 - whatever it is, the thread must live
            log.debug("metrics could not be pushed to %s: %s", self.url, error)
            self._failures.inc()
            return False
        self._pushes.inc()
        return True

    def close(self, timeout_s: float = TIMEOUT_S) -> None:
        """Push what is new once more, for at most `timeout_s`, and stop."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._ending.wait(self._interval_s):
            self.push()
        self.push()

    def _add(self, instrument: Instrument, value: float, key: Attributes) -> None:
        series = self._series.setdefault(instrument, {})
        if key not in series and sum(map(len, self._series.values())) >= MOST_SERIES:
            bounded = ("gen_ai.token.type", "gen_ai.operation.name")
            key = tuple((name, text if name in bounded else "other") for name, text in key if name != "error.type")
        histogram = series.get(key)
        if histogram is None:
            histogram = series[key] = _Histogram([0] * (len(instrument.bounds) + 1))
        histogram.add(value, instrument.bounds)


def _values(request: Request, error: str | None) -> Iterator[tuple[Instrument, float, Attributes]]:
    """What one request adds to which histogram, with the attributes of its own. An error is fast for another reason."""
    failed: Attributes = (("error.type", error),) if error else ()
    if request.duration_s is not None:
        yield DURATION, request.duration_s, failed
    for kind, tokens in (("input", request.input_tokens), ("output", request.output_tokens)):
        if tokens is not None:
            yield TOKENS, tokens, (("gen_ai.token.type", kind),)
    if failed:
        return
    if request.ttfc_s is not None:
        yield FIRST_CHUNK, request.ttfc_s, ()
    if request.ttft_s is not None:
        yield FIRST_TOKEN, request.ttft_s, ()
    if request.output_tokens_per_s:
        yield PER_CHUNK, 1 / request.output_tokens_per_s, ()
        yield PER_TOKEN, 1 / request.output_tokens_per_s, ()


def _point(histogram: _Histogram, key: Attributes, bounds: tuple[float, ...], now: str) -> dict[str, Any]:
    # In JSON, 64-bit integers are strings.
    return {
        "attributes": _attributes(key),
        "startTimeUnixNano": str(histogram.since),
        "timeUnixNano": now,
        "count": str(sum(histogram.counts)),
        "sum": histogram.total,
        "min": histogram.least,
        "max": histogram.most,
        "bucketCounts": [str(count) for count in histogram.counts],
        "explicitBounds": list(bounds),
    }


def _attributes(pairs: Attributes) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": text}} for key, text in pairs]


@cache
def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gaugebook")
    except PackageNotFoundError:
        return "unknown"
