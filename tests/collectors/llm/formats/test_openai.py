"""Chat completions and text completions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.llm.formats.base import Asked, Usage
from collectors.llm.formats.openai import ChatCompletions, TextCompletions
from tests.collectors.llm.formats import reading
from tests.collectors.llm.formats.reading import cut, read_body, sse, times, untimed

FORMAT = ChatCompletions()


def read(pieces, **kind):
    return reading.read(FORMAT, pieces, **kind)


STREAM = (
    b"".join(
        b"data: " + json.dumps(chunk).encode() + b"\n\n"
        for chunk in [
            {"id": "", "model": "", "choices": [], "prompt_filter_results": []},
            {"id": "c1", "model": "m-1", "choices": [{"delta": {"role": "assistant", "content": ""}}]},
            {"id": "c1", "model": "m-1", "choices": [{"delta": {"reasoning_content": "h\u00e4"}}], "usage": None},
            {"id": "c1", "model": "m-1", "choices": [{"delta": {"content": "snowman \u2603"}}]},
            {"id": "c1", "model": "m-1", "choices": [{"delta": {}, "finish_reason": "stop"}]},
            {"id": "c1", "model": "m-1", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}},
        ]
    )
    + b": ping\n\ndata: [DONE]\n\n"
)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.booleans())
def test_any_split_reads_and_shows_the_same(sizes, hide):
    split, shown = read(cut(STREAM, sizes), hide_usage=hide)
    whole, shown_whole = read([STREAM], hide_usage=hide)
    assert untimed(split) == untimed(whole)
    assert shown == shown_whole


def test_first_chunk_first_token_last_token():
    events = [event + b"\n\n" for event in STREAM.split(b"\n\n") if event]
    answer, _ = read(events)
    assert (answer.first_chunk_at, answer.first_token_at, answer.last_token_at) == (1.0, 3.0, 4.0)
    assert (answer.response_id, answer.model, answer.finish_reason) == ("c1", "m-1", "stop")


@given(st.lists(st.sampled_from(["a", "", 'b"usage"', None]), min_size=1, max_size=200), st.booleans())
def test_the_last_token_is_found_among_many(contents, has_end):
    def event(delta, finish=None):
        chunk = {"id": "c", "model": "m", "choices": [{"delta": delta, "finish_reason": finish}]}
        return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"

    events = [event({"content": content}) for content in contents] + [event({}, "stop")] * has_end
    answer, shown = read(events)
    at = [float(number) for number, content in enumerate(contents, start=1) if content]
    assert (answer.first_token_at, answer.last_token_at) == ((at[0], at[-1]) if at else (None, None))
    assert (answer.complete, shown) == (has_end, b"".join(events))


def test_only_the_usage_event_is_hidden():
    answer, shown = read([STREAM], hide_usage=True)
    gone = [event for event in STREAM.split(b"\n\n") if event not in shown.split(b"\n\n")]
    assert len(gone) == 1
    assert b'"prompt_tokens"' in gone[0]
    assert b"prompt_filter_results" in shown
    assert answer.usage == Usage(input_tokens=5, output_tokens=3)


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"content": [{"type": "text", "text": "a"}]},
        {"reasoning": "a"},
        {"reasoning_content": "a"},
        {"tool_calls": [{"index": 0}]},
        {"function_call": {"name": "f"}},
        {"refusal": "no"},
    ],
)
def test_what_counts_as_a_token(delta):
    def first(delta):
        chunk = json.dumps({"choices": [{"delta": delta}]}).encode()
        return read([b"data: " + chunk + b"\n\n"])[0].first_token_at

    assert first(delta) == 1.0
    assert first({"role": "assistant", **{key: type(value)() for key, value in delta.items()}}) is None


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 2}, Usage(input_tokens=1, output_tokens=2)),
        ({"prompt_tokens": 1.0, "completion_tokens": True}, Usage(input_tokens=1)),
        ({"prompt_tokens": -1, "completion_tokens": 2**70}, None),
        ({"prompt_tokens": "7"}, None),
        ({}, None),
        ([], None),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
            },
            Usage(input_tokens=9, output_tokens=2, cached_tokens=4, cache_write_tokens=3),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4},
            Usage(input_tokens=9, output_tokens=2, cached_tokens=4),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 12,
                "total_tokens": 21,
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
            Usage(input_tokens=9, output_tokens=12, reasoning_tokens=10),
        ),
        (  # xAI: reasoning beside completion, not in it
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "total_tokens": 21,
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
            Usage(input_tokens=9, output_tokens=12, reasoning_tokens=10),
        ),
        (
            {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"audio_tokens": 5}},
            Usage(input_tokens=9, output_tokens=2, input_audio_tokens=5),
        ),
    ],
)
def test_usage_as_servers_write_it(reported, usage):
    body = {"choices": [], "usage": reported}
    assert read_body(FORMAT, body).usage == usage
    assert read(sse(body))[0].usage == usage


def test_the_last_usage_wins_also_beside_choices():
    chunks = [
        {"choices": [{"delta": {"content": "a"}}], "usage": {"prompt_tokens": 1, "completion_tokens": n}}
        for n in (1, 2, 3)
    ]
    chunks[-1]["choices"][0]["finish_reason"] = "stop"
    answer, shown = read([b"".join(b"data: " + json.dumps(c).encode() + b"\n\n" for c in chunks)], hide_usage=True)
    assert answer.usage == Usage(input_tokens=1, output_tokens=3)
    assert shown.count(b"data:") == 3


@pytest.mark.parametrize(
    ("body", "error_type"),
    [
        ({"error": {"type": "insufficient_quota", "code": "x"}}, "insufficient_quota"),
        ({"error": {"type": None, "code": "rate_limit"}}, "rate_limit"),
        ({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}, "RESOURCE_EXHAUSTED"),
        ([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}], "RESOURCE_EXHAUSTED"),
        ({"object": "error", "type": "BadRequestError"}, "BadRequestError"),
        ({"error": "model not found"}, "unnamed"),
        ({"error": {"type": "You said: tell me a secret"}}, "unnamed"),
        ({"detail": [{"loc": ["body"]}]}, "unnamed"),
        ({"choices": []}, None),
    ],
)
def test_error_types(body, error_type):
    assert read_body(FORMAT, body).error_type == error_type


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"7", b'"x"', b"[" * 100_000, b"\xff\xfe", b'{"choices": 1, "usage": "x", "id": {}}'],
)
def test_rubbish_is_read_as_nothing(body):
    for answer in (read_body(FORMAT, body), read([b"data: " + body + b"\n\n"])[0]):
        assert (answer.usage, answer.response_id, answer.error_type, answer.complete, answer.unread) == (
            None,
            None,
            None,
            False,
            0,
        )
    assert FORMAT.asked("", body) == Asked()


def test_asked():
    assert FORMAT.asked("", b'{"model": "m", "stream": true}') == Asked("m", streamed=True)
    assert FORMAT.asked("", b'{"model": "m", "stream": 1, "stream_options": {"include_usage": true}}') == Asked(
        "m", wants_usage=True
    )
    assert FORMAT.asked("", b'{"model": "m\\u0000\\ud800"}').model == "m"


@pytest.mark.parametrize(
    "body",
    [
        b'{"stream":true}',
        b' {"stream": true, "messages": [{"content": "\\"stream_options\\" \\ud800"}]}',
        b'{"stream": true, "stream_options": null}',
        b'{"stream": true, "stream_options": {"include_usage": false, "include_obfuscation": false}}',
    ],
)
def test_asking_for_usage_changes_nothing_else(body):
    changed = json.loads(FORMAT.ask_for_usage(body))
    original = json.loads(body)
    assert changed.pop("stream_options") == {**(original.pop("stream_options", None) or {}), "include_usage": True}
    assert changed == original


def test_a_request_that_cannot_be_written_again_is_left_alone():
    assert FORMAT.ask_for_usage(b'{"stream_options": {}, "top_p": 1e999}') is None
    assert FORMAT.ask_for_usage(b"not json") is None


def test_usage_of_every_token_is_that_of_the_last_only_if_there_is_a_last():
    chunk = {"choices": [{"delta": {"content": "a"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    assert read(sse(chunk))[0].usage is None
    assert read(sse(chunk, b"[DONE]"))[0].usage == Usage(input_tokens=1, output_tokens=1)


def choice(delta, reason=None):
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}


@pytest.mark.parametrize(
    ("told", "refused"),
    [
        ([choice({"refusal": "I"}), choice({"refusal": " won't"}), choice({}, "stop")], "refusal"),
        ([choice({"content": "a"}), choice({}, "content_filter")], "content_filter"),
        ([choice({"refusal": ""}), choice({"content": "a", "refusal": None}), choice({}, "stop")], None),
    ],
)
def test_refusals(told, refused):
    answer, _ = read(sse(*told, b"[DONE]"))
    assert (answer.refused, answer.complete, answer.error_type) == (refused, True, None)
    message = {"content": None, "refusal": "no" if refused == "refusal" else None}
    reason = "content_filter" if refused == "content_filter" else "stop"
    assert read_body(FORMAT, {"choices": [{"message": message, "finish_reason": reason}]}).refused == refused


def test_an_error_in_the_stream():
    broken = choice({"content": ""}, "error") | {"error": {"code": 502, "message": "Provider disconnected"}}
    answer, _ = read(sse(choice({"content": "a"}), broken))
    assert answer.error_type == "http_502"
    answer, _ = read(sse(choice({"content": "a"}), {"error": {"type": "server_error", "message": "oh"}}))
    assert (answer.error_type, answer.complete) == ("server_error", False)


def test_reasoning_then_text_then_tools_one_event_a_second():
    call = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": ""}}
    told = [
        choice({"role": "assistant", "content": ""}),
        *[choice({"reasoning_content": f"so {n}"}) for n in range(5)],
        *[choice({"content": f"word {n}"}) for n in range(5)],
        choice({"tool_calls": [call]}),
        *[choice({"tool_calls": [{"index": 0, "function": {"arguments": f'{{"{n}'}}]}) for n in range(5)],
        choice({}, "tool_calls"),
    ]
    assert times(read(sse(*told))[0]) == (1.0, 2.0, 17.0)


@pytest.mark.parametrize("many", [1, 2, 7])
def test_several_events_in_one_read(many):
    told = sse(*[choice({"content": f"word {n}"}) for n in range(20)], choice({}, "stop"), b"[DONE]")
    pieces = [b"".join(told[at : at + many]) for at in range(0, len(told), many)]
    answer, shown = read(pieces)
    assert shown == b"".join(told)
    assert (answer.last_token_at, answer.complete) == (float(19 // many + 1), True)


def test_an_error_that_is_told_as_one_document_where_a_stream_was_expected():
    body = json.dumps({"error": {"type": "invalid_request_error", "message": "x"}}).encode()
    for kind in (reading.SSE, ""):
        answer, shown = read([body], kind=kind)
        assert (answer.error_type, answer.first_chunk_at, shown) == ("invalid_request_error", None, body)


def test_an_answer_whose_head_says_nothing():
    body = json.dumps({"id": "c", "choices": [{"message": {}, "finish_reason": "stop"}]}).encode()
    assert read([body], kind="", streamed=False)[0].response_id == "c"
    assert read(sse(choice({"content": "a"}, "stop")), kind="text/plain")[0].complete


@pytest.mark.parametrize(
    ("request_", "most"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_completion_tokens": 7, "max_tokens": 5}, 7),
        ({"max_tokens": 5, "n": 3}, 15),
        ({"max_tokens": None}, None),
        ({"max_tokens": "5"}, None),
    ],
)
def test_the_most_that_may_be_generated(request_, most):
    assert FORMAT.asked("/v1/chat/completions", json.dumps(request_).encode()).max_output_tokens == most


def test_azure_names_the_model_in_the_path():
    path = "/openai/deployments/my%20gpt/chat/completions"
    assert FORMAT.asked(path, b"").model == "my gpt"
    assert FORMAT.asked(path, b'{"model": "gpt-4o", "service_tier": "flex"}') == Asked("gpt-4o", service_tier="flex")


def test_text_completions():
    form = TextCompletions()
    told = [{"id": "t", "model": "m", "choices": [{"text": f"w{n}", "finish_reason": None}]} for n in range(5)]
    end = {"id": "t", "model": "m", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}
    answer, shown = reading.read(form, sse(*told, end, b"[DONE]"), hide_usage=True)
    assert (times(answer), answer.usage) == ((1.0, 1.0, 5.0), Usage(input_tokens=3, output_tokens=5))
    assert shown == b"".join(sse(*told, b"[DONE]"))
    assert form.ask_for_usage(b"{}") is not None


def test_mistral_tells_its_reasoning_as_a_part_of_the_content():
    told = [
        choice({"role": "assistant", "content": ""}),
        *[choice({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": t}]}]}) for t in ("a", "b")],
        choice({"content": "c"}),
        choice({"content": ""}, "stop")
        | {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "num_cached_tokens": 1}},
    ]
    answer, _ = read(sse(*told, b"[DONE]"))
    assert times(answer) == (1.0, 2.0, 4.0)
    assert answer.usage == Usage(input_tokens=1, cached_tokens=1, output_tokens=2)


def test_audio():
    told = {"prompt_tokens": 9, "completion_tokens": 8}
    told["prompt_tokens_details"] = {
        "audio_tokens": 4,
        "cached_tokens": 3,
        "cached_tokens_details": {"audio_tokens": 2},
    }
    told["completion_tokens_details"] = {"audio_tokens": 6, "reasoning_tokens": 0}
    usage = read_body(FORMAT, {"choices": [], "usage": told}).usage
    assert (usage.input_audio_tokens, usage.cached_audio_tokens, usage.output_audio_tokens) == (4, 2, 6)


def test_writer_tells_text_alone():
    answer, _ = reading.read(TextCompletions(), sse({"value": ""}, {"value": "a"}, {"value": "b"}))
    assert (times(answer), answer.usage, answer.complete, answer.unread) == ((1.0, 2.0, 3.0), None, True, 0)
