"""Anthropic messages."""

import json

import pytest

from collectors.llm.formats.anthropic import Messages
from collectors.llm.formats.base import Asked, Usage
from tests.collectors.llm.formats.reading import cut, read, read_body, sse, times, untimed

FORM = Messages()
START = {
    "input_tokens": 5,
    "cache_read_input_tokens": 128_955,
    "cache_creation_input_tokens": 1_253,
    "cache_creation": {"ephemeral_5m_input_tokens": 253, "ephemeral_1h_input_tokens": 1_000},
    "output_tokens": 1,
    "service_tier": "standard",
}
READ = {
    "input_tokens": 130_213,
    "cached_tokens": 128_955,
    "cache_write_tokens": 1_253,
    "cache_write_1h_tokens": 1_000,
}


def start(usage=START):
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "usage": usage,
    }
    return {"type": "message_start", "message": message}


def block(kind, **fields):
    return {"type": "content_block_start", "index": 0, "content_block": {"type": kind, **fields}}


def delta(kind, field, text):
    return {"type": "content_block_delta", "index": 0, "delta": {"type": kind, field: text}}


def end(reason="end_turn", **usage):
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 42, **usage}}


STOP, PING, CLOSE = {"type": "message_stop"}, {"type": "ping"}, {"type": "content_block_stop", "index": 0}
TEXT = [block("text", text=""), *[delta("text_delta", "text", f"word {n}") for n in range(5)], CLOSE]


def test_thinking_then_text_then_a_tool():
    told = [
        start(),
        PING,
        block("thinking", thinking="", signature=""),
        *[delta("thinking_delta", "thinking", 'so "it" is') for _ in range(3)],
        delta("signature_delta", "signature", "c2ln"),
        CLOSE,
        *TEXT,
        block("tool_use", id="t", name="f", input={}),
        delta("input_json_delta", "partial_json", ""),
        *[delta("input_json_delta", "partial_json", '{"a": 1') for _ in range(3)],
        CLOSE,
        end("tool_use", output_tokens_details={"thinking_tokens": 12}),
        STOP,
    ]
    events = sse(*told, named=True)
    answer, shown = read(FORM, events)
    assert shown == b"".join(events)
    assert times(answer) == (1.0, 4.0, 20.0)
    assert answer.usage == Usage(**READ, output_tokens=42, reasoning_tokens=12)
    assert (answer.response_id, answer.model, answer.service_tier) == ("msg_1", "claude-x", "standard")
    assert (answer.finish_reason, answer.complete, answer.refused) == ("tool_use", True, None)
    assert untimed(read(FORM, cut(shown, [3, 1]))[0]) == untimed(answer)


def test_a_tool_begins_with_its_name_and_text_with_its_text():
    assert times(read(FORM, sse(start(), block("tool_use", name="f")))[0]) == (1.0, 2.0, 2.0)
    assert times(read(FORM, sse(start(), block("text", text="")))[0]) == (1.0, None, None)
    assert times(read(FORM, sse(start(), delta("signature_delta", "signature", "x")))[0]) == (1.0, None, None)


def test_spaces_that_pad_an_event():
    events = sse(start(), *TEXT, end(), STOP, named=True)
    padded = [event.replace(b'"}}\n', b'"}' + b" " * n + b"}\n") for n, event in enumerate(events)]
    answer, shown = read(FORM, padded)
    assert shown == b"".join(padded)
    assert times(answer) == (1.0, 3.0, 7.0)


def test_the_usage_of_the_end_is_cumulative_and_wins():
    counts = {"input_tokens": 20, "cache_read_input_tokens": None, "server_tool_use": {"web_search_requests": 2}}
    answer, _ = read(FORM, sse(start(), *TEXT, end(**counts), STOP))
    assert answer.usage == Usage(**READ | {"input_tokens": 130_228}, output_tokens=42, web_searches=2)


def test_a_message_that_is_cut_off_has_no_usage():
    answer, _ = read(FORM, sse(start(), *TEXT))
    assert (answer.usage, answer.complete, answer.last_token_at) == (None, False, 7.0)


def test_an_error_in_the_stream():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    answer, _ = read(FORM, sse(start(), *TEXT, error))
    assert (answer.error_type, answer.complete, answer.usage) == ("overloaded_error", False, None)


def test_a_refusal():
    answer, _ = read(FORM, sse(start(), *TEXT, end("refusal"), STOP))
    assert (answer.refused, answer.finish_reason, answer.usage.output_tokens) == ("refusal", "refusal", 42)


def test_a_message_that_was_not_streamed():
    message = start({**START, "output_tokens": 9})["message"] | {"stop_reason": "refusal"}
    answer = read_body(FORM, message)
    assert answer.usage == Usage(**READ, output_tokens=9)
    assert (answer.complete, answer.refused, answer.response_id, answer.model) == (True, "refusal", "msg_1", "claude-x")
    error = read_body(FORM, {"type": "error", "error": {"type": "not_found_error"}, "request_id": "r"})
    assert (error.error_type, error.complete, error.usage) == ("not_found_error", False, None)


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"input_tokens": 5, "output_tokens": 1}, Usage(input_tokens=5, output_tokens=1)),
        (
            {"input_tokens": 0, "cache_read_input_tokens": 7, "output_tokens": 1},
            Usage(input_tokens=7, cached_tokens=7, output_tokens=1),
        ),
        (
            {"input_tokens": 1, "output_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 3}},
            Usage(input_tokens=4, cache_write_tokens=3, cache_write_1h_tokens=3, output_tokens=1),
        ),
        ({"input_tokens": None}, None),
        ({}, None),
    ],
)
def test_usage_as_it_is_reported(reported, usage):
    assert read_body(FORM, {"type": "message", "usage": reported}).usage == usage


def test_asked():
    body = {"model": "claude-x", "stream": True, "max_tokens": 9, "service_tier": "auto"}
    asked = FORM.asked("/v1/messages", json.dumps(body).encode())
    assert asked == Asked("claude-x", streamed=True, max_output_tokens=9, service_tier="auto")
    path = "/v1/projects/p/locations/l/publishers/anthropic/models/claude-x@20250101:streamRawPredict"
    assert FORM.asked(path, b"") == Asked("claude-x@20250101", streamed=True)


def test_the_old_way():
    told = [
        {"type": "completion", "id": "c1", "completion": f" w{n}", "stop_reason": None, "model": "m"} for n in range(4)
    ]
    end = {"type": "completion", "id": "c1", "completion": "", "stop_reason": "stop_sequence", "model": "m"}
    answer, _ = read(FORM, sse(*told, PING, end, named=True))
    assert (times(answer), answer.usage) == ((1.0, 1.0, 4.0), None)
    assert (answer.complete, answer.response_id, answer.model, answer.finish_reason) == (
        True,
        "c1",
        "m",
        "stop_sequence",
    )
    assert read_body(FORM, end).complete
