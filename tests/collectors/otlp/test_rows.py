"""Calls in the words of each instrumentation, and the rows they become."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from collectors.llm.attribution import Owner
from collectors.llm.record import Request
from collectors.otlp import from_json, from_protobuf
from collectors.otlp.calls import operation
from collectors.otlp.rows import call
from collectors.web.refusal import Unusable
from tests.collectors.otlp.exports import CALL, JSON, PROTOBUF, Attributes, encoded, event, logs, span, traces

OWNER = Owner("a-team", "a-project", "test")
TOKENS = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


def told(attributes: Attributes, *, resource: Attributes | None = None, scope: str = "test", **of: Any) -> Request:
    """The row of a span with these attributes; the same from both encodings."""
    request = traces(span(attributes, **of), resource=resource, scope=scope)
    (item,) = from_protobuf.spans(encoded(request, PROTOBUF))
    (other,) = from_json.spans(encoded(request, JSON))
    assert repr(item) == repr(other)  # NaN is not equal to itself
    kind = operation(item)
    assert kind is not None
    return call(item, kind, OWNER).request


def tokens(row: Request) -> tuple[int | None, ...]:
    return tuple(getattr(row, name) for name in TOKENS)


CONVENTIONS = {
    "GenAI": {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 300,
        "gen_ai.usage.cache_read.input_tokens": 400,
        "gen_ai.usage.cache_write.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 50,
    },
    "GenAI before 2025": {
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.usage.prompt_tokens": 1000,
        "gen_ai.usage.completion_tokens": 300,
        "gen_ai.usage.cache_read_input_tokens": 400,
        "gen_ai.usage.cache_creation_input_tokens": 0,
        "gen_ai.usage.details.reasoning_tokens": 50,
    },
    "OpenLLMetry": {
        "llm.request.type": "chat",
        "gen_ai.system": "OpenAI",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.usage.prompt_tokens": 1000,
        "gen_ai.usage.completion_tokens": 300,
        "llm.usage.total_tokens": 1300,
        "gen_ai.usage.cache_read_input_tokens": 400,
        "gen_ai.usage.cache_creation_input_tokens": 0,
        "gen_ai.usage.reasoning_tokens": 50,
    },
    "OpenInference": {
        "openinference.span.kind": "LLM",
        "llm.provider": "openai",
        "llm.model_name": "gpt-4o",
        "llm.response.model": "gpt-4o-2024-08-06",
        "llm.token_count.prompt": 1000,
        "llm.token_count.completion": 300,
        "llm.token_count.total": 1300,
        "llm.token_count.prompt_details.cache_read": 400,
        "llm.token_count.prompt_details.cache_write": 0,
        "llm.token_count.completion_details.reasoning": 50,
        "output.value": '{"id":"chatcmpl-1","choices":[{"message":{"content":"secret"}}]}',
    },
    "LiteLLM": {
        "llm.request.type": "acompletion",
        "gen_ai.operation.name": "acompletion",
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 300,
        "gen_ai.usage.total_tokens": 1300,
        "gen_ai.usage.cache_read_input_tokens": 400,
        "gen_ai.usage.cache_creation_input_tokens": 0,
        "gen_ai.usage.reasoning_tokens": 50,
        "llm.is_streaming": "False",
    },
    "Vercel AI SDK": {
        "ai.operationId": "ai.generateText.doGenerate",
        "gen_ai.system": "openai.chat",
        "gen_ai.request.model": "gpt-4o",
        "ai.response.model": "gpt-4o-2024-08-06",
        "ai.response.id": "chatcmpl-1",
        "ai.usage.inputTokens": 1000,
        "ai.usage.outputTokens": 300,
        "ai.usage.cachedInputTokens": 400,
        "gen_ai.usage.cache_creation.input_tokens": 0,
        "ai.usage.reasoningTokens": 50,
    },
}


@pytest.mark.parametrize("which", CONVENTIONS)
def test_each_convention_gives_the_same_row(which: str) -> None:
    row = told(CONVENTIONS[which])
    assert tokens(row) == (1000, 400, 0, 300, 50)
    assert (row.request_id, row.provider, row.model) == ("chatcmpl-1", "openai", "gpt-4o")
    assert (row.response_model, row.operation, row.usage_source) == ("gpt-4o-2024-08-06", "chat", "reported")
    assert row.cost_usd == (600 * Decimal("2.5") + 400 * Decimal("1.25") + 300 * 10) / 10**6
    assert (row.source, row.status, row.team, row.project, row.environment) == (
        "otlp",
        "ok",
        "a-team",
        "a-project",
        "test",
    )
    assert row.duration_s == 1.0


NO_CALLS: list[tuple[str, Attributes]] = [
    ("an agent", {**CALL, "gen_ai.operation.name": "invoke_agent"}),
    ("a tool", {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}),
    ("a chain", {**CONVENTIONS["OpenInference"], "openinference.span.kind": "CHAIN"}),
    ("a workflow", {"traceloop.span.kind": "workflow", "gen_ai.request.model": "gpt-4o", **CALL}),
    ("the outer span of Vercel's SDK", {**CONVENTIONS["Vercel AI SDK"], "ai.operationId": "ai.generateText"}),
    ("an HTTP request", {"http.request.method": "POST", "server.address": "api.openai.com"}),
    ("a database", {"db.system.name": "postgresql"}),
    ("nothing", {}),
]


@pytest.mark.parametrize(("what", "attributes"), NO_CALLS, ids=[what for what, _ in NO_CALLS])
def test_what_is_no_call(what: str, attributes: Attributes) -> None:
    (item,) = from_protobuf.spans(encoded(traces(span(attributes)), PROTOBUF))
    assert operation(item) is None


def test_litellms_copy_of_the_request_is_no_call() -> None:
    (item,) = from_protobuf.spans(encoded(traces(span(CALL, name="raw_gen_ai_request")), PROTOBUF))
    assert operation(item) is None


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"input": 5, "read": 128_955, "write": 1_253}, (130_213, 128_955, 1_253)),  # beside the input: it is smaller
        ({"input": 130_213, "read": 128_955, "write": 1_253}, (130_213, 128_955, 1_253)),  # inside
        ({"input": 5_000, "read": 1_000, "output": 10, "total": 6_010}, (6_000, 1_000, None)),  # beside, by the total
        ({"input": 5_000, "read": 1_000, "output": 10, "total": 5_010}, (5_000, 1_000, None)),  # inside
        ({"input": 5_000, "read": 1_000}, (5_000, 1_000, None)),  # cannot be told: taken as the conventions have it
        ({"input": 17, "read": 0, "write": 0}, (17, 0, 0)),
    ],
)
def test_cached_tokens_are_counted_once(given: dict[str, int], kept: tuple[int | None, ...]) -> None:
    names = {
        "input": "gen_ai.usage.input_tokens",
        "output": "gen_ai.usage.output_tokens",
        "total": "gen_ai.usage.total_tokens",
        "read": "gen_ai.usage.cache_read.input_tokens",
        "write": "gen_ai.usage.cache_creation.input_tokens",
    }
    row = told({"gen_ai.operation.name": "chat", **{names[name]: count for name, count in given.items()}})
    assert tokens(row)[:3] == kept


def test_reasoning_beside_the_output_is_added() -> None:
    row = told({**CALL, "gen_ai.usage.output_tokens": 10, "gen_ai.usage.reasoning.output_tokens": 200})
    assert (row.output_tokens, row.reasoning_tokens) == (210, 200)


def test_time_to_first_token_is_not_time_to_first_chunk() -> None:
    row = told({**CALL, "gen_ai.server.time_to_first_token": 0.5})
    assert (row.ttft_s, row.ttfc_s) == (0.5, None)
    row = told({**CALL, "gen_ai.response.time_to_first_chunk": 0.1, "gen_ai.request.stream": True})
    assert (row.ttft_s, row.ttfc_s, row.streamed) == (None, 0.1, True)
    row = told({**CALL, "ai.response.msToFirstChunk": 100.0})
    assert (row.ttft_s, row.ttfc_s, row.streamed) == (None, 0.1, True)


def test_openlits_first_token_is_a_chunk() -> None:
    row = told({**CALL, "gen_ai.server.time_to_first_token": 0.1}, scope="openlit.otel.tracing")
    assert (row.ttft_s, row.ttfc_s) == (None, 0.1)


def test_a_server_tells_its_own_calls() -> None:
    served = {
        "gen_ai.request.id": "chatcmpl-7",
        "gen_ai.response.model": "llama",
        "gen_ai.usage.prompt_tokens": 5,
        "gen_ai.usage.completion_tokens": 7,
        "gen_ai.latency.time_to_first_token": 0.2,
    }
    row = told(served, name="llm_request", scope="vllm.llm_engine")
    assert (row.request_id, row.ttft_s, row.provider, row.model) == ("chatcmpl-7", 0.2, "other", "llama")


@pytest.mark.parametrize(
    ("attributes", "failed", "expected"),
    [
        ({"error.type": "RateLimitError", "http.response.status_code": 429}, True, ("error", "RateLimitError", 429)),
        ({"error.type": "429"}, True, ("error", "http_429", 429)),
        ({"http.status_code": 500}, False, ("error", "http_500", 500)),
        ({"error.type": "You said: hello there"}, True, ("error", "unnamed", None)),
        ({"error.type": "asyncio.exceptions.CancelledError"}, True, ("cancelled", None, None)),
        ({"gen_ai.response.finish_reasons": ["content_filter"]}, False, ("error", "content_filter", None)),
        ({"gen_ai.response.finish_reasons": '["stop"]'}, False, ("ok", None, None)),
        ({}, True, ("error", "unnamed", None)),
    ],
)
def test_how_it_ended(attributes: Attributes, failed: bool, expected: tuple[Any, ...]) -> None:
    row = told({**CALL, **attributes}, failed=failed)
    assert (row.status, row.error_type, row.http_status) == expected


def test_the_exception_names_the_error() -> None:
    made = span(CALL, failed=True)
    raised = made.events.add(name="exception")
    raised.attributes.extend(span({"exception.type": "openai.APITimeoutError", "exception.message": "x"}).attributes)
    request = traces(made)
    for items in (
        from_protobuf.spans(encoded(request, PROTOBUF)),
        from_json.spans(encoded(request, JSON)),
    ):
        (item,) = items
        assert call(item, "chat", OWNER).request.error_type == "openai.APITimeoutError"


def test_whose_call_it_is() -> None:
    resource = {"gaugebook.team": "search", "deployment.environment.name": "production", "service.name": "shop"}
    row = told({**CALL, "gaugebook.project": "ranking"}, resource=resource)
    assert (row.team, row.project, row.environment) == ("search", "ranking", "production")
    assert row.attrs is not None
    assert row.attrs["service"] == "shop"
    assert told({**CALL, "gaugebook.team": "ads"}, resource=resource).team == "ads"
    assert told({**CALL, "metadata.user_api_key_team_alias": "ops"}).team == "ops"
    assert told(CALL, resource={"deployment.environment": "staging"}).environment == "staging"


@pytest.mark.parametrize(
    ("name", "address", "provider"),
    [
        ("az.ai.openai", "", "azure"),
        ("aws.bedrock", "bedrock-runtime.eu-west-1.amazonaws.com", "aws"),
        ("vertex_ai", "", "google"),
        ("openai", "https://api.groq.com/openai/v1", "groq"),
        ("openai", "localhost", "openai"),
        ("mistral_ai", "", "mistral"),
        ("Langchain", "", "openai"),  # a framework, and a model of OpenAI
        ("what ever it may be: a prompt?", "", "other"),
        ("openai", "https://[broken", "openai"),
    ],
)
def test_the_provider_is_named_as_the_tap_names_it(name: str, address: str, provider: str) -> None:
    assert told({**CALL, "gen_ai.provider.name": name, "server.address": address}).provider == provider


def test_embeddings() -> None:
    attributes = {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "text-embedding-3-small"}
    row = told({**attributes, "llm.token_count.prompt": 1_000_000, "llm.provider": "openai"})
    assert (row.operation, row.input_tokens, row.output_tokens) == ("embeddings", 1_000_000, None)
    assert row.cost_usd == Decimal("0.02")


def test_a_call_without_a_response_id_goes_by_its_span() -> None:
    made: Span = span()
    (item,) = from_protobuf.spans(encoded(traces(made), PROTOBUF))
    assert call(item, "chat", OWNER).request.request_id == made.span_id.hex()


def test_an_event_is_a_row_without_a_duration() -> None:
    (item,) = from_json.log_records(encoded(logs(event(CONVENTIONS["GenAI"])), JSON))
    assert operation(item) == "chat"
    row = call(item, "chat", OWNER).request
    assert tokens(row) == (1000, 400, 0, 300, 50)
    assert (row.source, row.duration_s) == ("otlp_log", None)


CANNOT_BE: list[tuple[str, Any]] = [
    ("gen_ai.usage.input_tokens", -1),
    ("gen_ai.usage.output_tokens", 2**62),
    ("gen_ai.usage.output_tokens", 1.5),
    ("gen_ai.usage.output_tokens", float("nan")),
    ("gen_ai.usage.output_tokens", float("inf")),
    ("gen_ai.usage.output_tokens", "many"),
    ("gen_ai.usage.output_tokens", "1e999999999"),
    ("gen_ai.usage.output_tokens", True),
    ("gen_ai.usage.cache_read.input_tokens", [1]),
    ("gen_ai.server.time_to_first_token", -0.1),
    ("gen_ai.response.time_to_first_chunk", float("nan")),
    ("gen_ai.response.time_to_first_chunk", 1e300),
]


@pytest.mark.parametrize(("key", "value"), CANNOT_BE)
def test_what_cannot_be(key: str, value: Any) -> None:
    with pytest.raises(Unusable, match="_") as raised:
        told({**CALL, key: value})
    assert repr(value) not in str(raised.value)


@pytest.mark.parametrize("start_ns", [0, 1, 2**63, 2**64 - 2 * 10**9])
def test_times_that_cannot_be(start_ns: int) -> None:
    with pytest.raises(Unusable, match="the time is not in the years 2000 to 2199"):
        told(CALL, start_ns=start_ns)


@pytest.mark.parametrize("name", ["trace_id", "span_id", "parent_span_id"])
def test_ids_that_cannot_be(name: str) -> None:
    made = span()
    setattr(made, name, b"x" * 1_000)
    (item,) = from_protobuf.spans(encoded(traces(made), PROTOBUF))
    with pytest.raises(Unusable, match="ids"):
        call(item, "chat", OWNER)


def test_an_end_that_cannot_be() -> None:
    with pytest.raises(Unusable, match="30 days"):
        told(CALL, lasted_s=31 * 86_400)
    assert told(CALL, lasted_s=-1).duration_s is None  # a clock that was set back
