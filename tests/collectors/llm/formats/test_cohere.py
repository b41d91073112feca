"""Cohere's chat."""

import json

import pytest

from collectors.llm.formats.base import Asked, Usage
from collectors.llm.formats.cohere import CohereV1, CohereV2
from tests.collectors.llm.formats.reading import SSE, compact, cut, read, read_body, sse, times, untimed

V1, V2 = CohereV1(), CohereV2()
LINES = "application/stream+json"
COUNTED = {
    "billed_units": {"input_tokens": 12, "output_tokens": 60},
    "tokens": {"input_tokens": 212.0, "output_tokens": 65.0},
    "cached_tokens": 208,
}
READ = Usage(input_tokens=212, cached_tokens=208, output_tokens=65)


def message(kind, **fields):
    return {"type": kind, "index": 0, "delta": {"message": fields}}


def end(reason="COMPLETE"):
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": COUNTED}}


START = {"type": "message-start", "id": "co-1", "delta": {"message": {"role": "assistant", "content": []}}}


def test_version_2():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    told = [
        START,
        message("content-start", content={"type": "thinking", "thinking": ""}),
        *[message("content-delta", content={"thinking": f"so {n}"}) for n in range(3)],
        *[message("content-delta", content={"text": f"word {n}"}) for n in range(3)],
        message("tool-plan-delta", tool_plan="I will"),
        message("tool-call-start", tool_calls=call),
        *[message("tool-call-delta", tool_calls={"function": {"arguments": '{"a'}}) for _ in range(3)],
        {"type": "tool-call-end", "index": 0},
        end("TOOL_CALL"),
    ]
    events = sse(*told, b"[DONE]", named=True)
    answer, shown = read(V2, events)
    assert shown == b"".join(events)
    assert times(answer) == (1.0, 3.0, 13.0)
    assert (answer.usage, answer.response_id, answer.finish_reason) == (READ, "co-1", "TOOL_CALL")
    assert (answer.complete, answer.refused, answer.error_type) == (True, None, None)
    assert untimed(read(V2, cut(shown, [2, 5]))[0]) == untimed(answer)


def test_version_2_that_was_not_streamed():
    body = {
        "id": "co-1",
        "finish_reason": "COMPLETE",
        "message": {"role": "assistant", "content": []},
        "usage": COUNTED,
    }
    answer = read_body(V2, body)
    assert (answer.usage, answer.response_id, answer.complete) == (READ, "co-1", True)
    assert read_body(V2, {"id": "x", "message": "no such model"}).complete is False


V1_TOLD = [
    {"is_finished": False, "event_type": "stream-start", "generation_id": "g1"},
    *[{"is_finished": False, "event_type": "text-generation", "text": f"word {n}"} for n in range(5)],
    {
        "is_finished": True,
        "event_type": "stream-end",
        "finish_reason": "COMPLETE",
        "response": {
            "response_id": "r1",
            "generation_id": "g1",
            "text": "a",
            "meta": COUNTED,
            "finish_reason": "COMPLETE",
        },
    },
]


@pytest.mark.parametrize("kind", [LINES, SSE, "application/x-ndjson", ""])
def test_version_1(kind):
    pieces = sse(*V1_TOLD) if kind == SSE else [compact(each) + b"\n" for each in V1_TOLD]
    answer, shown = read(V1, pieces, kind)
    assert shown == b"".join(pieces)
    assert times(answer) == (1.0, 2.0, 6.0)
    assert (answer.usage, answer.response_id, answer.finish_reason, answer.complete) == (READ, "g1", "COMPLETE", True)
    assert untimed(read(V1, cut(shown, [1]), kind)[0]) == untimed(answer)


def test_version_1_that_was_not_streamed():
    answer = read_body(V1, V1_TOLD[-1]["response"])
    assert (answer.usage, answer.response_id, answer.complete) == (READ, "g1", True)
    generated = {"id": "i", "generations": [{"text": "a", "finish_reason": "COMPLETE"}], "meta": {"billed_units": {}}}
    assert read_body(
        V1, generated | {"meta": {"billed_units": {"input_tokens": 3, "output_tokens": 4}}}
    ).usage == Usage(input_tokens=3, output_tokens=4)


@pytest.mark.parametrize(
    ("reason", "refused", "error_type"),
    [
        ("ERROR_TOXIC", "content_filter", None),
        ("ERROR", None, "ERROR"),
        ("TIMEOUT", None, "TIMEOUT"),
        ("MAX_TOKENS", None, None),
    ],
)
def test_how_it_can_end(reason, refused, error_type):
    for answer in (read(V2, sse(START, end(reason)))[0], read_body(V1, {"text": "", "finish_reason": reason})):
        assert (answer.refused, answer.error_type, answer.complete) == (refused, error_type, True)


def test_others_that_have_a_path_like_this():
    told = [{"id": "w", "choices": [{"delta": {"content": "a"}}]}, {"id": "w", "choices": [{"finish_reason": "stop"}]}]
    answer, _ = read(V1, sse(*told))
    assert (times(answer), answer.response_id, answer.complete) == ((1.0, 1.0, 1.0), "w", True)


def test_asked():
    body = json.dumps({"model": "command-a", "stream": True, "max_tokens": 9}).encode()
    assert V2.asked("/v2/chat", body) == Asked("command-a", streamed=True, max_output_tokens=9)
