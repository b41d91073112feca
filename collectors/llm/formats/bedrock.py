"""Amazon Bedrock: converse and invoke, whole or as AWS's binary event stream."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Protocol

from collectors.llm.clean import identifier
from collectors.llm.formats import bedrock_models as models
from collectors.llm.formats.alike import Alike
from collectors.llm.formats.base import Answer, Asked, Reader, Usage
from collectors.llm.formats.eventstream import MessageSplitter, content, is_whole, read_message
from collectors.llm.formats.paths import bedrock_model_in
from collectors.llm.formats.stream import CHUNK, NOTHING, TOKEN, ReadBody, Seen, reader
from collectors.llm.formats.values import count, document, part

_CONVERSE: Final = ("/converse", "/converse-stream")
_INVOKE: Final = ("/invoke", "/invoke-with-response-stream")
_ERROR_HEADER: Final = "x-amzn-errortype"
_MOST: Final = ("max_tokens", "max_completion_tokens", "max_tokens_to_sample", "max_gen_len", "maxTokens")


class Converse:
    """`POST /model/MODEL/converse` and `/converse-stream`.

    Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html.
    """

    name = "bedrock.converse"
    operation = "chat"
    provider: str | None = "aws"

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002 - the path says it all
        return path.endswith(_CONVERSE) and "/model/" in path

    def asked(self, path: str, body: bytes) -> Asked:
        request = document(body)
        return Asked(
            model=bedrock_model_in(path),
            streamed=path.endswith("-stream"),
            max_output_tokens=count(part(request, "inferenceConfig"), "maxTokens"),
            service_tier=identifier(part(request, "serviceTier").get("type")),
        )

    def ask_for_usage(self, body: bytes) -> bytes | None:  # noqa: ARG002 - it always comes
        return None

    def reader(self, *, headers: Mapping[str, str], asked: Asked, hide_usage: bool = False) -> Reader:  # noqa: ARG002
        return _reader(headers, asked, models.Nova(), models.read_converse)


class Invoke(Converse):
    """`POST /model/MODEL/invoke` and `/invoke-with-response-stream`: what is inside is the model's own language.

    Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html.
    """

    name = "bedrock.invoke"

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002
        return path.endswith(_INVOKE) and "/model/" in path

    def asked(self, path: str, body: bytes) -> Asked:
        request = document(body)
        nested = part(request, "textGenerationConfig", "inferenceConfig")
        most = count(request, *_MOST)
        return Asked(
            model=bedrock_model_in(path),
            streamed=path.endswith("-stream"),
            max_output_tokens=count(nested, "maxTokenCount", "maxTokens", "max_new_tokens") if most is None else most,
        )

    def reader(self, *, headers: Mapping[str, str], asked: Asked, hide_usage: bool = False) -> Reader:  # noqa: ARG002
        return _reader(headers, asked, models.AnyModel(), models.read_invoked)


class Payloads(Protocol):
    """What the payloads of one stream mean."""

    def read(self, payload: dict[str, Any], answer: Answer) -> bool:
        """Take in one payload; whether a token is in it."""
        ...

    def settle(self, answer: Answer) -> None:
        """The stream has ended."""
        ...


class BinaryEvents:
    """The messages of AWS's event stream, and the exceptions in it.

    Most of converse hold one more piece of text, and are not parsed; those of invoke are packed, and have to be.
    """

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self._alike = Alike(b"text", b"input")

    def is_token(self, event: bytes) -> bool:
        return self._alike.fits(content(event)) and is_whole(event)

    def read(self, event: bytes, answer: Answer) -> Seen:
        message = read_message(event)
        if message is None:
            return NOTHING
        headers, told = message
        kind = headers.get(":message-type", "event")
        if kind != "event":
            code = headers.get(":exception-type") or headers.get(":error-code")
            answer.error_type = identifier(code) or "unnamed"
            return CHUNK
        payload = document(told)
        packed = payload.get("bytes")
        if isinstance(packed, str):
            payload = document(base64.b64decode(packed))
        if not self._payloads.read(payload, answer):
            return CHUNK
        if packed is None:
            self._alike.learn(content(event))
        return TOKEN

    def settle(self, answer: Answer) -> None:
        self._payloads.settle(answer)


def _reader(headers: Mapping[str, str], asked: Asked, payloads: Payloads, read_body: ReadBody) -> Reader:
    return reader(
        headers,
        asked,
        stream=lambda: (MessageSplitter(), BinaryEvents(payloads)),
        read_body=partial(_read_body, headers, read_body),
    )


def _read_body(headers: Mapping[str, str], read_body: ReadBody, body: dict[str, Any], answer: Answer) -> None:
    """Some counts and the kind of an error come in the head of the response."""
    read_body(body, answer)
    told = headers.get(_ERROR_HEADER) or body.get("__type")
    if told:
        answer.error_type = identifier(str(told).partition(":")[0].rpartition("#")[2]) or "unnamed"
    answer.service_tier = identifier(headers.get("x-amzn-bedrock-service-tier")) or answer.service_tier
    if answer.usage is None:
        answer.usage = _usage_in_head(headers)
    answer.complete = answer.complete or answer.usage is not None


def _usage_in_head(headers: Mapping[str, str]) -> Usage | None:
    def told(kind: str) -> int | None:
        value = headers.get(f"x-amzn-bedrock-{kind}-token-count") or ""
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None  # a bigint

    return models.usage_of(
        told("input"), told("output"), told("cache-read-input"), told("cache-write-input"), long=None
    )
