"""OpenAI's Responses API."""

import json

import pytest

from collectors.llm.formats.base import Asked, Usage
from collectors.llm.formats.responses import Responses
from tests.collectors.llm.formats.reading import cut, read, read_body, sse, times, untimed

FORM = Responses()
USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 10},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 130,
}
READ = Usage(input_tokens=100, cached_tokens=40, cache_write_tokens=10, output_tokens=30, reasoning_tokens=20)


def response(status="in_progress", usage=None, output=(), **more):
    return {
        "id": "resp_1",
        "object": "response",
        "model": "gpt-5-2026-01-01",
        "status": status,
        "error": None,
        "service_tier": "auto" if status == "in_progress" else "flex",
        "output": list(output),
        "usage": usage,
        **more,
    }


def event(kind, **fields):
    return {"type": f"response.{kind}", "sequence_number": 7, **fields}


def delta(kind, text):
    return event(f"{kind}.delta", item_id="i", output_index=0, delta=text, obfuscation="aB9")


def item(kind, **fields):
    return event("output_item.added", output_index=0, item={"type": kind, **fields})


BEGIN = [event("created", response=response()), event("in_progress", response=response())]
END = event("completed", response=response("completed", USAGE))


@pytest.mark.parametrize("named", [True, False])
def test_reasoning_then_text_then_a_call(named):
    told = [
        *BEGIN,
        item("reasoning"),
        *[delta("reasoning_summary_text", f"so {n}") for n in range(3)],
        item("message"),
        event("content_part.added", part={"type": "output_text", "text": ""}),
        *[delta("output_text", f"word {n}") for n in range(3)],
        event("output_text.done", text="word 0word 1word 2"),
        item("function_call", name="f"),
        *[delta("function_call_arguments", '{"a') for _ in range(3)],
        event("function_call_arguments.done", arguments="{}"),
        END,
    ]
    events = sse(*told, named=named)
    answer, shown = read(FORM, events)
    assert shown == b"".join(events)
    assert times(answer) == (1.0, 4.0, 16.0)
    assert (answer.response_id, answer.model, answer.service_tier) == ("resp_1", "gpt-5-2026-01-01", "flex")
    assert (answer.usage, answer.complete, answer.finish_reason) == (READ, True, "completed")
    assert untimed(read(FORM, cut(shown, [1]))[0]) == untimed(answer)


def test_an_empty_delta_is_no_token():
    told = [*BEGIN, delta("output_text", "a"), delta("output_text", ""), END]
    assert times(read(FORM, sse(*told, named=True))[0]) == (1.0, 3.0, 3.0)


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (event("completed", response=response("completed", USAGE)), (None, None, "completed")),
        (
            event(
                "incomplete", response=response("incomplete", USAGE, incomplete_details={"reason": "content_filter"})
            ),
            ("content_filter", None, "content_filter"),
        ),
        (
            event(
                "incomplete", response=response("incomplete", USAGE, incomplete_details={"reason": "max_output_tokens"})
            ),
            (None, None, "max_output_tokens"),
        ),
        (
            event("failed", response=response("failed", USAGE, error={"code": "server_error", "message": "x"})),
            (None, "server_error", "failed"),
        ),
    ],
)
def test_how_it_can_end(end, outcome):
    answer, _ = read(FORM, sse(*BEGIN, delta("output_text", "a"), end, named=True))
    assert (answer.refused, answer.error_type, answer.finish_reason) == outcome
    assert (answer.complete, answer.usage) == (True, READ)


@pytest.mark.parametrize(
    ("error", "named"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "x"}, "rate_limit_exceeded"),
        ({"type": "error", "error": {"type": "server_error", "code": None}}, "server_error"),
        ({"type": "error", "message": "free text"}, "unnamed"),
        ({"error": {"type": "invalid_request_error"}}, "invalid_request_error"),
    ],
)
def test_an_error_in_the_stream(error, named):
    answer, _ = read(FORM, sse(*BEGIN, error, named="type" in error))
    assert (answer.error_type, answer.complete, answer.usage) == (named, False, None)


def test_a_refusal():
    output = [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]
    told = [*BEGIN, delta("refusal", "n"), delta("refusal", "o"), END]
    answer, _ = read(FORM, sse(*told, named=True))
    assert (answer.refused, times(answer)) == ("refusal", (1.0, 3.0, 4.0))
    assert read_body(FORM, response("completed", USAGE, output)).refused == "refusal"


def test_an_answer_that_was_not_streamed():
    searches = [
        {"type": "web_search_call", "action": {"type": "search"}},
        {"type": "web_search_call", "action": {"type": "open_page"}},
        {"type": "web_search_call"},
    ]
    answer = read_body(FORM, response("completed", USAGE, searches))
    assert (answer.complete, answer.usage.web_searches, answer.usage.input_tokens) == (True, 2, 100)
    waiting = read_body(FORM, response("queued"))
    assert (waiting.complete, waiting.usage, waiting.response_id) == (False, None, "resp_1")
    assert read_body(FORM, {"error": {"type": "t", "code": "c"}}).error_type == "t"


def test_asked():
    body = {"model": "gpt-5", "stream": True, "max_output_tokens": 9, "service_tier": "priority"}
    asked = FORM.asked("/v1/responses", json.dumps(body).encode())
    assert asked == Asked("gpt-5", streamed=True, max_output_tokens=9, service_tier="priority")
    assert FORM.ask_for_usage(json.dumps(body).encode()) is None
