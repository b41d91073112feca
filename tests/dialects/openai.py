"""OpenAI: chat completions, with the reasoning of the servers that have it; legacy completions; embeddings; and Mistral."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.dialects.plan import TOOL, Dialect, Event, Plan, Request, arguments, sse

CREATED = 1_790_000_000
ALL = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


def usage(plan: Plan) -> dict[str, Any]:
    """Input includes what is cached, output includes reasoning."""
    return {
        "prompt_tokens": plan.input_tokens,
        "completion_tokens": plan.output_tokens,
        "total_tokens": plan.input_tokens + plan.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": plan.cached_tokens,
            "cache_write_tokens": plan.cache_write_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": plan.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def finish(plan: Plan) -> str:
    """The reason why the model stopped."""
    return "content_filter" if plan.filtered else "tool_calls" if plan.tool_chunks else "stop"


def head(request: Request, kind: str, prefix: str = "chatcmpl") -> dict[str, Any]:
    """What all chunks of an answer have in common."""
    return {
        "id": f"{prefix}-{request.plan.key}",
        "object": kind,
        "created": CREATED,
        "model": request.body.get("model"),
        "service_tier": "default",
        "system_fingerprint": "fp_local",
    }


def tool_call(text: str, first: bool = True) -> dict[str, Any]:
    """A tool call, or one more piece of it."""
    if not first:
        return {"index": 0, "function": {"arguments": text}}
    return {"index": 0, "id": "call_0", "type": "function", "function": {"name": TOOL, "arguments": text}}


def chat_stream(request: Request) -> Iterator[Event]:
    plan = request.plan
    asked = bool((request.body.get("stream_options") or {}).get("include_usage"))
    shared = head(request, "chat.completion.chunk") | ({"usage": None} if asked else {})
    called = False

    def chunk(delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return sse(shared | {"choices": [choice]})

    for piece in plan.pieces():
        match piece.kind:
            case "role":
                yield Event(piece.due_s, chunk({"role": "assistant", "content": "", "refusal": None}))
            case "reasoning":
                yield Event(piece.due_s, chunk({"reasoning_content": piece.text}), token=True)
            case "text":
                yield Event(piece.due_s, chunk({"content": piece.text}), token=True)
            case "refusal":
                yield Event(piece.due_s, chunk({"refusal": piece.text}), token=True)
            case "tool":
                yield Event(piece.due_s, chunk({"tool_calls": [tool_call(piece.text, not called)]}), token=True)
                called = True
            case "end":
                yield Event(piece.due_s, chunk({}, finish(plan)))
                if asked:
                    yield Event(piece.due_s, sse(shared | {"choices": [], "usage": usage(plan)}))
                yield Event(piece.due_s, sse("[DONE]"))


def chat_whole(request: Request) -> dict[str, Any]:
    plan = request.plan
    message: dict[str, Any] = {
        "role": "assistant",
        "content": plan.text("text") or None,
        "refusal": plan.text("refusal") or None,
    }
    if plan.reasoning_chunks:
        message["reasoning_content"] = plan.text("reasoning")
    if plan.tool_chunks:
        message["tool_calls"] = [tool_call(arguments(plan.text("tool")))]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish(plan)}
    return head(request, "chat.completion") | {"choices": [choice], "usage": usage(plan)}


def text_stream(request: Request) -> Iterator[Event]:
    plan = request.plan
    asked = bool((request.body.get("stream_options") or {}).get("include_usage"))
    shared = head(request, "text_completion", "cmpl") | ({"usage": None} if asked else {})

    def chunk(text: str, reason: str | None = None) -> bytes:
        return sse(shared | {"choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": reason}]})

    for piece in plan.pieces():
        if piece.kind == "end":
            yield Event(piece.due_s, chunk("", finish(plan)))
            if asked:
                yield Event(piece.due_s, sse(shared | {"choices": [], "usage": usage(plan)}))
            yield Event(piece.due_s, sse("[DONE]"))
        else:
            yield Event(piece.due_s, chunk(piece.text), token=bool(piece.text))


def text_whole(request: Request) -> dict[str, Any]:
    choice = {"index": 0, "text": request.plan.text("text"), "logprobs": None, "finish_reason": finish(request.plan)}
    return head(request, "text_completion", "cmpl") | {"choices": [choice], "usage": usage(request.plan)}


def embeddings(request: Request) -> dict[str, Any]:
    tokens = request.plan.input_tokens
    return {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25, 0.125]}],
        "model": request.body.get("model"),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def error(plan: Plan) -> dict[str, Any]:
    return {"error": {"message": "simulated", "type": plan.error_type, "param": None, "code": None}}


def mistral_usage(plan: Plan) -> dict[str, int]:
    total = plan.input_tokens + plan.output_tokens
    return {"prompt_tokens": plan.input_tokens, "completion_tokens": plan.output_tokens, "total_tokens": total}


def mistral_stream(request: Request) -> Iterator[Event]:
    """Usage comes with the last choice; reasoning is a part of the content; a tool call comes whole."""
    plan = request.plan
    shared = {key: value for key, value in head(request, "chat.completion.chunk", "mistral").items() if key in MISTRAL}

    def chunk(delta: dict[str, Any], reason: str | None = None, **more: Any) -> bytes:
        return sse(shared | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} | more)

    for piece in plan.pieces():
        match piece.kind:
            case "role":
                yield Event(piece.due_s, chunk({"role": "assistant", "content": ""}))
            case "reasoning":
                yield Event(piece.due_s, chunk({"content": [thinking(piece.text)]}), token=True)
            case "text" | "refusal":
                yield Event(piece.due_s, chunk({"content": piece.text}), token=True)
            case "tool":
                call = tool_call(arguments(piece.text))
                yield Event(piece.due_s, chunk({"content": "", "tool_calls": [call]}), token=True)
            case "end":
                yield Event(piece.due_s, chunk({"content": ""}, finish(plan), usage=mistral_usage(plan)))
                yield Event(piece.due_s, sse("[DONE]"))


def thinking(text: str) -> dict[str, Any]:
    """Magistral's way to tell its reasoning."""
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def mistral_whole(request: Request) -> dict[str, Any]:
    plan = request.plan
    told: list[dict[str, Any]] = [thinking(plan.text("reasoning"))] if plan.reasoning_chunks else []
    content = [*told, {"type": "text", "text": plan.text("text")}] if told else plan.text("text")
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if plan.tool_chunks:
        message["tool_calls"] = [tool_call(arguments(plan.text("tool")))]
    choice = {"index": 0, "message": message, "finish_reason": finish(plan)}
    shared = {key: value for key, value in head(request, "chat.completion", "mistral").items() if key in MISTRAL}
    return shared | {"choices": [choice], "usage": mistral_usage(plan)}


