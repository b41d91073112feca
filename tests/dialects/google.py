"""Gemini: generateContent, and streamGenerateContent as server-sent events or as one JSON array."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.dialects.plan import TOOL, Dialect, Event, Plan, Request, sse

_MODEL = re.compile(r"/models/([^:/]+):")


def usage(plan: Plan, *, output: bool) -> dict[str, Any]:
    """Thoughts are told beside the candidates' tokens, not in them."""
    told = {
        "promptTokenCount": plan.input_tokens,
        "totalTokenCount": plan.input_tokens + (plan.output_tokens if output else 0),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": plan.input_tokens}],
    }
    if plan.cached_tokens:
        told["cachedContentTokenCount"] = plan.cached_tokens
        told["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": plan.cached_tokens}]
    if output:
        told["candidatesTokenCount"] = plan.output_tokens - plan.reasoning_tokens
        if plan.reasoning_tokens:
            told["thoughtsTokenCount"] = plan.reasoning_tokens
    return told


def document(request: Request, parts: list[dict[str, Any]], *, last: bool) -> dict[str, Any]:
    plan = request.plan
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if last:
        candidate["finishReason"] = "SAFETY" if plan.filtered or plan.refuses else "STOP"
    model = _MODEL.search(request.path)
    return {
        "candidates": [candidate],
        "usageMetadata": usage(plan, output=last),
        "modelVersion": model[1] if model else "unknown",
        "responseId": f"gemini-{plan.key}",
    }


def part(kind: str, text: str) -> dict[str, Any]:
    if kind == "reasoning":
        return {"text": text, "thought": True}
    if kind == "tool":
        return {"functionCall": {"name": TOOL, "args": {"q": text}}}
    return {"text": text}


def documents(request: Request) -> Iterator[tuple[float, dict[str, Any], bool]]:
    for piece in request.plan.pieces():
        yield (
            piece.due_s,
            document(request, [part(piece.kind, piece.text)], last=piece.kind == "end"),
            bool(piece.text),
        )


def stream(request: Request) -> Iterator[Event]:
    if "alt=sse" in request.path:
        for due_s, told, token in documents(request):
            yield Event(due_s, sse(told, end="\r\n"), token)
        return
    opening = "["
    for due_s, told, token in documents(request):
        yield Event(due_s, (opening + json.dumps(told, indent=2)).encode(), token)
        opening = ",\r\n"
    yield Event(due_s, b"]")


def whole(request: Request) -> dict[str, Any]:
    plan = request.plan
    kinds = ("reasoning", "text", "refusal", "tool")
    return document(request, [part(kind, text) for kind in kinds if (text := plan.text(kind))], last=True)


def error(plan: Plan) -> dict[str, Any]:
    status = {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}.get(plan.status, "INVALID_ARGUMENT")
    return {"error": {"code": plan.status, "message": "simulated", "status": status}}


GENERATE = Dialect(
    "google.generate",
    re.compile(r"^/v1(beta)?/models/[^:/]+:(streamG|g)enerateContent"),
    "text/event-stream",
    lambda request: ":stream" in request.path,
    stream,
    whole,
    error,
    ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"),
    omits=("cached_tokens", "reasoning_tokens"),
)
