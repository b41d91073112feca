"""The instrumentations that are compared, each set up as cheaply as it can be and with what it records within reach.

The peers export spans through a batch processor into memory; ours writes rows through its spool into PostgreSQL.
"""

from __future__ import annotations

import json
import os
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
CACHED = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read",
    "llm.token_count.prompt_details.cache_read",
)
REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.completion_tokens_details.reasoning",
    "llm.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)
FIRST_TOKEN = (
    "gen_ai.server.time_to_first_token",
    "gen_ai.server.ttft",
    "gen_ai.client.operation.time_to_first_chunk",
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.client.time_to_first_chunk",
    "llm.openai.chat_completions.streaming_time_to_first_token",
    "gen_ai.client.generation.time_to_first_token",
)
FIRST_EVENTS = ("First Token Stream Event", "llm.content.completion.chunk")
Told = dict[str, float | int | None]


class Variant(Protocol):
    """`flush` waits until all is written, `told` says what was recorded of the last call, `forget` drops it."""

    version: str

    def flush(self) -> None: ...
    def told(self) -> Told: ...
    def forget(self) -> None: ...
    def close(self) -> None: ...


class bare:  # noqa: N801 - named as on the command line
    """No instrumentation."""

    version = ""

    def flush(self) -> None:
        pass

    def told(self) -> Told:
        return {}

    def forget(self) -> None:
        pass

    def close(self) -> None:
        pass


class ours:  # noqa: N801
    """The tap. GAUGEBOOK_DSN names the store."""

    def __init__(self) -> None:
        import sys

        sys.path.insert(0, str(Path(__file__).parents[2]))
        from collectors import llm
        from collectors.llm.tap import _Installed

        self._llm, self._installed = llm, _Installed
        self._tap = llm.install(providers={})
        self.version = metadata.version("gaugebook")

    def metered(self, *, on: bool) -> None:
        """Let the calls that follow be metered or not, with everything else as it is."""
        self._installed.tap = self._tap if on else None

    def flush(self) -> None:
        if not self._tap.flush(60):
            raise SystemExit("error: the rows were not written within 60 s")

    def told(self) -> Told:
        from store.connect import connect
        from store.settings import load

        columns = "ttft_s, input_tokens, output_tokens, cached_tokens, reasoning_tokens"
        with connect(load()) as connection:
            row = connection.execute(
                f"SELECT {columns} FROM metrics.llm_requests ORDER BY ts DESC LIMIT 1"  # noqa: S608
            ).fetchone()
        return dict(zip(columns.split(", "), row or (), strict=True))

    def forget(self) -> None:
        pass

    def close(self) -> None:
        self._llm.uninstall()


class _Traced:
    """A peer that makes spans, and metrics where `accurate` (the first token is told in them by some)."""

    distribution = ""

    def __init__(self) -> None:
        from opentelemetry import metrics, trace
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._seen: dict[str, float] = {}
        self.spans = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(BatchSpanProcessor(self.spans, max_queue_size=20_000))
        trace.set_tracer_provider(self.tracers)
        self.metrics = None
        self.meters = None
        if os.environ.get("WITH_METRICS"):
            self.metrics = InMemoryMetricReader()
            self.meters = MeterProvider([self.metrics])
            metrics.set_meter_provider(self.meters)
        self.version = metadata.version(self.distribution)
        self.instrument()

    def instrument(self) -> None:
        raise NotImplementedError

    def flush(self) -> None:
        self.tracers.force_flush()

    def told(self) -> Told:
        spans = self.spans.get_finished_spans()
        named: dict[str, Any] = {}
        for span in spans:
            named.update(span.attributes)
            for event in span.events:
                if event.name in FIRST_EVENTS:
                    named.setdefault("first_event", (event.timestamp - span.start_time) / 1e9)
        named |= self._first_in_metrics()
        self.forget()

        def first(names: tuple[str, ...]) -> Any:
            return next((named[name] for name in names if named.get(name) is not None), None)

        return {
            "ttft_s": first((*FIRST_TOKEN, "first_event")),
            "input_tokens": first(INPUT),
            "output_tokens": first(OUTPUT),
            "cached_tokens": first(CACHED),
            "reasoning_tokens": first(REASONING),
            "others": {key: str(value)[:60] for key, value in named.items()},
        }

    def _first_in_metrics(self) -> dict[str, float]:
        """The newest value of each histogram of first tokens: what its sum has grown by."""
        found: dict[str, float] = {}
        data = self.metrics.get_metrics_data() if self.metrics else None
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name in FIRST_TOKEN:
                        total = sum(point.sum for point in metric.data.data_points)
                        grown = total - self._seen.get(metric.name, 0.0)
                        self._seen[metric.name] = total
                        if grown:
                            found[metric.name] = grown
        return found

    def forget(self) -> None:
        self.spans.clear()

    def close(self) -> None:
        self.tracers.shutdown()


class openllmetry(_Traced):  # noqa: N801
    """Traceloop's, without the texts."""

    distribution = "opentelemetry-instrumentation-openai"

    def instrument(self) -> None:
        os.environ["TRACELOOP_TRACE_CONTENT"] = "false"
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor(enrich_assistant=False).instrument(tracer_provider=self.tracers, meter_provider=self.meters)


class openinference(_Traced):  # noqa: N801
    """Arize's, without the texts."""

    distribution = "openinference-instrumentation-openai"

    def instrument(self) -> None:
        for what in ("INPUTS", "OUTPUTS", "INPUT_MESSAGES", "OUTPUT_MESSAGES", "INPUT_TEXT", "OUTPUT_TEXT"):
            os.environ[f"OPENINFERENCE_HIDE_{what}"] = "true"
        from openinference.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=self.tracers)


class openlit(_Traced):  # noqa: N801
    """OpenLIT, without the texts and without its measurements of the machine."""

    distribution = "openlit"

    def instrument(self) -> None:
        import openlit as peer

        prices = {"chat": {"gpt-4o-mini": {"promptPrice": 0.00015, "completionPrice": 0.0006}}}
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:  # otherwise it would be fetched
            json.dump(prices, file)
            file.flush()
            peer.init(
                capture_message_content=False,
                disable_metrics=self.meters is None,
                disable_events=True,
                disabled_instrumentors=["httpx", "requests", "urllib", "urllib3", "aiohttp-client"],
                pricing_json=file.name,
            )


class opentelemetry(_Traced):  # noqa: N801
    """OpenTelemetry's own, without the texts."""

    distribution = "opentelemetry-instrumentation-openai-v2"

    def instrument(self) -> None:
        from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=self.tracers, meter_provider=self.meters)
