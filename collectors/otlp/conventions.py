"""The names that instrumentations give to what we want to know.

OpenTelemetry GenAI old and new, OpenLLMetry, OpenInference, LiteLLM, OpenLIT, Vercel's AI SDK, vLLM.
"""

from __future__ import annotations

# What is read of spans, events and resources, and nothing else is; of several names that are there the first counts.
FIELDS: dict[str, tuple[str, ...]] = {
    "operation": ("gen_ai.operation.name", "llm.request.type"),
    "openinference_kind": ("openinference.span.kind",),
    "traceloop_kind": ("traceloop.span.kind",),
    "vercel_operation": ("ai.operationId",),
    "event_name": ("event.name",),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider"),
    "address": ("gen_ai.openai.api_base", "server.address"),
    "model": (
        "gen_ai.request.model",
        "llm.request.model",
        "llm.model_name",
        "embedding.model_name",
        "ai.model.id",
    ),
    "response_model": ("gen_ai.response.model", "llm.response.model", "ai.response.model"),
    "response_id": ("gen_ai.response.id", "llm.response.id", "ai.response.id"),
    "response": ("output.value",),  # OpenInference: the response itself, of which only the id is looked at
    "request_id": ("gen_ai.request.id",),  # vLLM: the response id before it is one
    "input_tokens": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "llm.usage.prompt_tokens",
        "ai.usage.inputTokens",
        "ai.usage.promptTokens",
        "ai.usage.tokens",
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "llm.usage.completion_tokens",
        "ai.usage.outputTokens",
        "ai.usage.completionTokens",
    ),
    "total_tokens": (
        "gen_ai.usage.total_tokens",
        "llm.usage.total_tokens",
        "llm.token_count.total",
        "ai.usage.totalTokens",
    ),
    "cached_tokens": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.input_tokens.cached",
        "gen_ai.usage.details.cache_read_tokens",
        "gen_ai.usage.details.cache_read_input_tokens",
        "llm.token_count.prompt_details.cache_read",
        "ai.usage.cachedInputTokens",
    ),
    "cache_write_tokens": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.input_tokens.cache_write",
        "gen_ai.usage.details.cache_write_tokens",
        "gen_ai.usage.details.cache_creation_input_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning_tokens": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.output_tokens.reasoning",
        "gen_ai.usage.details.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
        "llm.usage.reasoning_tokens",
        "ai.usage.reasoningTokens",
    ),
    "input_audio_tokens": ("llm.token_count.prompt_details.audio",),
    "output_audio_tokens": ("llm.token_count.completion_details.audio",),
    "streamed": (
        "gen_ai.request.stream",
        "gen_ai.request.is_stream",
        "gen_ai.response.streaming",
        "gen_ai.is_streaming",
        "llm.is_streaming",
    ),
    "first_token_s": ("gen_ai.server.time_to_first_token", "gen_ai.latency.time_to_first_token"),
    "first_chunk_s": (
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.response.time_to_first_token",
    ),
    "first_chunk_ms": ("ai.response.msToFirstChunk",),
    "service_tier": (
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "openai.request.service_tier",
        "gen_ai.openai.request.service_tier",
    ),
    "finish_reason": (
        "gen_ai.response.finish_reasons",
        "gen_ai.response.finish_reason",
        "ai.response.finishReason",
    ),
    "error_type": ("error.type", "exception.type"),
    "http_status": ("http.response.status_code", "http.status_code", "error.code"),
    "team": ("gaugebook.team", "metadata.user_api_key_team_alias"),
    "project": ("gaugebook.project",),
    "environment": ("gaugebook.environment", "deployment.environment.name", "deployment.environment"),
    "service": ("service.name",),
    "sdk": ("telemetry.sdk.name",),
}
PLACES = {name: (field, rank) for field, names in FIELDS.items() for rank, name in enumerate(names)}

INFERENCE_EVENT = "gen_ai.client.inference.operation.details"
FIRST_CHUNK_EVENTS = ("gen_ai.content.completion.chunk", "First Token Stream Event", "ai.stream.firstChunk")
CHUNK_IS_TOKEN = ("openlit",)  # what they call the first token is the first chunk, which may be empty
