"""Anthropic messages, at Anthropic and at those who serve them under the same or their own paths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from collectors.llm.clean import identifier, name
from collectors.llm.formats.alike import Alike
from collectors.llm.formats.base import Answer, Asked, Reader, Usage
from collectors.llm.formats.paths import model_in
from collectors.llm.formats.sse import Splitter, data_of
from collectors.llm.formats.stream import CHUNK, NOTHING, TOKEN, Seen, read_error, reader
from collectors.llm.formats.values import count, document, part, total

_VERTEX: Final = (":rawPredict", ":streamRawPredict")
_TOKENS: Final = ("text", "thinking", "partial_json")
_STARTS: Final = ("tool_use", "server_tool_use", "mcp_tool_use", "redacted_thinking")


class Messages:
    """`POST .../v1/messages`, Vertex AI's paths for it, and the old `/v1/complete`, which never tells its usage.

    Source: https://docs.anthropic.com/en/api/messages.
    """

    name = "anthropic.messages"
    operation = "chat"
    provider: str | None = "anthropic"

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002 - spoken on any host
        return path.endswith(("/v1/messages", "/v1/complete")) or (
            path.endswith(_VERTEX) and "/anthropic/models/" in path
        )

    def asked(self, path: str, body: bytes) -> Asked:
        request = document(body)
        return Asked(
            model=name(request.get("model")) or model_in(path),
            streamed=request.get("stream") is True or path.endswith(_VERTEX[1]),
            max_output_tokens=count(request, "max_tokens", "max_tokens_to_sample"),
            service_tier=identifier(request.get("service_tier")),
        )

    def ask_for_usage(self, body: bytes) -> bytes | None:  # noqa: ARG002 - it always comes
        return None

    def reader(self, *, headers: Mapping[str, str], asked: Asked, hide_usage: bool = False) -> Reader:  # noqa: ARG002
        return reader(headers, asked, stream=lambda: (Splitter(), Events()), read_body=read_message)


class Events:
    """The events of a stream. Nearly all hold one more piece of text, and are not parsed."""

    def __init__(self) -> None:
        self._alike = Alike(b"text", b"thinking", b"partial_json", b"completion")
        self.is_token = self._alike.fits
        self._told = Told()

    def read(self, event: bytes, answer: Answer) -> Seen:
        data = data_of(event)
        told = document(data)
        if not told:
            return NOTHING
        token = self._told.read(told, answer)
        if token:
            self._alike.learn(event)
        return TOKEN if token else NOTHING if told.get("type") == "ping" else CHUNK

    def settle(self, answer: Answer) -> None:
        self._told.settle(answer)


class Told:
    """What the events of one message have told so far; its usage comes in two pieces, the second of them cumulative."""

    def __init__(self) -> None:
        self._usage: dict[str, Any] = {}

    def read(self, event: Mapping[str, Any], answer: Answer) -> bool:
        """Take in one event; whether a token is in it."""
        match event.get("type"):
            case "content_block_delta":
                delta = part(event, "delta")
                return any(delta.get(field) for field in _TOKENS)
            case "content_block_start":
                block = part(event, "content_block")
                return block.get("type") in _STARTS or any(block.get(field) for field in _TOKENS)
            case "message_start":
                message = part(event, "message")
                answer.response_id = answer.response_id or name(message.get("id"))
                answer.model = answer.model or name(message.get("model"))
                self._take_usage(part(message, "usage"), answer)
            case "message_delta":
                self._take_usage(part(event, "usage"), answer)
                _read_stop(part(event, "delta"), answer)
            case "message_stop":
                answer.complete = True
            case "completion":
                answer.response_id = answer.response_id or name(event.get("id"))
                answer.model = answer.model or name(event.get("model"))
                _read_stop(event, answer)
                return bool(event.get("completion"))
            case _:
                read_error(event, answer)
        return False

    def settle(self, answer: Answer) -> None:
        """The usage of the start is a guess at the output: a message that was cut off has none."""
        if not answer.complete:
            answer.usage = None

    def _take_usage(self, reported: Mapping[str, Any], answer: Answer) -> None:
        self._usage.update({key: value for key, value in reported.items() if value is not None})
        answer.service_tier = identifier(self._usage.get("service_tier")) or answer.service_tier
        answer.usage = read_usage(self._usage) or answer.usage


def read_message(body: dict[str, Any], answer: Answer) -> None:
    """Take in a message that was not streamed."""
    read_error(body, answer)
    answer.model = name(body.get("model"))
    if body.get("type") in ("message", "completion"):
        answer.response_id = name(body.get("id"))
        _read_stop(body, answer)
        answer.complete = True
        usage = part(body, "usage")
        answer.service_tier = identifier(usage.get("service_tier"))
        answer.usage = read_usage(usage)


def _read_stop(told: Mapping[str, Any], answer: Answer) -> None:
    reason = identifier(told.get("stop_reason"))
    if reason:
        answer.finish_reason, answer.complete = reason, True
        if reason == "refusal":
            answer.refused = "refusal"


def read_usage(reported: Mapping[str, Any]) -> Usage | None:
    """The usage as Anthropic reports it: its input tokens are those that touch no cache."""
    fresh, written = count(reported, "input_tokens"), count(reported, "output_tokens")
    if fresh is None and written is None:
        return None
    kept = part(reported, "cache_creation")
    long, short = count(kept, "ephemeral_1h_input_tokens"), count(kept, "ephemeral_5m_input_tokens")
    cached = count(reported, "cache_read_input_tokens")
    cache_write = count(reported, "cache_creation_input_tokens")
    if cache_write is None:
        cache_write = total(long, short)
    return Usage(
        input_tokens=total(fresh, cached, cache_write),
        cached_tokens=cached,
        cache_write_tokens=cache_write,
        output_tokens=written,
        reasoning_tokens=count(part(reported, "output_tokens_details"), "thinking_tokens"),
        cache_write_1h_tokens=long,
        web_searches=count(part(reported, "server_tool_use"), "web_search_requests"),
    )
