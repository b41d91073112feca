"""Ollama's chat: one JSON document a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.dialects.plan import TOOL, Dialect, Event, Plan, Request


def head(request: Request) -> dict[str, Any]:
    return {"model": request.body.get("model"), "created_at": "2026-11-01T12:00:00.000000Z"}


def ending(plan: Plan) -> dict[str, Any]:
    return {
        "done": True,
        "done_reason": "stop",
        "total_duration": 500_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": plan.input_tokens,
        "prompt_eval_duration": 1_000_000,
        "eval_count": plan.output_tokens,
        "eval_duration": 1_000_000,
    }


def call(text: str) -> dict[str, Any]:
    return {"function": {"name": TOOL, "arguments": {"q": text}}}


def stream(request: Request) -> Iterator[Event]:
    for piece in request.plan.pieces():
        message: dict[str, Any] = {"role": "assistant", "content": ""}
        match piece.kind:
            case "reasoning":
                message["thinking"] = piece.text
            case "text" | "refusal":
                message["content"] = piece.text
            case "tool":
                message["tool_calls"] = [call(piece.text)]
        end = ending(request.plan) if piece.kind == "end" else {"done": False}
        line = json.dumps(head(request) | {"message": message} | end, separators=(",", ":")).encode() + b"\n"
        yield Event(piece.due_s, line, token=bool(piece.text))


def whole(request: Request) -> dict[str, Any]:
    plan = request.plan
    message: dict[str, Any] = {"role": "assistant", "content": plan.text("text")}
    if plan.reasoning_chunks:
        message["thinking"] = plan.text("reasoning")
    if plan.tool_chunks:
        message["tool_calls"] = [call(plan.text("tool"))]
    return head(request) | {"message": message} | ending(plan)


def error(plan: Plan) -> dict[str, Any]:
    return {"error": "simulated"}


CHAT = Dialect(
    "ollama.chat",
    re.compile(r"^/api/chat$"),
    "application/x-ndjson",
    lambda request: request.body.get("stream", True) is not False,
    stream,
    whole,
    error,
    ("input_tokens", "output_tokens"),
)
