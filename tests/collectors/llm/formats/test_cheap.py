"""What a long stream costs: how much of it is parsed, and how much is kept."""

import json
import tracemalloc

import pytest

from collectors.llm.formats import find, values
from collectors.llm.formats.base import Asked
from tests.collectors.llm.formats.reading import BINARY, NDJSON, SSE, aws, compact, sse

MANY = 300
NAMED = {"responses", "anthropic", "cohere"}  # their events have names


def chat(field, padding):
    for n in range(MANY):
        choice = {"index": 0, "delta": {field: f'word "{n}"'}, "logprobs": None, "finish_reason": None}
        yield {"id": "chatcmpl-1", "model": "gpt-x", "choices": [choice], "usage": None} | (
            {"obfuscation": "x" * (n % 16)} if padding else {}
        )


def completions():
    for n in range(MANY):
        yield {"id": "cmpl-1", "model": "m", "choices": [{"index": 0, "text": f"word {n}", "finish_reason": None}]}


def responses():
    for n in range(MANY):
        yield {
            "type": "response.output_text.delta",
            "content_index": 0,
            "delta": f"word {n}",
            "item_id": "msg_1",
            "logprobs": [],
            "obfuscation": "x" * (n % 16),
            "output_index": 0,
            "sequence_number": n,
        }


def anthropic():
    for n in range(MANY):
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f"word {n}"}}


def google():
    for n in range(MANY):
        yield {
            "candidates": [{"content": {"parts": [{"text": f"word {n}"}], "role": "model"}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": n, "totalTokenCount": n + 9},
            "modelVersion": "gemini-x",
            "responseId": "r1",
        }


def cohere():
    for n in range(MANY):
        yield {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": f"word {n}"}}}}


def ollama():
    for n in range(MANY):
        message = {"role": "assistant", "content": f"word {n}"}
        yield {"model": "m", "created_at": f"2026-01-01T00:00:00.{n}Z", "message": message, "done": False}


def converse():
    for n in range(MANY):
        yield {"contentBlockIndex": 0, "delta": {"text": f'word "{n}"'}, "p": "abcdefghij"[: n % 10]}


STREAMS = {
    "chat": ("/v1/chat/completions", lambda: chat("content", padding=False)),
    "padded": ("/v1/chat/completions", lambda: chat("content", padding=True)),
    "reasoning": ("/v1/chat/completions", lambda: chat("reasoning_content", padding=False)),
    "completions": ("/v1/completions", completions),
    "responses": ("/v1/responses", responses),
    "anthropic": ("/v1/messages", anthropic),
    "google": ("/v1beta/models/g:streamGenerateContent", google),
    "cohere": ("/v2/chat", cohere),
    "ollama": ("/api/chat", ollama),
    "converse": ("/model/m/converse-stream", converse),
}


def reader(path):
    kind = {"/api/chat": NDJSON, "/model/m/converse-stream": BINARY}.get(path, SSE)
    return find("example.org", path).reader(headers={"content-type": kind}, asked=Asked(streamed=True))


def written(name):
    told = STREAMS[name][1]()
    if name == "ollama":
        return [compact(line) + b"\n" for line in told]
    if name == "converse":
        return [aws("contentBlockDelta", payload) for payload in told]
    return sse(*told, named=name in NAMED)


@pytest.mark.parametrize("name", STREAMS)
def test_hardly_anything_is_parsed(name, monkeypatch):
    path, events = STREAMS[name][0], written(name)
    parsed = []
    monkeypatch.setattr(values.json, "loads", lambda text, loads=json.loads: parsed.append(1) or loads(text))
    reading = reader(path)
    for at, event in enumerate(events):
        assert reading.feed(event, float(at)) == event
    reading.rest(2_000.0)
    assert len(parsed) <= 3
    assert (reading.answer.first_token_at, reading.answer.last_token_at) == (0.0, MANY - 1.0)


@pytest.mark.parametrize("name", STREAMS)
def test_hardly_anything_is_kept(name):
    path, events = STREAMS[name][0], written(name)[:100]
    warm = reader(path)
    for event in events:
        warm.feed(event, 1.0)
    tracemalloc.start()
    try:
        open_streams = [reader(path) for _ in range(10)]
        for event in events:
            for stream in open_streams:
                stream.feed(event[:10], 1.0)
                stream.feed(event[10:], 1.0)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept / len(open_streams) <= 8_000
