"""Anthropic messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.dialects.openai import ALL, asks_for_stream
from tests.dialects.plan import TOOL, Dialect, Event, Plan, Request, sse


def usage(plan: Plan, *, output: int, final: bool = True) -> dict[str, Any]:
    """Input tokens are those that are neither read from nor written to a cache."""
    told: dict[str, Any] = {
        "input_tokens": plan.input_tokens - plan.cached_tokens - plan.cache_write_tokens,
        "cache_creation_input_tokens": plan.cache_write_tokens,
        "cache_read_input_tokens": plan.cached_tokens,
        "output_tokens": output,
    }
    if final:
        told["output_tokens_details"] = {"thinking_tokens": plan.reasoning_tokens}
    return told


def created(plan: Plan) -> dict[str, Any]:
    """What only a message says of its cache and its tier."""
    cache = {"ephemeral_5m_input_tokens": plan.cache_write_tokens, "ephemeral_1h_input_tokens": 0}
    return {"cache_creation": cache, "service_tier": "standard"}


def message(request: Request, *, content: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "id": f"msg_{request.plan.key}",
        "type": "message",
        "role": "assistant",
        "model": request.body.get("model"),
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
    } | more


def stop(plan: Plan) -> str:
    return "refusal" if plan.filtered or plan.refuses else "tool_use" if plan.tool_chunks else "end_turn"


def opening(kind: str) -> dict[str, Any]:
    """A block as it begins."""
    return {
        "thinking": {"type": "thinking", "thinking": "", "signature": ""},
        "text": {"type": "text", "text": ""},
        "tool_use": {"type": "tool_use", "id": "toolu_0", "name": TOOL, "input": {}},
    }[kind]


def stream(request: Request) -> Iterator[Event]:
    for due_s, event, token in events(request):
        yield Event(due_s, sse(event, event["type"]), token)


def events(request: Request) -> Iterator[tuple[float, dict[str, Any], bool]]:  # noqa: C901, PLR0912 - a case a kind
    """The events: when each is due, what it says, whether a token is in it."""
    plan = request.plan
    index, block = 0, ""
    for piece in plan.pieces():
        due = piece.due_s
        match piece.kind:
            case "role":
                begun = message(request, content=[], usage=usage(plan, output=1, final=False) | created(plan))
                yield due, {"type": "message_start", "message": begun}, False
                yield due, {"type": "ping"}, False
                if plan.reasoning_chunks:
                    block = "thinking"
                    yield due, {"type": "content_block_start", "index": 0, "content_block": opening(block)}, False
                continue
            case "reasoning":
                wanted, delta = "thinking", {"type": "thinking_delta", "thinking": piece.text}
            case "text" | "refusal":
                wanted, delta = "text", {"type": "text_delta", "text": piece.text}
            case "tool":
                wanted, delta = "tool_use", {"type": "input_json_delta", "partial_json": piece.text}
            case "end":
                wanted, delta = "", {}
        if wanted != block:
            if block:
                if block == "thinking":
                    signed = {"type": "signature_delta", "signature": "c2lnbmVk"}
                    yield due, {"type": "content_block_delta", "index": index, "delta": signed}, False
                yield due, {"type": "content_block_stop", "index": index}, False
                index += 1
            block = wanted
            if wanted:
                start = {"type": "content_block_start", "index": index, "content_block": opening(wanted)}
                yield due, start, wanted == "tool_use"
        if delta:
            yield due, {"type": "content_block_delta", "index": index, "delta": delta}, True
        else:
            ending = {"stop_reason": stop(plan), "stop_sequence": None}
            told = usage(plan, output=plan.output_tokens)
            yield due, {"type": "message_delta", "delta": ending, "usage": told}, False
            yield due, {"type": "message_stop"}, False


def whole(request: Request) -> dict[str, Any]:
    plan = request.plan
    content: list[dict[str, Any]] = []
    if plan.reasoning_chunks:
        content.append({"type": "thinking", "thinking": plan.text("reasoning"), "signature": "c2lnbmVk"})
    if plan.text_chunks:
        content.append({"type": "text", "text": plan.text("text") or plan.text("refusal")})
    if plan.tool_chunks:
        content.append(opening("tool_use") | {"input": {"q": plan.text("tool")}})
    told = usage(plan, output=plan.output_tokens) | created(plan)
    return message(request, content=content, stop_reason=stop(plan), usage=told)


def error(plan: Plan) -> dict[str, Any]:
    told = {"type": plan.error_type, "message": "simulated"}
    return {"type": "error", "error": told, "request_id": f"req_{plan.key}"}


MESSAGES = Dialect(
    "anthropic.messages",
    re.compile(r"^/v1/messages$"),
    "text/event-stream; charset=utf-8",
    asks_for_stream,
    stream,
    whole,
    error,
    ALL,
)
