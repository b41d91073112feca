"""Lines, objects of an array, and AWS's messages cut out of a byte stream."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.llm.formats import array, eventstream, ndjson, sse
from collectors.llm.formats.array import ObjectSplitter
from collectors.llm.formats.eventstream import MessageSplitter, read_message
from collectors.llm.formats.ndjson import LineSplitter
from tests.collectors.llm.formats.reading import aws, cut, frame

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=5)
LEAVES = st.none() | st.integers(0, 9) | st.text(alphabet='a"\\{}[],:\n\u2603', max_size=8)
OBJECTS = st.dictionaries(
    st.text(max_size=3), st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
)


def split(splitter, pieces):
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return events, splitter.rest()


@settings(max_examples=50, deadline=None)
@given(st.lists(OBJECTS, max_size=4), SIZES, st.sampled_from([None, 2]), st.sampled_from([b",", b",\r\n", b" , "]))
def test_objects_of_an_array(objects, sizes, indent, comma):
    stream = b"[" + comma.join(json.dumps(value, indent=indent).encode() for value in objects) + b"\n]"
    events, left = split(ObjectSplitter(), cut(stream, sizes))
    assert b"".join(events) + left == stream
    assert [json.loads(event[event.index(b"{") :]) for event in events] == objects


@given(st.binary(max_size=60), SIZES)
def test_objects_of_anything(stream, sizes):
    events, left = split(ObjectSplitter(), cut(stream, sizes))
    assert (events, left) == split(ObjectSplitter(), [stream])
    assert b"".join(events) + left == stream


@given(st.lists(st.sampled_from([b"{}", b"\n", b"\r\n", b"a\rb", b""])), SIZES)
def test_lines(pieces, sizes):
    stream = b"".join(pieces)
    lines, left = split(LineSplitter(), cut(stream, sizes))
    assert b"".join(lines) + left == stream
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert b"\n" not in left


@given(st.lists(st.binary(max_size=30), max_size=6), SIZES)
def test_messages(payloads, sizes):
    stream = b"".join(aws("chunk", payload) for payload in payloads)
    messages, left = split(MessageSplitter(), cut(stream, sizes))
    assert left == b""
    assert [read_message(message)[1] for message in messages] == payloads
    assert all(read_message(message)[0][":event-type"] == "chunk" for message in messages)


@given(st.binary(max_size=80), SIZES)
def test_messages_of_anything(stream, sizes):
    messages, left = split(MessageSplitter(), cut(stream, sizes))
    assert b"".join(messages) + left == stream
    for message in [*messages, stream]:
        read_message(message)


@given(st.data())
def test_a_damaged_message_is_not_read(data):
    message = bytearray(aws("chunk", b'{"bytes":"e30="}'))
    message[data.draw(st.integers(0, len(message) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert read_message(bytes(message)) is None


def test_every_type_of_header():
    kinds = b"".join(
        bytes([1]) + name + bytes([kind]) + value
        for name, kind, value in [
            (b"a", 0, b""), (b"b", 1, b""), (b"c", 2, b"x"), (b"d", 3, b"xx"), (b"e", 4, b"x" * 4), (b"f", 5, b"x" * 8),
            (b"g", 6, b"\0\3xyz"), (b"h", 7, b"\0\2hi"), (b"i", 8, b"x" * 8), (b"j", 9, b"x" * 16), (b"k", 7, b"\0\0"),
        ]
    )  # fmt: skip
    whole = frame(b"", {})
    assert read_message(whole) == ({}, b"")
    assert eventstream._headers(b"\0" * 12 + kinds, 12, 12 + len(kinds)) == {"h": "hi", "k": ""}


@pytest.mark.parametrize(("module", "splitter"), [(ndjson, LineSplitter), (array, ObjectSplitter), (sse, sse.Splitter)])
def test_an_endless_event_is_passed_on(monkeypatch, module, splitter):
    monkeypatch.setattr(module, "LIMIT_BYTES", 100)
    endless = splitter()
    assert endless.feed(b"{" + b"x" * 99) == []
    assert endless.feed(b"y") == [b"{" + b"x" * 99 + b"y"]
    assert not endless.held


def test_a_message_that_claims_to_be_huge_is_passed_on():
    stream = frame(b"x" * 100, {})
    assert split(MessageSplitter(), [b"\xff" + stream[1:], b"more"]) == ([b"\xff" + stream[1:], b"more"], b"")
