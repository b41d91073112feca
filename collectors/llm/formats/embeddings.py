"""Embeddings: a long list of numbers, and how many tokens they stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from collectors.llm.clean import identifier, name
from collectors.llm.formats.base import Answer, Asked, Reader, Usage
from collectors.llm.formats.openai import deployment
from collectors.llm.formats.paths import bedrock_model_in, model_in
from collectors.llm.formats.stream import BodyReader, read_error
from collectors.llm.formats.values import count, document, part

_SMALL_BYTES: Final = 4096
_WANTED: Final = (
    "usage",
    "model",
    "meta",
    "prompt_eval_count",
    "usageMetadata",
    "inputTextTokenCount",
    "error",
    "detail",
)
_DECODER: Final = json.JSONDecoder()


class OpenAIEmbeddings:
    """`POST .../embeddings`, as OpenAI, Azure, Mistral and others have it.

    Source: https://platform.openai.com/docs/api-reference/embeddings.
    """

    name = "openai.embeddings"
    operation = "embeddings"
    provider: str | None = None

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002 - spoken on any host
        return path.endswith("/embeddings") and not path.endswith("/api/embeddings")

    def asked(self, path: str, body: bytes) -> Asked:
        return Asked(model=name(document(body).get("model")) or deployment(path), max_output_tokens=0)

    def ask_for_usage(self, body: bytes) -> bytes | None:  # noqa: ARG002 - it always comes
        return None

    def reader(self, *, headers: Mapping[str, str], asked: Asked, hide_usage: bool = False) -> Reader:  # noqa: ARG002
        return BodyReader(read_embeddings, _outline)


class OllamaEmbeddings(OpenAIEmbeddings):
    """`POST /api/embed`. Source: https://docs.ollama.com/api/embed."""

    name = "ollama.embed"
    provider: str | None = "ollama"

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002
        return path in {"/api/embed", "/ollama/api/embed"}


class GoogleEmbeddings(OpenAIEmbeddings):
    """`POST .../models/MODEL:embedContent`. Source: https://ai.google.dev/api/embeddings."""

    name = "google.embed_content"
    provider: str | None = "google"

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002
        return path.endswith((":embedContent", ":batchEmbedContents"))

    def asked(self, path: str, body: bytes) -> Asked:  # noqa: ARG002
        return Asked(model=model_in(path), max_output_tokens=0)


class CohereEmbeddings(OpenAIEmbeddings):
    """`POST /v2/embed` and `/v1/embed`. Source: https://docs.cohere.com/reference/embed."""

    name = "cohere.embed"
    provider: str | None = "cohere"

    def matches(self, host: str, path: str) -> bool:
        return path.endswith("/v2/embed") or (path.endswith("/v1/embed") and "cohere" in host)


class BedrockEmbeddings(OpenAIEmbeddings):
    """`POST /model/MODEL/invoke` of a model that has `embed` in its name."""

    name = "bedrock.embed"
    provider: str | None = "aws"

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002
        return path.endswith("/invoke") and "/model/" in path and "embed" in path

    def asked(self, path: str, body: bytes) -> Asked:  # noqa: ARG002
        return Asked(model=bedrock_model_in(path), max_output_tokens=0)

    def reader(self, *, headers: Mapping[str, str], asked: Asked, hide_usage: bool = False) -> Reader:  # noqa: ARG002
        told = headers.get("x-amzn-bedrock-input-token-count") or ""
        in_head = {"inputTextTokenCount": int(told)} if told.isascii() and told.isdigit() else {}
        return BodyReader(lambda body, answer: read_embeddings({**in_head, **body}, answer), _outline)


def read_embeddings(body: dict[str, Any], answer: Answer) -> None:
    """Take in the counts of an answer; its output has no tokens."""
    read_error(body, answer)
    answer.response_id = name(body.get("id"))
    answer.model = name(body.get("model"))
    answer.complete = bool(body) and answer.error_type is None
    answer.service_tier = identifier(body.get("service_tier"))
    billed = part(part(body, "meta"), "billed_units")
    read = count(part(body, "usage"), "prompt_tokens", "input_tokens", "total_tokens")
    for source, key in (
        (body, "prompt_eval_count"),
        (body, "inputTextTokenCount"),
        (part(body, "usageMetadata"), "promptTokenCount"),
        (billed, "input_tokens"),
    ):
        read = count(source, key) if read is None else read
    if read is not None:
        answer.usage = Usage(input_tokens=read, output_tokens=0)


def _outline(text: bytes) -> dict[str, Any]:
    """What is wanted of a body, without its numbers where these are many.

    In JSON a name in plain quotes cannot stand inside a text: there the quotes would be escaped.
    """
    if len(text) <= _SMALL_BYTES:
        return document(text)
    found: dict[str, Any] = {}
    for key in _WANTED:
        at = text.rfind(b'"' + key.encode() + b'":')
        if at >= 0:
            try:
                piece = text[at + len(key) + 3 : at + len(key) + 3 + _SMALL_BYTES].decode("utf-8", "replace").lstrip()
                found[key], _ = _DECODER.raw_decode(piece)
            except (ValueError, RecursionError):
                continue
    return found
