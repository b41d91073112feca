"""What OpenAI's chat completions and text completions say, as OpenAI and the many who speak its language write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from collectors.llm.clean import identifier, name
from collectors.llm.formats.alike import Alike
from collectors.llm.formats.base import Answer, Usage
from collectors.llm.formats.sse import data_of
from collectors.llm.formats.stream import CHUNK, NOTHING, ONLY_USAGE, TOKEN, Seen, read_error
from collectors.llm.formats.values import count, document, part, parts

# content: text, or Mistral's list of parts; reasoning: OpenRouter and Groq; reasoning_content: DeepSeek and vLLM.
TOKEN_FIELDS: Final = (
    "content",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "tool_calls",
    "function_call",
    "refusal",
    "audio",
    "images",
)
_FILTERED: Final = frozenset({"content_filter", "content_filtered", "safety"})


class Chunks:
    """The events of a stream. Nearly all hold one more piece of text, and are not parsed."""

    def __init__(self) -> None:
        self._alike = Alike(b"content", b"reasoning_content", b"reasoning", b"text", b"arguments", b"refusal", b"value")
        self.is_token = self._alike.fits
        self._provisional = False  # the last usage came beside a choice, as some servers tell it with every token

    def read(self, event: bytes, answer: Answer) -> Seen:
        data = data_of(event)
        if data.startswith(b"[DONE]"):
            answer.complete = True
            return NOTHING
        chunk = document(data)
        if not chunk:
            return NOTHING
        if read_chunk(chunk, answer):
            self._alike.learn(event)
            seen = TOKEN
        else:
            seen = ONLY_USAGE if chunk.get("choices") == [] and isinstance(chunk.get("usage"), dict) else CHUNK
        if answer.usage is not None:
            self._provisional = bool(chunk.get("choices")) if usage_in(chunk) else self._provisional
        return seen

    def settle(self, answer: Answer) -> None:
        if self._provisional and not answer.complete:
            answer.usage = None


def read_chunk(chunk: Mapping[str, Any], answer: Answer) -> bool:
    """Take in one chunk; whether a token is in it."""
    read_common(chunk, answer)
    token = False
    for choice in parts(chunk, "choices"):
        delta = part(choice, "delta", "message")
        token = token or bool(choice.get("text")) or any(delta.get(field) for field in TOKEN_FIELDS)
        _read_choice(choice, delta, answer)
        answer.complete = answer.complete or bool(choice.get("finish_reason"))
    if "choices" not in chunk and isinstance(chunk.get("value"), str):  # Writer's text completions, which tell no end
        answer.complete = True
        return bool(chunk["value"])
    return token


def read_completion(body: dict[str, Any], answer: Answer) -> None:
    """Take in an answer that was not streamed."""
    read_common(body, answer)
    if isinstance(body.get("choices"), list):
        answer.complete = True
    for choice in parts(body, "choices"):
        _read_choice(choice, part(choice, "message"), answer)


def read_common(body: Mapping[str, Any], answer: Answer) -> None:
    """What a chunk and a whole answer have in common. Azure's first chunk has an empty id and model."""
    if answer.response_id is None:
        answer.response_id = name(body.get("id"))
    if answer.model is None:
        answer.model = name(body.get("model")) or name(body.get("model_id"))
    usage = usage_in(body)
    tier = identifier(body.get("service_tier")) or identifier(part(body, "usage").get("service_tier"))
    answer.service_tier = tier or answer.service_tier
    answer.usage = usage or answer.usage
    read_error(body, answer)


def _read_choice(choice: Mapping[str, Any], delta: Mapping[str, Any], answer: Answer) -> None:
    reason = identifier(choice.get("finish_reason"))
    answer.finish_reason = reason or answer.finish_reason
    if reason in _FILTERED:
        answer.refused = "content_filter"
    elif delta.get("refusal"):
        answer.refused = answer.refused or "refusal"


def usage_in(body: Mapping[str, Any]) -> Usage | None:
    """The usage that a chunk or an answer carries; Groq's streams have it in a field of their own."""
    return read_usage(part(body, "usage")) or read_usage(part(part(body, "x_groq"), "usage"))


def read_usage(reported: Mapping[str, Any]) -> Usage | None:
    """The usage as all who speak this language report it; None where it says nothing of tokens."""
    read, written = count(reported, "prompt_tokens"), count(reported, "completion_tokens")
    if read is None and written is None:
        return None
    prompt = part(reported, "prompt_tokens_details", "prompt_token_details")
    completion = part(reported, "completion_tokens_details", "completion_token_details")
    reasoning = count(completion, "reasoning_tokens")
    # xAI and Gemini leave reasoning out of completion_tokens; the total gives them away.
    if (
        reasoning
        and read is not None
        and written is not None
        and reported.get("total_tokens") == read + written + reasoning
    ):
        written += reasoning
    cached = count(prompt, "cached_tokens")
    return Usage(
        input_tokens=read,
        # the others: DeepSeek's name, Mistral's, Moonshot's
        cached_tokens=count(reported, "prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens")
        if cached is None
        else cached,
        cache_write_tokens=count(prompt, "cache_write_tokens", "cache_creation_tokens"),
        output_tokens=written,
        reasoning_tokens=count(reported, "reasoning_tokens") if reasoning is None else reasoning,
        input_audio_tokens=count(prompt, "audio_tokens"),
        output_audio_tokens=count(completion, "audio_tokens"),
        cached_audio_tokens=count(part(prompt, "cached_tokens_details"), "audio_tokens"),
        web_searches=count(part(reported, "server_tool_use", "server_tool_use_details"), "web_search_requests"),
    )
