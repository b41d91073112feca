"""Google Gemini: generateContent and streamGenerateContent, of the Gemini API and of Vertex AI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from collectors.llm.clean import identifier, name
from collectors.llm.formats.alike import Alike
from collectors.llm.formats.array import ObjectSplitter
from collectors.llm.formats.base import Answer, Asked, Reader, Usage
from collectors.llm.formats.paths import model_in
from collectors.llm.formats.sse import Splitter, data_of
from collectors.llm.formats.stream import CHUNK, NOTHING, TOKEN, BodyReader, Seen, StreamReader, read_error, streams
from collectors.llm.formats.values import count, document, part, parts, total

_STREAM: Final = ":streamGenerateContent"
_TOKENS: Final = ("text", "functionCall", "executableCode", "inlineData")
_FILTERS: Final = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "MODEL_ARMOR",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
    }
)


class GenerateContent:
    """`POST .../models/MODEL:generateContent` and `:streamGenerateContent`, as events (alt=sse) or as a JSON array.

    Source: https://ai.google.dev/api/generate-content.
    """

    name = "google.generate_content"
    operation = "generate_content"
    provider: str | None = "google"

    def matches(self, host: str, path: str) -> bool:  # noqa: ARG002 - the path says it all
        return path.endswith((":generateContent", _STREAM))

    def asked(self, path: str, body: bytes) -> Asked:
        request = document(body)
        config = part(request, "generationConfig", "generation_config")
        most = count(config, "maxOutputTokens", "max_output_tokens")
        return Asked(
            model=model_in(path),
            streamed=path.endswith(_STREAM),
            max_output_tokens=None if most is None else most * (count(config, "candidateCount") or 1),
            service_tier=identifier(request.get("serviceTier") or request.get("service_tier")),
        )

    def ask_for_usage(self, body: bytes) -> bytes | None:  # noqa: ARG002 - it always comes
        return None

    def reader(self, *, headers: Mapping[str, str], asked: Asked, hide_usage: bool = False) -> Reader:  # noqa: ARG002
        if streams(headers, asked):
            return StreamReader(Splitter(), Documents(), read_document)
        if asked.streamed:
            return StreamReader(ObjectSplitter(), Documents(), read_document)
        return BodyReader(read_document)


class Documents:
    """The documents of a stream. Those that differ in text and counts alone are not parsed, but for the last."""

    def __init__(self) -> None:
        self._alike = Alike(b"text", b"data")
        self._newest = b""

    def is_token(self, event: bytes) -> bool:
        if self._alike.fits(event):
            self._newest = event
            return True
        return False

    def read(self, event: bytes, answer: Answer) -> Seen:
        told = _document(event)
        if not told:
            return NOTHING
        self._take_newest(answer)
        read_document(told, answer)
        if any(_has_token(candidate) for candidate in parts(told, "candidates")):
            self._alike.learn(event)
            return TOKEN
        return CHUNK

    def settle(self, answer: Answer) -> None:
        self._take_newest(answer)
        if not answer.complete:  # the counts are those of the answer so far
            answer.usage = None

    def _take_newest(self, answer: Answer) -> None:
        if self._newest:
            read_document(_document(self._newest), answer)
            self._newest = b""


def _document(event: bytes) -> dict[str, Any]:
    """Google's own errors come as bare JSON in a stream of events, too."""
    return document(data_of(event)) or document(event[max(0, event.find(b"{")) :])


def _has_token(candidate: Mapping[str, Any]) -> bool:
    return any(piece.get(field) for piece in parts(part(candidate, "content"), "parts") for field in _TOKENS)


def read_document(body: dict[str, Any], answer: Answer) -> None:
    """Take in a whole answer, or one document of a stream."""
    read_error(body, answer)
    answer.response_id = answer.response_id or name(body.get("responseId"))
    answer.model = name(body.get("modelVersion")) or answer.model
    reported = part(body, "usageMetadata")
    answer.usage = _usage(reported) or answer.usage
    answer.service_tier = identifier(reported.get("serviceTier")) or _tier(reported) or answer.service_tier
    for candidate in parts(body, "candidates"):
        reason = identifier(candidate.get("finishReason"))
        if reason and reason != "FINISH_REASON_UNSPECIFIED":
            answer.finish_reason, answer.complete = reason, True
            if reason in _FILTERS:
                answer.refused = "content_filter"
    blocked = identifier(part(body, "promptFeedback").get("blockReason"))
    if blocked:
        answer.finish_reason, answer.complete, answer.refused = blocked, True, "content_filter"


def _tier(reported: Mapping[str, Any]) -> str | None:
    """The tier that Vertex AI calls a traffic type: ON_DEMAND_PRIORITY is `priority`."""
    kind = identifier(reported.get("trafficType")) or ""
    return kind.removeprefix("ON_DEMAND_").lower() if kind.startswith("ON_DEMAND_") else None


def _usage(reported: Mapping[str, Any]) -> Usage | None:
    """The usage as Google reports it: thoughts beside the candidates, what tools returned beside the prompt."""
    prompt, tools = count(reported, "promptTokenCount"), count(reported, "toolUsePromptTokenCount")
    written, thoughts = (
        count(reported, "candidatesTokenCount", "responseTokenCount"),
        count(reported, "thoughtsTokenCount"),
    )
    if prompt is None and written is None and thoughts is None:
        return None
    read, output = total(prompt, tools), total(written, thoughts)
    whole = count(reported, "totalTokenCount")
    if output is None and read is not None and whole is not None and whole >= read:
        output = whole - read
    return Usage(
        input_tokens=read,
        cached_tokens=count(reported, "cachedContentTokenCount"),
        output_tokens=output,
        reasoning_tokens=thoughts,
        input_audio_tokens=_audio(reported, "promptTokensDetails", "toolUsePromptTokensDetails"),
        cached_audio_tokens=_audio(reported, "cacheTokensDetails"),
        output_audio_tokens=_audio(reported, "candidatesTokensDetails"),
    )


def _audio(reported: Mapping[str, Any], *keys: str) -> int | None:
    return total(
        *(count(kind, "tokenCount") for key in keys for kind in parts(reported, key) if kind.get("modality") == "AUDIO")
    )
