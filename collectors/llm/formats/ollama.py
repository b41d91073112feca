"""Ollama's own API: chat and generate, a JSON document a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from collectors.llm.clean import identifier, name
from collectors.llm.formats.alike import Alike
from collectors.llm.formats.base import Answer, Asked, Reader, Usage
from collectors.llm.formats.ndjson import LineSplitter
from collectors.llm.formats.stream import CHUNK, NOTHING, TOKEN, Seen, read_error, reader
from collectors.llm.formats.values import count, document, part

_TIME: Final = b'"created_at":"'
_TOKENS: Final = ("content", "thinking", "tool_calls", "images")


class OllamaChat:
    """`POST /api/chat`. Source: https://docs.ollama.com/api/chat."""

    name = "ollama.chat"
    operation = "chat"
    provider: str | None = "ollama"
    _paths: tuple[str, ...] = ("/api/chat", "/ollama/api/chat")

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002 - it runs anywhere
        return path in self._paths

    def asked(self, path: str, body: bytes) -> Asked:  # noqa: ARG002
        request = document(body)
        return Asked(
            model=name(request.get("model")),
            streamed=bool(request) and request.get("stream") is not False,
            max_output_tokens=count(part(request, "options"), "num_predict"),  # -1: as much as it likes
        )

    def ask_for_usage(self, body: bytes) -> bytes | None:  # noqa: ARG002 - it always comes
        return None

    def reader(self, *, headers: Mapping[str, str], asked: Asked, hide_usage: bool = False) -> Reader:  # noqa: ARG002
        return reader(headers, asked, stream=lambda: (LineSplitter(), Lines()), read_body=read_line)


class OllamaGenerate(OllamaChat):
    """`POST /api/generate`. Source: https://docs.ollama.com/api/generate."""

    name = "ollama.generate"
    operation = "text_completion"
    _paths = ("/api/generate", "/ollama/api/generate")


class Lines:
    """The lines of a stream. Nearly all hold one more piece of text, at a time of its own, and are not parsed."""

    def __init__(self) -> None:
        self._alike = Alike(b"content", b"response", b"thinking")
        self._time_at = 0  # where the time stands in a line

    def is_token(self, event: bytes) -> bool:
        return self._time_at > 0 and self._alike.fits(self._timeless(event))

    def read(self, event: bytes, answer: Answer) -> Seen:
        line = document(event)
        if not line:
            return NOTHING
        read_line(line, answer)
        message = part(line, "message")
        token = line.get("response") or line.get("thinking") or any(message.get(field) for field in _TOKENS)
        if not token:
            return CHUNK
        if (found := event.find(_TIME)) > 0:
            self._time_at = found + len(_TIME)
            self._alike.learn(self._timeless(event))
        return TOKEN

    def _timeless(self, event: bytes) -> bytes:
        return event[: self._time_at] + event[event.find(b'"', self._time_at) :]

    def settle(self, answer: Answer) -> None:
        """Usage comes once, at the end."""


def read_line(line: dict[str, Any], answer: Answer) -> None:
    """Take in one line, or a whole answer."""
    read_error(line, answer)
    answer.model = answer.model or name(line.get("model"))
    if line.get("done") is True:
        answer.complete = True
        answer.finish_reason = identifier(line.get("done_reason"))
        read, written = count(line, "prompt_eval_count"), count(line, "eval_count")
        if read is not None or written is not None:
            answer.usage = Usage(input_tokens=read, output_tokens=written)
