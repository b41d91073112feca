"""Cohere's chat, version 1 (a JSON document a line, or events) and version 2 (events)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from collectors.llm.clean import identifier, name
from collectors.llm.formats import chunks
from collectors.llm.formats.alike import Alike
from collectors.llm.formats.base import Answer, Asked, Reader, Usage
from collectors.llm.formats.ndjson import LineSplitter
from collectors.llm.formats.sse import Splitter, data_of
from collectors.llm.formats.stream import CHUNK, NOTHING, TOKEN, Seen, read_error, reader
from collectors.llm.formats.values import count, document, part, parts

_FAILURES: Final = frozenset({"ERROR", "ERROR_LIMIT", "TIMEOUT"})
_TOXIC: Final = "ERROR_TOXIC"


class CohereV2:
    """`POST /v2/chat`. Source: https://docs.cohere.com/reference/chat-stream."""

    name = "cohere.chat"
    operation = "chat"
    provider: str | None = "cohere"

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002 - the path says it all
        return path.endswith("/v2/chat")

    def asked(self, path: str, body: bytes) -> Asked:  # noqa: ARG002
        request = document(body)
        return Asked(
            model=name(request.get("model")),
            streamed=request.get("stream") is True,
            max_output_tokens=count(request, "max_tokens"),
        )

    def ask_for_usage(self, body: bytes) -> bytes | None:  # noqa: ARG002 - it always comes
        return None

    def reader(self, *, headers: Mapping[str, str], asked: Asked, hide_usage: bool = False) -> Reader:  # noqa: ARG002
        lines = "event-stream" not in (headers.get("content-type") or "")
        return reader(
            headers,
            asked,
            stream=lambda: (LineSplitter() if lines else Splitter(), Events()),
            read_body=read_body,
        )


class CohereV1(CohereV2):
    """`POST /v1/chat` and `/v1/generate`. Source: https://docs.cohere.com/v1/reference/chat-stream."""

    name = "cohere.v1_chat"

    def matches(self, host: str, path: str) -> bool:
        return path in {"/v1/chat", "/v1/generate"} and not host.endswith("writer.com")


class Events:
    """The events of a stream, of either version. Nearly all hold one more piece of text, and are not parsed."""

    def __init__(self) -> None:
        self._alike = Alike(b"text", b"thinking", b"arguments", b"tool_plan")
        self.is_token = self._alike.fits

    def read(self, event: bytes, answer: Answer) -> Seen:
        told = document(data_of(event) or event)
        if not told:
            return NOTHING
        if "choices" in told:  # others, too, have a /v1/chat
            token = chunks.read_chunk(told, answer)
        elif "event_type" in told or "is_finished" in told:
            token = read_v1_event(told, answer)
        else:
            token = _read_v2_event(told, answer)
        if token:
            self._alike.learn(event)
        return TOKEN if token else CHUNK

    def settle(self, answer: Answer) -> None:
        """Usage comes once, at the end."""


def read_body(body: dict[str, Any], answer: Answer) -> None:
    """Take in an answer that was not streamed, of either version."""
    if "choices" in body:
        chunks.read_completion(body, answer)
    elif isinstance(body.get("message"), dict):
        answer.response_id = name(body.get("id"))
        _stop(body.get("finish_reason"), answer)
        answer.complete = True
        answer.usage = _usage(part(body, "usage"))
    else:
        read_v1_body(body, answer)


def read_v1_body(body: dict[str, Any], answer: Answer) -> None:
    """Take in an answer of version 1: of chat, or of generate."""
    read_error(body, answer)
    answer.response_id = name(body.get("generation_id")) or name(body.get("response_id")) or name(body.get("id"))
    answer.model = answer.model or name(body.get("model"))
    answer.usage = _usage(part(body, "meta")) or _usage({"tokens": body.get("token_count")}) or answer.usage
    for told in (body, *parts(body, "generations")):
        _stop(told.get("finish_reason"), answer)
    answer.complete = answer.complete or "text" in body or "generations" in body


def read_v1_event(event: Mapping[str, Any], answer: Answer) -> bool:
    """Take in one event of version 1; whether a token is in it."""
    answer.response_id = answer.response_id or name(event.get("generation_id"))
    kind = event.get("event_type")
    if kind == "stream-end" or event.get("is_finished") is True:
        read_v1_body(part(event, "response"), answer)
        _stop(event.get("finish_reason"), answer)
        answer.complete = True
        return False
    delta = part(event, "tool_call_delta")
    return bool(
        kind in (None, "text-generation", "tool-calls-chunk", "tool-calls-generation")
        and (event.get("text") or event.get("tool_calls") or delta)
    )


def _read_v2_event(event: Mapping[str, Any], answer: Answer) -> bool:
    delta = part(event, "delta")
    message = part(delta, "message")
    match event.get("type"):
        case "message-start":
            answer.response_id = name(event.get("id"))
        case "content-delta" | "content-start":
            content = part(message, "content")
            return bool(content.get("text") or content.get("thinking"))
        case "tool-plan-delta":
            return bool(message.get("tool_plan"))
        case "tool-call-start":
            return True
        case "tool-call-delta":
            return bool(part(part(message, "tool_calls"), "function").get("arguments"))
        case "message-end":
            answer.complete = True
            _stop(delta.get("finish_reason"), answer)
            answer.usage = _usage(part(delta, "usage")) or answer.usage
            if delta.get("error"):
                answer.error_type = answer.error_type or "unnamed"
        case None:
            read_error(event, answer)
    return False


def _stop(reason: object, answer: Answer) -> None:
    told = identifier(reason)
    if told:
        answer.finish_reason, answer.complete = told, True
        if told == _TOXIC:
            answer.refused = "content_filter"
        elif told in _FAILURES:
            answer.error_type = told


def _usage(reported: Mapping[str, Any]) -> Usage | None:
    """What was read and written; what is billed leaves out the prompt that Cohere itself adds."""
    for kind in ("tokens", "billed_units"):
        counted = part(reported, kind)
        read = count(counted, "input_tokens", "prompt_tokens")
        written = count(counted, "output_tokens", "response_tokens")
        if read is not None or written is not None:
            return Usage(
                input_tokens=read,
                cached_tokens=count(reported, "cached_tokens"),
                output_tokens=written,
            )
    return None
