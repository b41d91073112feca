import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.llm.formats import sse
from collectors.llm.formats.sse import Splitter, data_of
from tests.collectors.llm.formats.reading import cut

PIECES = st.lists(
    st.sampled_from([b"data: x", b"data:", b"\n", b"\r", b"\r\n", b"\n\n", b": ping", b"event: e"]), max_size=30
)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_each_kind_of_line_end(end):
    events = [b"data: 1" + end + end, b": comment" + end + b"data: 2" + end + end]
    splitter = Splitter()
    got = [*splitter.feed(b"".join(events)), splitter.rest()]
    assert [event for event in got if event] == events
    assert [data_of(event) for event in events] == [b"1", b"2"]


@given(PIECES, st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_no_byte_is_lost_and_the_split_does_not_matter(pieces, sizes):
    stream = b"".join(pieces)
    whole, bits = Splitter(), Splitter()
    at_once = [*whole.feed(stream), whole.rest()]
    in_bits = [*(event for piece in cut(stream, sizes) for event in bits.feed(piece)), bits.rest()]
    assert b"".join(at_once) == b"".join(in_bits) == stream
    assert [data_of(event) for event in at_once if data_of(event)] == [
        data_of(event) for event in in_bits if data_of(event)
    ]


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data:1\n\n", b"1"),
        (b"data: 1\n\n", b"1"),
        (b"data:  1\n\n", b" 1"),
        (b"id: 7\nevent: x\ndata: a\ndata: b\n\n", b"a\nb"),
        (b": data: no\n\n", b""),
        (b"data: has data: inside\n\n", b"has data: inside"),
    ],
)
def test_data_of(event, data):
    assert data_of(event) == data


def test_an_endless_event_is_passed_on(monkeypatch):
    monkeypatch.setattr(sse, "LIMIT_BYTES", 100)
    splitter = Splitter()
    assert splitter.feed(b"x" * 100) == []
    assert splitter.feed(b"y") == [b"x" * 100 + b"y"]
    assert splitter.feed(b"\n\ndata: 1\n\n") == [b"\n\n", b"data: 1\n\n"]
