"""OpenAI's Responses API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import Any

from tests.dialects.openai import ALL, CREATED, asks_for_stream, error
from tests.dialects.plan import TOOL, Dialect, Event, Plan, Request, arguments, sse


def usage(plan: Plan) -> dict[str, Any]:
    return {
        "input_tokens": plan.input_tokens,
        "input_tokens_details": {"cached_tokens": plan.cached_tokens, "cache_write_tokens": plan.cache_write_tokens},
        "output_tokens": plan.output_tokens,
        "output_tokens_details": {"reasoning_tokens": plan.reasoning_tokens},
        "total_tokens": plan.input_tokens + plan.output_tokens,
    }


def response(request: Request, *, done: bool) -> dict[str, Any]:
    """The response object, as it is at the start and at the end."""
    plan = request.plan
    return {
        "id": f"resp_{plan.key}",
        "object": "response",
        "created_at": CREATED,
        "status": ("incomplete" if plan.filtered else "completed") if done else "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "content_filter"} if done and plan.filtered else None,
        "instructions": None,
        "max_output_tokens": None,
        "model": request.body.get("model"),
        "output": items(plan) if done else [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default" if done else "auto",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage(plan) if done else None,
        "metadata": {},
    }


def reasoning_item(plan: Plan, *, done: bool) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": plan.text("reasoning")}] if done else []
    return {"id": f"rs_{plan.key}", "type": "reasoning", "summary": summary}


def part(plan: Plan, *, done: bool) -> dict[str, Any]:
    if plan.refuses:
        return {"type": "refusal", "refusal": plan.text("refusal") if done else ""}
    return {"type": "output_text", "text": plan.text("text") if done else "", "annotations": [], "logprobs": []}


def message_item(plan: Plan, *, done: bool) -> dict[str, Any]:
    return {
        "id": f"msg_{plan.key}",
        "type": "message",
        "status": "completed" if done else "in_progress",
        "role": "assistant",
        "content": [part(plan, done=True)] if done else [],
    }


def call_item(plan: Plan, *, done: bool) -> dict[str, Any]:
    return {
        "id": f"fc_{plan.key}",
        "type": "function_call",
        "status": "completed" if done else "in_progress",
        "call_id": "call_0",
        "name": TOOL,
        "arguments": arguments(plan.text("tool")) if done else "",
    }


def items(plan: Plan) -> list[dict[str, Any]]:
    """The whole output."""
    return [
        *([reasoning_item(plan, done=True)] if plan.reasoning_chunks else []),
        *([message_item(plan, done=True)] if plan.text_chunks else []),
        *([call_item(plan, done=True)] if plan.tool_chunks else []),
    ]


def stream(request: Request) -> Iterator[Event]:  # noqa: C901, PLR0912 - a case a kind
    plan = request.plan
    numbers = count()
    index = -1
    last = ""

    def event(due_s: float, kind: str, *, token: bool = False, **fields: Any) -> Event:
        name = f"response.{kind}"
        return Event(due_s, sse({"type": name, "sequence_number": next(numbers), **fields}, name), token)

    for piece in plan.pieces():
        due, opens = piece.due_s, piece.kind != last
        index += opens and piece.kind not in {"role", "end"}
        if opens and last == "reasoning" and plan.reasoning_chunks:
            yield event(due, "output_item.done", output_index=0, item=reasoning_item(plan, done=True))
        last = piece.kind
        match piece.kind:
            case "role":
                yield event(due, "created", response=response(request, done=False))
                yield event(due, "in_progress", response=response(request, done=False))
                if plan.reasoning_chunks:
                    yield event(due, "output_item.added", output_index=0, item=reasoning_item(plan, done=False))
            case "reasoning":
                where = {"item_id": f"rs_{plan.key}", "output_index": index, "summary_index": 0}
                if opens:
                    empty = {"type": "summary_text", "text": ""}
                    yield event(due, "reasoning_summary_part.added", part=empty, **where)
                yield event(due, "reasoning_summary_text.delta", token=True, delta=piece.text, **where)
            case "text" | "refusal":
                where = {"item_id": f"msg_{plan.key}", "output_index": index, "content_index": 0}
                if opens:
                    item = message_item(plan, done=False)
                    yield event(due, "output_item.added", output_index=index, item=item)
                    yield event(due, "content_part.added", part=part(plan, done=False), **where)
                if plan.refuses:
                    yield event(due, "refusal.delta", token=True, delta=piece.text, **where)
                else:
                    yield event(due, "output_text.delta", token=True, delta=piece.text, logprobs=[], **where)
            case "tool":
                where = {"item_id": f"fc_{plan.key}", "output_index": index}
                if opens:
                    item = call_item(plan, done=False)
                    yield event(due, "output_item.added", token=True, output_index=index, item=item)
                yield event(due, "function_call_arguments.delta", token=True, delta=piece.text, **where)
            case "end":
                kind = "incomplete" if plan.filtered else "completed"
                yield event(due, kind, response=response(request, done=True))


def whole(request: Request) -> dict[str, Any]:
    return response(request, done=True)


RESPONSES = Dialect(
    "openai.responses",
    re.compile(r"^/v1/responses$"),
    "text/event-stream; charset=utf-8",
    asks_for_stream,
    stream,
    whole,
    error,
    ALL,
)
