"""OpenAI chat completions and text completions, on OpenAI, Azure and every server that speaks their language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from collectors.llm.clean import identifier, name
from collectors.llm.formats.base import Asked, Reader
from collectors.llm.formats.chunks import Chunks, read_completion
from collectors.llm.formats.sse import Splitter
from collectors.llm.formats.stream import reader
from collectors.llm.formats.values import count, document, part

_ASK: Final = b'"stream_options":{"include_usage":true},'


class ChatCompletions:
    """`POST .../chat/completions`, and the same under the names that Writer and watsonx have for it.

    Source: https://platform.openai.com/docs/api-reference/chat.
    """

    name = "openai.chat"
    operation = "chat"
    provider: str | None = None

    def matches(self, host: str, path: str) -> bool:
        return path.endswith(("/chat/completions", "/ml/v1/text/chat", "/ml/v1/text/chat_stream")) or (
            path == "/v1/chat" and host.endswith("writer.com")
        )

    def asked(self, path: str, body: bytes) -> Asked:
        return asked_of_completion(path, document(body))

    def ask_for_usage(self, body: bytes) -> bytes | None:
        opening = body.find(b"{") + 1
        if opening and b'"stream_options"' not in body:
            return body[:opening] + _ASK + body[opening:]  # the caller's own bytes stay as they are
        request = document(body)
        if not request:
            return None
        request["stream_options"] = {**part(request, "stream_options"), "include_usage": True}
        try:
            return json.dumps(request, allow_nan=False).encode()
        except ValueError:  # 1e999 came in as infinity, and would go out as no JSON
            return None

    def reader(self, *, headers: Mapping[str, str], asked: Asked, hide_usage: bool = False) -> Reader:
        return reader(
            headers,
            asked,
            stream=lambda: (Splitter(), Chunks()),
            read_body=read_completion,
            hide_usage=hide_usage,
        )


class TextCompletions(ChatCompletions):
    """`POST .../completions`, the older way. Source: https://platform.openai.com/docs/api-reference/completions."""

    name = "openai.completions"
    operation = "text_completion"

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002 - spoken on any host
        return path.endswith("/completions") and not path.endswith("/chat/completions")


def asked_of_completion(path: str, request: dict[str, Any]) -> Asked:
    """What a request in OpenAI's language asks for: `n` answers at once; Azure names the model in the path."""
    most = count(request, "max_completion_tokens", "max_tokens", "max_output_tokens")
    answers = max(count(request, "n") or 1, count(request, "best_of") or 1)
    return Asked(
        model=name(request.get("model")) or name(request.get("model_id")) or deployment(path),
        streamed=request.get("stream") is True or path.endswith("_stream"),
        wants_usage=part(request, "stream_options").get("include_usage") is True,
        max_output_tokens=None if most is None else most * answers,
        service_tier=identifier(request.get("service_tier")),
    )


def deployment(path: str) -> str | None:
    """The model that Azure has in the path.

    >>> deployment("/openai/deployments/my-gpt/chat/completions")
    'my-gpt'
    """
    _, found, rest = path.partition("/deployments/")
    return name(unquote(rest.partition("/")[0])) if found else None
