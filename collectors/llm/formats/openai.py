"""OpenAI chat completions, as OpenAI and the many servers that speak its language write them."""

from __future__ import annotations

import json
from typing import Any, Final

from collectors.llm.clean import identifier, name
from collectors.llm.formats.base import Answer, Asked, Reader, Usage
from collectors.llm.formats.sse import LIMIT_BYTES, Splitter, data_of

# content: text, or Mistral's list of parts; reasoning: OpenRouter and Groq; reasoning_content: DeepSeek and vLLM.
TOKEN_FIELDS: Final = ("content", "reasoning", "reasoning_content", "tool_calls", "function_call", "refusal", "audio")
_ASK: Final = b'"stream_options":{"include_usage":true},'
_MOST_ASIDE: Final = 64
_LARGEST: Final = 2**63 - 1


class ChatCompletions:
    """`POST .../chat/completions`. Source: https://platform.openai.com/docs/api-reference/chat."""

    operation = "chat"

    def matches(self, path: str) -> bool:
        return path.endswith("/chat/completions")

    def asked(self, body: bytes) -> Asked:
        request = _object(body)
        options = request.get("stream_options")
        return Asked(
            model=name(request.get("model")),
            streamed=request.get("stream") is True,
            wants_usage=isinstance(options, dict) and options.get("include_usage") is True,
        )

    def ask_for_usage(self, body: bytes) -> bytes | None:
        opening = body.find(b"{") + 1
        if opening and b'"stream_options"' not in body:
            return body[:opening] + _ASK + body[opening:]  # the caller's own bytes stay as they are
        request = _object(body)
        if not request:
            return None
        options = request.get("stream_options")
        request["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        try:
            return json.dumps(request, allow_nan=False).encode()
        except ValueError:  # 1e999 came in as infinity, and would go out as no JSON
            return None

    def reader(self, *, events: bool, hide_usage: bool = False) -> Reader:
        return EventReader(hide_usage=hide_usage) if events else BodyReader()


class EventReader:
    """Reads a streamed response.

    Most events hold a piece of text and nothing else, and only the time of the last one matters: those are set aside,
    and of each lot only the newest that has a token is parsed.
    """

    def __init__(self, *, hide_usage: bool = False) -> None:
        self.answer = Answer()
        self._hide_usage = hide_usage
        self._events = Splitter()
        self._aside: list[tuple[bytes, float]] = []

    def feed(self, data: bytes, at: float) -> bytes:
        return self._show(self._events.feed(data), at)

    def rest(self, at: float) -> bytes:
        left = self._events.rest()
        shown = self._show([left], at) if left else b""
        self._settle()
        return shown

    def _show(self, events: list[bytes], at: float) -> bytes:
        shown = []
        for event in events:
            try:
                only_usage = self._read(event, at)
            except Exception:  # noqa: BLE001 - whatever happens here, the application gets its bytes
                self.answer.unread += 1
                only_usage = False
            if not (only_usage and self._hide_usage):
                shown.append(event)
        return b"".join(shown)

    def _read(self, event: bytes, at: float) -> bool:
        """Take in one event; whether all it carries is usage."""
        if self._can_wait(event):
            self._aside.append((event, at))
            if len(self._aside) >= _MOST_ASIDE:
                self._settle()
            return False
        self._settle()
        data = data_of(event)
        if data.startswith(b"[DONE]"):
            self.answer.complete = True
            return False
        chunk = _object(data)
        if not chunk:
            return False
        answer = self.answer
        if answer.first_chunk_at is None:
            answer.first_chunk_at = at
        _read_common(chunk, answer)
        choices = chunk.get("choices")
        if isinstance(choices, list):
            for choice in choices:
                if isinstance(choice, dict):
                    self._read_choice(choice, at)
        return choices == [] and isinstance(chunk.get("usage"), dict)

    def _read_choice(self, choice: dict[str, Any], at: float) -> None:
        answer = self.answer
        if _has_token(choice):
            if answer.first_token_at is None:
                answer.first_token_at = at
            answer.last_token_at = at
        if choice.get("finish_reason"):
            answer.finish_reason = identifier(choice["finish_reason"])
            answer.complete = True

    def _can_wait(self, event: bytes) -> bool:
        """Whether the event can tell nothing but that a token came. A quote inside a JSON string is escaped."""
        answer = self.answer
        return (
            answer.first_token_at is not None
            and answer.response_id is not None
            and answer.model is not None
            and event.startswith(b"data:")
            and event.count(b'"finish_reason"') == event.count(b'"finish_reason":null') > 0
            and event.count(b'"usage"') == event.count(b'"usage":null')
            and b'"error"' not in event
            and b'"detail"' not in event
        )

    def _settle(self) -> None:
        for event, at in reversed(self._aside):
            choices = _object(data_of(event)).get("choices")
            if isinstance(choices, list) and any(isinstance(choice, dict) and _has_token(choice) for choice in choices):
                self.answer.last_token_at = at
                break
        self._aside.clear()


class BodyReader:
    """Reads a response that comes as one JSON document: an answer that was not streamed, or an error."""

    def __init__(self) -> None:
        self.answer = Answer()
        self._body = bytearray()

    def feed(self, data: bytes, at: float) -> bytes:  # noqa: ARG002 - when it came matters to streams only
        if len(self._body) <= LIMIT_BYTES:
            self._body += data
        return data

    def rest(self, at: float) -> bytes:  # noqa: ARG002
        if len(self._body) > LIMIT_BYTES:
            return b""
        body = _object(bytes(self._body))
        _read_common(body, self.answer)
        choices = body.get("choices")
        if isinstance(choices, list):
            self.answer.complete = True
            for choice in choices:
                if isinstance(choice, dict):
                    self.answer.finish_reason = identifier(choice.get("finish_reason")) or self.answer.finish_reason
        return b""


def _has_token(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta")
    return bool((isinstance(delta, dict) and any(delta.get(field) for field in TOKEN_FIELDS)) or choice.get("text"))


def _read_common(body: dict[str, Any], answer: Answer) -> None:
    """What a chunk and a whole body have in common. Azure's first chunk has an empty id and model."""
    if answer.response_id is None:
        answer.response_id = name(body.get("id"))
    if answer.model is None:
        answer.model = name(body.get("model"))
    answer.service_tier = identifier(body.get("service_tier")) or answer.service_tier
    groq = body.get("x_groq")
    usage = _usage(body.get("usage")) or (_usage(groq.get("usage")) if isinstance(groq, dict) else None)
    answer.usage = usage or answer.usage
    if body.get("error") or body.get("object") == "error" or body.get("detail"):
        answer.error_type = _error_type(body)


def _usage(reported: object) -> Usage | None:
    if not isinstance(reported, dict):
        return None
    read, written = _count(reported.get("prompt_tokens")), _count(reported.get("completion_tokens"))
    if read is None and written is None:
        return None
    prompt = _details(reported, "prompt_tokens_details")
    completion = _details(reported, "completion_tokens_details")
    reasoning = _count(completion.get("reasoning_tokens"))
    # xAI and Gemini leave reasoning out of completion_tokens; the total gives them away.
    if (
        reasoning
        and read is not None
        and written is not None
        and reported.get("total_tokens") == read + written + reasoning
    ):
        written += reasoning
    cached = _count(prompt.get("cached_tokens"))
    return Usage(
        input_tokens=read,
        cached_tokens=_count(reported.get("prompt_cache_hit_tokens")) if cached is None else cached,  # DeepSeek's name
        cache_write_tokens=_count(prompt.get("cache_write_tokens")),
        output_tokens=written,
        reasoning_tokens=reasoning,
        audio=bool(_count(prompt.get("audio_tokens")) or _count(completion.get("audio_tokens"))),
    )


def _details(reported: dict[str, Any], key: str) -> dict[str, Any]:
    details = reported.get(key)
    return details if isinstance(details, dict) else {}


def _count(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST else None


def _error_type(body: dict[str, Any]) -> str:
    error = body.get("error")
    told = error if isinstance(error, dict) else body
    codes = (identifier(told.get(key)) for key in ("type", "code", "status"))
    return next((code for code in codes if code), "unnamed")


def _object(text: bytes) -> dict[str, Any]:
    """The JSON object in `text`; empty where there is none. Gemini wraps its errors in a list."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else {}
