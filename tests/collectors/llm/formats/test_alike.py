"""Events that are known without being parsed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.llm.formats.alike import Alike

FIELDS = (b"content", b"text")


def chat(text, *, spaced=False, **more):
    chunk = {"id": "c", "choices": [{"delta": {"content": text}, "finish_reason": None}], **more}
    return b"data: " + json.dumps(chunk, separators=None if spaced else (",", ":")).encode() + b"\n\n"


def knows(learned, event):
    alike = Alike(*FIELDS)
    alike.learn(learned)
    return alike.fits(event)


@given(st.text(min_size=1), st.text(min_size=1), st.booleans())
def test_another_text_fits(first, second, spaced):
    assert knows(chat(first, spaced=spaced), chat(second, spaced=spaced))
    assert knows(chat(first, obfuscation="aB3"), chat(second, obfuscation=""))
    assert knows(chat(first, p="abc"), chat(second, p="abcdefghi"))


def test_several_events_fit_at_once():
    assert knows(chat("first"), chat("a") + chat("b c") + chat("{}"))


@pytest.mark.parametrize(
    "event",
    [
        chat(""),
        chat("a", usage={"prompt_tokens": 1}),
        chat("a", obfuscation="x"),
        chat("a") + chat(""),
        chat("") + chat("a"),
        chat("a") + chat("b")[:-1],
        chat("a") + chat("b", usage={"prompt_tokens": 1}) + chat("c"),
        chat("a") + b"data: [DONE]\n\n",
        chat("a")[:-1],
        chat("a").replace(b"null", b'"stop"'),
        chat("a").replace(b'"c"', b'"d"'),
        chat("a").replace(b'"a"', b'"a\n\ndata: [DONE]\n\n"'),
        chat("a").replace(b'"a"', b'"a","b":"c"'),
        chat("a").replace(b'"a"', b"null"),
        b"",
        b"data: [DONE]\n\n",
    ],
)
def test_anything_else_does_not(event):
    assert knows(chat("x"), chat("y"))
    assert not knows(chat("x"), event)


def test_padding_is_padding_only_at_the_end():
    learned = chat("x", obfuscation="abc")
    assert not knows(learned, chat("y", obfuscation="abc", usage={"prompt_tokens": 1}))
    assert not knows(learned, chat("y", obfuscation='a"b'))
    assert not knows(learned, chat("y"))


def test_spaces_between_braces_do_not_count():
    def event(spaces, text):
        return b'event: e\ndata: {"delta":{"text":"' + text + b'"}' + b" " * spaces + b"}\n\n"

    assert knows(event(0, b"a"), event(7, b"b"))
    assert knows(event(5, b"a"), event(0, b"b"))
    assert not knows(event(0, b"a"), event(0, b'b"},"usage":{"n":1'))


def test_counts_may_differ():
    def event(text, counted, ending=""):
        return (
            f'data: {{"parts": [{{"text": "{text}"}}]{ending},"usageMetadata": {{"n": {counted}}},"id": "x1"}}\r\n\r\n'
        ).encode()

    assert knows(event("a", 1), event("b", 123))
    assert not knows(event("a", 1), event("b", 123, ',"finishReason": "STOP"'))
    assert not knows(event("a", 1), event("b", '1,"m": 2'))


def test_an_event_without_one_text_is_not_learned():
    alike = Alike(*FIELDS)
    assert not alike.fits(b"")
    for event in (chat(""), chat("a") + chat("b"), b"data: {}\n\n", b'data: {"content":"', b'{"content":7}'):
        alike.learn(event)
        assert not alike.fits(event)
