import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.llm.estimate import Generated, asked_tokens, most_tokens
from pipelines.local_llm import Reply
from tests.collectors.llm.formats.reading import cut
from tests.collectors.llm.test_tap import client, only

LINES = b"".join(
    b"data: " + json.dumps({"choices": [{"delta": {key: text}}]}, ensure_ascii=escape).encode() + b"\n\n"
    for escape in (True, False)
    for key, text in (("content", "Grüße 🙂"), ("reasoning_content", 'a "quoted" \\ word\n'), ("role", "assistant"))
)
TEXT = 2 * (len("Grüße 🙂") + len('a "quoted" \\ word\n'))


def count(pieces):
    generated = Generated()
    for piece in pieces:
        generated.feed(piece)
    return generated.characters()


def test_characters_of_a_stream():
    assert TEXT <= count([LINES]) <= TEXT + 1  # an emoji that is escaped is two


@given(st.lists(st.integers(1, 20), min_size=1))
def test_any_split_counts_the_same(sizes):
    assert count(cut(LINES, sizes)) == count([LINES])


@given(st.lists(st.binary()))
def test_no_bytes_make_it_stumble(pieces):
    assert count(pieces) >= 0
    assert asked_tokens(b"".join(pieces)) >= 0
    assert most_tokens(b"".join(pieces)) >= 0


def test_a_line_without_end_is_not_kept():
    generated = Generated()
    for _ in range(100):
        generated.feed(b'"text":"' + b"x" * 10_000)
    assert len(generated._line) < 100_000


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        ({"model": "m", "messages": [{"role": "user", "content": "x" * 400}]}, 100),
        ({"input": ["x" * 200, "x" * 200]}, 100),
        ({"input": [[1, 2, 3]]}, 3),
        ({"contents": [{"parts": [{"text": "x" * 40}, {"inline_data": {"data": "A" * 5_000}}]}]}, 1_510),
        ({"messages": [{"role": "user", "content": "語" * 2_000}]}, 500),
    ],
)
def test_the_input_of_a_request(request_, tokens):
    body = json.dumps(request_).encode()
    assert asked_tokens(body) == tokens
    assert most_tokens(body) >= tokens


@pytest.fixture
def call(watched, local_llm):
    """The row of a stream that is not asked for its usage."""

    def send(reply, *, stops=False, settings=None, **options):
        local_llm.plan = lambda request, number: reply
        options |= {"providers": {local_llm.netloc: "openai"}, "ask_for_usage": False}
        rows = type(watched)(watched.settings.model_copy(update=settings or {}), **options)
        with client(local_llm) as api:
            said = [{"role": "user", "content": "x" * 400}]
            stream = api.chat.completions.create(model="gpt-4o-mini", messages=said, stream=True)
            for _ in range(3):
                next(stream)
            if stops:
                stream.close()
            else:
                list(stream)
        return only(rows())

    return send


def test_a_stream_without_usage_is_estimated_where_that_is_wanted(call):
    row = call(Reply(text="y" * 80, chunks=2), estimate_usage=True)
    assert (row["usage_source"], row["input_tokens"], row["output_tokens"]) == ("estimated", 100, 20)
    assert row["cost_usd"] > 0


def test_so_is_one_that_was_abandoned(call):
    row = call(Reply(chunks=50, chunk_s=0.01), stops=True, settings={"llm_estimate_usage": True})
    assert (row["status"], row["usage_source"]) == ("cancelled", "estimated")
    assert 0 < row["output_tokens"] < 30


def test_what_is_reported_is_never_replaced(call):
    row = call(Reply(usage_in_last=True), estimate_usage=True)
    assert (row["usage_source"], row["input_tokens"]) == ("reported", 100)


def test_without_the_wish_it_is_missing(call):
    row = call(Reply())
    assert (row["usage_source"], row["input_tokens"], row["cost_usd"]) == ("missing", None, None)
