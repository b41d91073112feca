"""Bedrock: converse and invoke, whole and as AWS's binary event stream."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from tests.dialects import anthropic
from tests.dialects.openai import ALL
from tests.dialects.plan import TOOL, Dialect, Event, Plan, Request

_STRING = 7
_MODEL = re.compile(r"/model/([^/]+)/")


def frame(payload: dict[str, Any], **headers: str) -> bytes:
    """A message of the event stream. Source: https://smithy.io/2.0/aws/amazon-eventstream.html."""
    body = json.dumps(payload, separators=(",", ":")).encode()
    named = b"".join(
        bytes([len(name) + 1]) + b":" + name.replace("_", "-").encode() + struct.pack(">BH", _STRING, len(value))
        + value.encode()
        for name, value in headers.items()
    )  # fmt: skip
    prelude = struct.pack(">II", len(named) + len(body) + 16, len(named))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + named + body
    return message + struct.pack(">I", zlib.crc32(message))


def event(kind: str, payload: dict[str, Any]) -> bytes:
    """Padded, so that its length does not tell what is in it."""
    return frame(
        payload | {"p": "abcdefgh"}, event_type=kind, content_type="application/json", message_type="event"
    )  # fmt: skip


def usage(plan: Plan) -> dict[str, Any]:
    """Input tokens are those that are neither read from nor written to a cache."""
    fresh = plan.input_tokens - plan.cached_tokens - plan.cache_write_tokens
    return {
        "inputTokens": fresh,
        "outputTokens": plan.output_tokens,
        "totalTokens": plan.input_tokens + plan.output_tokens,
        "cacheReadInputTokens": plan.cached_tokens,
        "cacheWriteInputTokens": plan.cache_write_tokens,
    }


def stop(plan: Plan) -> str:
    return "content_filtered" if plan.filtered or plan.refuses else "tool_use" if plan.tool_chunks else "end_turn"


def converse_stream(request: Request) -> Iterator[Event]:
    plan = request.plan
    index, last = -1, ""
    for piece in plan.pieces():
        due, opens = piece.due_s, piece.kind != last
        if opens and last not in {"", "role"}:
            yield Event(due, event("contentBlockStop", {"contentBlockIndex": index}))
        index += opens and piece.kind not in {"role", "end"}
        last = piece.kind
        delta: dict[str, Any] = {}
        match piece.kind:
            case "role":
                yield Event(due, event("messageStart", {"role": "assistant"}))
            case "reasoning":
                delta = {"reasoningContent": {"text": piece.text}}
            case "text" | "refusal":
                delta = {"text": piece.text}
            case "tool":
                if opens:
                    start = {"toolUse": {"toolUseId": "tooluse_0", "name": TOOL}}
                    told = {"contentBlockIndex": index, "start": start}
                    yield Event(due, event("contentBlockStart", told), token=True)
                delta = {"toolUse": {"input": piece.text}}
            case "end":
                yield Event(due, event("messageStop", {"stopReason": stop(plan)}))
                yield Event(due, event("metadata", {"usage": usage(plan), "metrics": {"latencyMs": 500}}))
        if delta:
            yield Event(due, event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}), token=True)


def converse_whole(request: Request) -> dict[str, Any]:
    plan = request.plan
    content: list[dict[str, Any]] = []
    if plan.reasoning_chunks:
        content.append({"reasoningContent": {"reasoningText": {"text": plan.text("reasoning"), "signature": "s"}}})
    if plan.text_chunks:
        content.append({"text": plan.text("text") or plan.text("refusal")})
    if plan.tool_chunks:
        content.append({"toolUse": {"toolUseId": "tooluse_0", "name": TOOL, "input": {"q": plan.text("tool")}}})
    return {
        "metrics": {"latencyMs": 500},
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop(plan),
        "usage": usage(plan),
    }


def as_anthropic(request: Request) -> Request:
    """The model is named in the path, not in the body."""
    found = _MODEL.search(request.path)
    return Request(request.path, request.body | {"model": unquote(found[1]) if found else None}, request.plan)


def invoke_stream(request: Request) -> Iterator[Event]:
    """Claude's own events, each wrapped in a chunk."""
    plan = request.plan
    for due_s, told, token in anthropic.events(as_anthropic(request)):
        if told["type"] == "message_stop":
            told |= {
                "amazon-bedrock-invocationMetrics": {
                    "inputTokenCount": plan.input_tokens - plan.cached_tokens - plan.cache_write_tokens,
                    "outputTokenCount": plan.output_tokens,
                    "invocationLatency": 500,
                    "firstByteLatency": 100,
                    "cacheReadInputTokenCount": plan.cached_tokens,
                    "cacheWriteInputTokenCount": plan.cache_write_tokens,
                }
            }
        packed = base64.b64encode(json.dumps(told, separators=(",", ":")).encode()).decode()
        yield Event(due_s, event("chunk", {"bytes": packed}), token)


def invoke_whole(request: Request) -> dict[str, Any]:
    return anthropic.whole(as_anthropic(request))


def error(plan: Plan) -> dict[str, Any]:
    return {"message": "simulated"}


CONVERSE = Dialect(
    "bedrock.converse",
    re.compile(r"^/model/[^/]+/converse(-stream)?$"),
    "application/vnd.amazon.eventstream",
    lambda request: request.path.endswith("-stream"),
    converse_stream,
    converse_whole,
    error,
    ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens"),
)
INVOKE = Dialect(
    "bedrock.invoke",
    re.compile(r"^/model/[^/]+/invoke(-with-response-stream)?$"),
    "application/vnd.amazon.eventstream",
    lambda request: request.path.endswith("-stream"),
    invoke_stream,
    invoke_whole,
    error,
    ALL,
)
