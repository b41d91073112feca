"""What the models on Bedrock say, each in its own language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from collectors.llm.clean import identifier, name
from collectors.llm.formats import anthropic, chunks, cohere
from collectors.llm.formats.base import Answer, Usage
from collectors.llm.formats.stream import read_error
from collectors.llm.formats.values import count, part, parts, total

_FILTERS: Final = frozenset({"guardrail_intervened", "content_filtered", "CONTENT_FILTERED", "content_filter"})
_METRICS: Final = "amazon-bedrock-invocationMetrics"
# The names that Titan, Llama, Cohere's command and Mistral have for a piece of text, and for why it ended.
_TEXTS: Final = ("outputText", "generation", "text", "completion")
_REASONS: Final = ("completionReason", "stop_reason", "finish_reason", "stopReason")


class Nova:
    """The events of converse, in which Nova speaks under invoke, too."""

    def read(self, payload: dict[str, Any], answer: Answer) -> bool:
        """Take in one payload: an event, or an event under its name."""
        for event in (payload, *(value for value in payload.values() if isinstance(value, dict))):
            if event.get("stopReason"):
                _stop(event.get("stopReason"), answer)
            if isinstance(event.get("usage"), dict):
                _read_metadata(event, answer)
        delta = part(payload, "delta") or part(part(payload, "contentBlockDelta"), "delta")
        start = part(payload, "start") or part(part(payload, "contentBlockStart"), "start")
        reasoning = part(delta, "reasoningContent")
        return bool(
            delta.get("text")
            or part(delta, "toolUse").get("input")
            or delta.get("image")
            or reasoning.get("text")
            or reasoning.get("redactedContent")
            or start.get("toolUse")
        )

    def settle(self, answer: Answer) -> None:
        """Usage comes once, at the end."""


class AnyModel:
    """The payloads of a stream of invoke."""

    def __init__(self) -> None:
        self._nova = Nova()
        self._anthropic = anthropic.Told()
        self._speaks_anthropic = False
        self._counted: dict[str, Any] = {}

    def read(self, payload: dict[str, Any], answer: Answer) -> bool:
        """Take in one payload; whether a token is in it."""
        if isinstance(payload.get("type"), str):
            self._speaks_anthropic = True
            token = self._anthropic.read(payload, answer)
        elif isinstance(payload.get("event_type"), str):
            token = cohere.read_v1_event(payload, answer)
        elif "choices" in payload:
            token = chunks.read_chunk(payload, answer)
        else:
            token = self._nova.read(payload, answer) or self._read_plain(payload, answer)
        self._read_metrics(payload, answer)
        return token

    def settle(self, answer: Answer) -> None:
        if self._speaks_anthropic:
            self._anthropic.settle(answer)

    def _read_plain(self, payload: dict[str, Any], answer: Answer) -> bool:
        token = False
        for piece in (payload, *parts(payload, "outputs"), *parts(payload, "generations")):
            token = token or any(isinstance(piece.get(field), str) and piece[field] for field in _TEXTS)
            for field in _REASONS:
                _stop(piece.get(field), answer)
        self._counted |= {key: value for key, value in payload.items() if count(payload, key) is not None}
        if answer.complete:
            answer.usage = _plain_usage(self._counted) or answer.usage
        return token

    def _read_metrics(self, payload: dict[str, Any], answer: Answer) -> None:
        """What Bedrock itself counted ends every stream; the model's own report knows more kinds."""
        metrics = part(payload, _METRICS)
        if not metrics:
            return
        answer.complete = True
        if answer.usage is None or answer.usage.input_tokens is None or answer.usage.output_tokens is None:
            answer.usage = usage_of(
                count(metrics, "inputTokenCount"),
                count(metrics, "outputTokenCount"),
                count(metrics, "cacheReadInputTokenCount"),
                count(metrics, "cacheWriteInputTokenCount"),
                long=None,
            )


def read_converse(body: dict[str, Any], answer: Answer) -> None:
    """Take in an answer of converse that was not streamed."""
    read_error(body, answer)
    _read_metadata(body, answer)
    if part(body, "output"):
        answer.complete = True
    _stop(body.get("stopReason"), answer)


def read_invoked(body: dict[str, Any], answer: Answer) -> None:
    """Take in an answer of invoke that was not streamed."""
    if body.get("type") == "message":
        anthropic.read_message(body, answer)
    elif "choices" in body:
        chunks.read_completion(body, answer)
    elif part(body, "output") and part(body, "usage"):
        read_converse(body, answer)
    elif "chat_history" in body or "generations" in body or "generation_id" in body:
        cohere.read_v1_body(body, answer)
    else:
        read_error(body, answer)
        results = (*parts(body, "results"), *parts(body, "outputs"))
        for piece in (body, *results):
            for field in _REASONS:
                _stop(piece.get(field), answer)
        written = total(*(count(piece, "tokenCount") for piece in results))
        counted = body if written is None else {**body, "totalOutputTextTokenCount": written}
        answer.usage = _plain_usage(counted)
    answer.complete = answer.complete or (answer.error_type is None and bool(body) and "message" not in body)


def _stop(reason: object, answer: Answer) -> None:
    told = identifier(reason)
    if told:
        answer.finish_reason, answer.complete = told, True
        if told in _FILTERS:
            answer.refused = "content_filter"


def _read_metadata(event: Mapping[str, Any], answer: Answer) -> None:
    answer.service_tier = identifier(part(event, "serviceTier").get("type")) or answer.service_tier
    answer.model = name(part(part(event, "trace"), "promptRouter").get("invokedModelId")) or answer.model
    reported = part(event, "usage")
    long = [count(detail, "inputTokens") for detail in parts(reported, "cacheDetails") if detail.get("ttl") == "1h"]
    told = usage_of(
        count(reported, "inputTokens"),
        count(reported, "outputTokens"),
        count(reported, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        count(reported, "cacheWriteInputTokens", "cacheWriteInputTokenCount"),
        long=total(*long),
    )
    answer.usage = told or answer.usage


def usage_of(
    fresh: int | None, written: int | None, cached: int | None, cache_write: int | None, *, long: int | None
) -> Usage | None:
    """Usage as Bedrock counts it: `fresh` input tokens are those that touch no cache; `long`: written for an hour."""
    if fresh is None and written is None:
        return None
    return Usage(
        input_tokens=total(fresh, cached, cache_write),
        cached_tokens=cached,
        cache_write_tokens=cache_write,
        output_tokens=written,
        cache_write_1h_tokens=long,
    )


def _plain_usage(counted: Mapping[str, Any]) -> Usage | None:
    """Titan's counts, or Llama's."""
    return usage_of(
        count(counted, "inputTextTokenCount", "prompt_token_count"),
        count(counted, "totalOutputTextTokenCount", "generation_token_count"),
        None,
        None,
        long=None,
    )
