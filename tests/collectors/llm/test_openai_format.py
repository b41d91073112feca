import csv
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.llm.formats.base import Answer, Asked, Usage
from collectors.llm.formats.openai import ChatCompletions
from tests.collectors.llm.test_sse import cut

FORMAT = ChatCompletions()
CHAT = ("/chat/completions", "/v1/completions", "api.writer.com/v1/chat")  # one language, whatever the route is called

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


def read(pieces, **kind):
    """Read a body piece by piece; the clock counts the pieces from 1."""
    reader = FORMAT.reader(**{"events": True, **kind})
    shown = b"".join(reader.feed(piece, float(at)) for at, piece in enumerate(pieces, start=1))
    shown += reader.rest(float(len(pieces) + 1))
    return reader.answer, shown


def recorded(data_folder):
    folder = data_folder / "llm_streams"
    with (folder / "index.csv").open(newline="") as index:
        for row in csv.DictReader(index):
            if row["url"].partition("#")[0].endswith(CHAT):
                yield row, (folder / row["file"]).read_bytes()


def plainly(body):
    """The last usage, the first id and the model of a stream, read by a loop that knows nothing of ours."""
    usage, first_id, model = None, None, None
    for line in body.decode().splitlines():
        if line.startswith("data: {"):
            chunk = json.loads(line[6:])
            usage = chunk.get("usage") or chunk.get("x_groq", {}).get("usage") or usage
            first_id, model = first_id or chunk["id"], model or chunk["model"]
    return usage, first_id, model


def test_recorded_streams_say_what_a_plain_loop_reads(data_folder):
    hosts, with_usage = set(), 0
    for row, body in recorded(data_folder):
        answer, shown = read([body])
        usage, first_id, model = plainly(body)
        assert shown == body, row
        assert (answer.response_id, answer.model) == (first_id, model), row
        assert (answer.complete, answer.error_type, answer.first_token_at) == (True, None, 1.0), row
        if usage is None:
            assert answer.usage is None, row
        else:
            with_usage += 1
            assert answer.usage is not None, row
            assert answer.usage.input_tokens == usage["prompt_tokens"], row
            assert answer.usage.output_tokens == usage["completion_tokens"], row
            assert answer.usage.cached_tokens == (usage.get("prompt_tokens_details") or {}).get("cached_tokens"), row
            assert answer.usage.reasoning_tokens == (usage.get("completion_tokens_details") or {}).get(
                "reasoning_tokens"
            ), row
        hosts.add(row["host"])
    assert len(hosts) == 7
    assert with_usage == 8


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=8), data=st.data())
def test_any_split_of_a_recorded_stream_reads_the_same(data_folder, sizes, data):
    row, body = data.draw(st.sampled_from([(row, body) for row, body in recorded(data_folder) if len(body) < 30_000]))
    split, shown = read(cut(body, sizes))
    whole, _ = read([body])
    assert (untimed(split), shown) == (untimed(whole), body), row


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.booleans())
def test_any_split_reads_and_shows_the_same(sizes, hide):
    split, shown = read(cut(STREAM, sizes), hide_usage=hide)
    whole, shown_whole = read([STREAM], hide_usage=hide)
    assert untimed(split) == untimed(whole)
    assert shown == shown_whole


def untimed(answer: Answer):
    return replace(answer, first_chunk_at=None, first_token_at=None, last_token_at=None)


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
            Usage(input_tokens=9, output_tokens=2, audio=True),
        ),
    ],
)
def test_usage_as_servers_write_it(reported, usage):
    body = json.dumps({"choices": [], "usage": reported}).encode()
    assert read([body], events=False)[0].usage == usage
    assert read([b"data: " + body + b"\n\n"])[0].usage == usage


def test_the_last_usage_wins_also_beside_choices():
    chunks = [
        {"choices": [{"delta": {"content": "a"}}], "usage": {"prompt_tokens": 1, "completion_tokens": n}}
        for n in (1, 2, 3)
    ]
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
    assert read([json.dumps(body).encode()], events=False)[0].error_type == error_type


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"7", b'"x"', b"[" * 100_000, b"\xff\xfe", b'{"choices": 1, "usage": "x", "id": {}}'],
)
def test_rubbish_is_read_as_nothing(body):
    for answer in (read([body], events=False)[0], read([b"data: " + body + b"\n\n"])[0]):
        assert (answer.usage, answer.response_id, answer.error_type, answer.complete, answer.unread) == (
            None,
            None,
            None,
            False,
            0,
        )
    assert FORMAT.asked(body) == Asked()


def test_asked():
    assert FORMAT.asked(b'{"model": "m", "stream": true}') == Asked("m", streamed=True)
    assert FORMAT.asked(b'{"model": "m", "stream": 1, "stream_options": {"include_usage": true}}') == Asked(
        "m", wants_usage=True
    )
    assert FORMAT.asked(b'{"model": "m\\u0000\\ud800"}').model == "m"


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
