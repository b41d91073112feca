"""OpenAI's Responses API, on OpenAI, Azure and servers that speak its language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from collectors.llm.clean import identifier, name
from collectors.llm.formats.base import Answer, Asked, Reader, Usage
from collectors.llm.formats.openai import deployment
from collectors.llm.formats.sse import Splitter, data_of
from collectors.llm.formats.stream import CHUNK, NOTHING, TOKEN, Seen, read_error, reader
from collectors.llm.formats.values import count, document, part, parts

_PATHS: Final = ("/v1/responses", "/openai/responses", "/codex/responses")
# The events that carry nothing but a piece of the answer; a refusal's carry more.
_DELTAS: Final = tuple(
    f"event: response.{kind}.delta\n".encode()
    for kind in (
        "output_text",
        "reasoning_summary_text",
        "reasoning_text",
        "function_call_arguments",
        "custom_tool_call_input",
        "mcp_call_arguments",
        "code_interpreter_call_code",
        "audio",
        "audio.transcript",
    )
)
_ENDS: Final = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


class Responses:
    """`POST .../responses`. Source: https://platform.openai.com/docs/api-reference/responses."""

    name = "openai.responses"
    operation = "chat"
    provider: str | None = None

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002 - spoken on any host
        return path.endswith(_PATHS) or (path.endswith("/responses") and "/openai/" in path)

    def asked(self, path: str, body: bytes) -> Asked:
        request = document(body)
        return Asked(
            model=name(request.get("model")) or deployment(path),
            streamed=request.get("stream") is True,
            max_output_tokens=count(request, "max_output_tokens"),
            service_tier=identifier(request.get("service_tier")),
        )

    def ask_for_usage(self, body: bytes) -> bytes | None:  # noqa: ARG002 - it always comes
        return None

    def reader(self, *, headers: Mapping[str, str], asked: Asked, hide_usage: bool = False) -> Reader:  # noqa: ARG002
        return reader(headers, asked, stream=lambda: (Splitter(), Events()), read_body=read_response)


class Events:
    """The typed events of a stream; those named as a delta are not parsed once a token has been seen."""

    def __init__(self) -> None:
        self._began = False

    def is_token(self, event: bytes) -> bool:
        return (
            self._began
            and event.startswith(_DELTAS)
            and event.find(b"\n\n") == len(event) - 2
            and event.find(b'"delta":"') > 0
            and event.find(b'"delta":""') < 0
        )

    def read(self, event: bytes, answer: Answer) -> Seen:
        told = document(data_of(event))
        if not told:
            return NOTHING
        kind = told.get("type")
        if not isinstance(kind, str):
            read_error(told, answer)
            return CHUNK
        response = part(told, "response")
        if response:
            read_response(response, answer)
            answer.complete = answer.complete or kind in _ENDS
        elif kind == "error":
            read_error(told, answer)
        if kind.startswith("response.refusal."):
            answer.refused = answer.refused or "refusal"
        if _has_token(kind, told):
            self._began = True
            return TOKEN
        return CHUNK

    def settle(self, answer: Answer) -> None:
        """Usage comes once, at the end."""


def _has_token(kind: str, told: Mapping[str, Any]) -> bool:
    if kind.endswith(".delta"):
        return bool(told.get("delta"))
    if kind == "response.output_item.added":  # a call begins with its name
        item = told.get("item")
        return isinstance(item, dict) and str(item.get("type")).endswith("_call")
    return kind == "response.image_generation_call.partial_image"


def read_response(response: dict[str, Any], answer: Answer) -> None:
    """Take in a response object: the whole answer, or as far as it has come."""
    answer.response_id = answer.response_id or name(response.get("id"))
    answer.model = name(response.get("model")) or answer.model
    tier = identifier(response.get("service_tier"))
    answer.service_tier = answer.service_tier if tier in {None, "auto"} else tier
    read_error(response, answer)
    status = identifier(response.get("status"))
    if status in {None, "queued", "in_progress"}:
        return
    answer.complete = True
    reason = identifier(part(response, "incomplete_details").get("reason"))
    answer.finish_reason = reason or status
    if status == "failed":
        answer.error_type = answer.error_type or "unnamed"
    if reason == "content_filter":
        answer.refused = "content_filter"
    output = parts(response, "output")
    if any(piece.get("type") == "refusal" for item in output for piece in parts(item, "content")):
        answer.refused = answer.refused or "refusal"
    answer.usage = _usage(part(response, "usage"), _searches(output)) or answer.usage


def _searches(output: list[dict[str, Any]]) -> int | None:
    """The web searches that were made; opening a page that was found is none."""
    made = [item for item in output if item.get("type") == "web_search_call"]
    return sum(part(item, "action").get("type", "search") == "search" for item in made) or None


def _usage(reported: Mapping[str, Any], searches: int | None) -> Usage | None:
    read, written = count(reported, "input_tokens"), count(reported, "output_tokens")
    if read is None and written is None:
        return None
    prompt, completion = part(reported, "input_tokens_details"), part(reported, "output_tokens_details")
    return Usage(
        input_tokens=read,
        cached_tokens=count(prompt, "cached_tokens"),
        cache_write_tokens=count(prompt, "cache_write_tokens"),
        output_tokens=written,
        reasoning_tokens=count(completion, "reasoning_tokens"),
        input_audio_tokens=count(prompt, "audio_tokens"),
        output_audio_tokens=count(completion, "audio_tokens"),
        web_searches=searches,
    )
