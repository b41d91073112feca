"""Cohere, version 2 of its chat."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.dialects.openai import asks_for_stream
from tests.dialects.plan import TOOL, Dialect, Event, Plan, Request, arguments, sse


def usage(plan: Plan) -> dict[str, Any]:
    """What is billed can be less than what was read."""
    return {
        "billed_units": {"input_tokens": plan.input_tokens - 7, "output_tokens": plan.output_tokens},
        "tokens": {"input_tokens": plan.input_tokens, "output_tokens": plan.output_tokens},
        "cached_tokens": plan.cached_tokens,
    }


def finish(plan: Plan) -> str:
    return "ERROR" if plan.filtered else "TOOL_CALL" if plan.tool_chunks else "COMPLETE"


def stream(request: Request) -> Iterator[Event]:
    plan = request.plan
    index, last = -1, ""

    def event(due_s: float, kind: str, *, token: bool = False, **fields: Any) -> Event:
        return Event(due_s, sse({"type": kind, **fields}, kind), token)

    for piece in plan.pieces():
        due, opens = piece.due_s, piece.kind != last
        if opens and last not in {"", "role"}:
            yield event(due, "tool-call-end" if last == "tool" else "content-end", index=index)
        index += opens and piece.kind not in {"role", "end"}
        last = piece.kind
        match piece.kind:
            case "role":
                message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
                yield event(due, "message-start", id=f"cohere-{plan.key}", delta={"message": message})
            case "reasoning" | "text" | "refusal":
                kind = "thinking" if piece.kind == "reasoning" else "text"
                if opens:
                    content = {"type": kind, kind: ""}
                    yield event(due, "content-start", index=index, delta={"message": {"content": content}})
                content = {kind: piece.text}
                yield event(due, "content-delta", token=True, index=index, delta={"message": {"content": content}})
            case "tool":
                function = {"arguments": piece.text}
                if opens:
                    call = {"id": "call_0", "type": "function", "function": {"name": TOOL, "arguments": ""}}
                    told = {"message": {"tool_calls": call}}
                    yield event(due, "tool-call-start", token=True, index=index, delta=told)
                told = {"message": {"tool_calls": {"function": function}}}
                yield event(due, "tool-call-delta", token=True, index=index, delta=told)
            case "end":
                yield event(due, "message-end", delta={"finish_reason": finish(plan), "usage": usage(plan)})


def whole(request: Request) -> dict[str, Any]:
    plan = request.plan
    content: list[dict[str, Any]] = []
    if plan.reasoning_chunks:
        content.append({"type": "thinking", "thinking": plan.text("reasoning")})
    if plan.text_chunks:
        content.append({"type": "text", "text": plan.text("text")})
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if plan.tool_chunks:
        function = {"name": TOOL, "arguments": arguments(plan.text("tool"))}
        message["tool_calls"] = [{"id": "call_0", "type": "function", "function": function}]
    return {"id": f"cohere-{plan.key}", "finish_reason": finish(plan), "message": message, "usage": usage(plan)}


def error(plan: Plan) -> dict[str, Any]:
    return {"id": f"cohere-{plan.key}", "message": "simulated"}


CHAT = Dialect(
    "cohere.chat",
    re.compile(r"^/v2/chat$"),
    "text/event-stream",
    asks_for_stream,
    stream,
    whole,
    error,
    ("input_tokens", "cached_tokens", "output_tokens"),
)