def mistral_error(plan: Plan) -> dict[str, Any]:
    return {"object": "error", "message": "simulated", "type": plan.error_type, "param": None, "code": None}


MISTRAL = ("id", "object", "created", "model")


def asks_for_stream(request: Request) -> bool:
    """Most say so in the body."""
    return request.body.get("stream") is True


CHAT = Dialect(
    "openai.chat",
    re.compile(r"^/v1/chat/completions$"),
    "text/event-stream; charset=utf-8",
    asks_for_stream,
    chat_stream,
    chat_whole,
    error,
    ALL,
)
COMPLETIONS = Dialect(
    "openai.completions",
    re.compile(r"^/v1/completions$"),
    "text/event-stream; charset=utf-8",
    asks_for_stream,
    text_stream,
    text_whole,
    error,
    ALL,
)
EMBEDDINGS = Dialect(
    "openai.embeddings",
    re.compile(r"^/v1/embeddings$"),
    "text/event-stream",
    lambda request: False,
    lambda request: iter(()),
    embeddings,
    error,
    ("input_tokens",),
)
MISTRAL_CHAT = Dialect(
    "mistral.chat",
    re.compile(r"^/mistral/v1/chat/completions$"),
    "text/event-stream; charset=utf-8",
    asks_for_stream,
    mistral_stream,
    mistral_whole,
    mistral_error,
    ("input_tokens", "output_tokens"),
)
