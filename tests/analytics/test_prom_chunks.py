"""The decoder of XOR chunks, against what promtool writes and against a decoder that goes bit by bit."""

from __future__ import annotations

import math
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import chunks
from tests.fix_prometheus_history import START, write_blocks

XOR = 1
NAN = 0x7FF8000000000001  # as Go writes it


class Reader:
    """Bit by bit, as tsdb/chunkenc/xor.go does it."""

    def __init__(self, data: bytes) -> None:
        self.bits = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def take(self, count: int) -> int:
        if self.at + count > len(self.bits):
            raise EOFError
        self.at += count
        return int(self.bits[self.at - count : self.at] or "0", 2)

    def varint(self) -> int:
        value = 0
        for n in range(10):
            byte = self.take(8)
            value |= (byte & 0x7F) << 7 * n
            if byte < 0x80:
                return value & (1 << 64) - 1
        raise EOFError


def naive(data: bytes) -> list[tuple[int, int]]:
    """Times and bits of a chunk, or EOFError."""
    reader = Reader(data)
    samples: list[tuple[int, int]] = []
    t = delta = value = leading = 0
    size = 64
    for k in range(reader.take(16)):
        if k == 0:
            zigzag = reader.varint()
            t = (zigzag >> 1) ^ -(zigzag & 1)
            value = reader.take(64)
        else:
            if k == 1:
                delta = reader.varint()
            else:
                prefix = 0
                while prefix < 4 and reader.take(1):
                    prefix += 1
                width = (0, 14, 17, 20, 64)[prefix]
                change = reader.take(width)
                if width not in (0, 64) and change > 1 << width - 1:
                    change -= 1 << width
                delta += change
            t += delta
            if reader.take(1):
                if reader.take(1):
                    leading, size = reader.take(5), reader.take(6) or 64
                    if leading + size > 64:
                        raise EOFError
                value ^= reader.take(size) << 64 - leading - size
        samples.append((signed(t), value))
    return samples


def signed(number: int) -> int:
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def unpack(parts: list[bytes]) -> list[tuple[int, int]]:
    data = bytearray(b"".join(parts))
    ends = np.cumsum([len(part) for part in parts])
    begins = ends - [len(part) for part in parts]
    counts = chunks.counts(data, begins)
    times, bits = chunks.unpack(chunks.words(data), begins, ends, counts)
    return list(zip(times.tolist(), bits.tolist(), strict=True))


def stored(folder: Path) -> list[bytes]:
    """The chunks in the blocks of a server (tsdb/docs/format/chunks.md)."""
    found = []
    for file in sorted(folder.glob("*/chunks/*")):
        data, at = file.read_bytes(), 8
        while at < len(data):
            size = shift = 0
            while True:
                size |= (data[at] & 0x7F) << shift
                at, shift = at + 1, shift + 7
                if data[at - 1] < 0x80:
                    break
            assert data[at] == XOR
            found.append(data[at + 1 : at + 1 + size])
            at += 1 + size + 4
    return found


VALUES = (
    st.floats(allow_nan=True, allow_infinity=True) | st.integers(0, 10_000).map(float) | st.sampled_from([0.0, 5.0])
)
GAPS = st.integers(1, 30) | st.sampled_from([1, 14_999, 15_000, 15_001, 60_000]) | st.integers(1, 4_000_000)
SERIES = st.lists(st.tuples(GAPS, VALUES), min_size=1, max_size=300)


def meaning(number: float) -> int:
    return NAN if math.isnan(number) else struct.unpack("<Q", struct.pack("<d", number))[0]


def check_against_promtool(series: list[list[tuple[int, float]]]) -> None:
    families, expected = [], []
    for n, steps in enumerate(series):
        at, points = START * 1000, []
        for gap, value in steps:
            at += gap
            if at > (START + 20 * 3600) * 1000:
                break
            points.append((at / 1000, repr(value).replace("inf", "Inf").replace("nan", "NaN")))
            expected.append((at, meaning(value)))
        if points:
            families.append((f"t{n}", "gauge", [("", points)]))
    with tempfile.TemporaryDirectory() as name:
        write_blocks(Path(name) / "data", families)
        parts = stored(Path(name) / "data")
    found = unpack(parts)
    assert sorted(found) == sorted(expected)
    assert found == [sample for part in parts for sample in naive(part)]


@settings(max_examples=40, deadline=None)
@given(st.lists(SERIES, min_size=1, max_size=4))
def test_what_promtool_wrote_is_what_it_was_given(series):
    check_against_promtool(series)


def test_many_chunks_of_different_lengths_at_once(monkeypatch):
    monkeypatch.setattr(chunks, "BLOCK", 7)
    steps = [[(15_000 + (n * k) % 7, float(n * k % 13)) for k in range(20 + 53 * n)] for n in range(9)]
    check_against_promtool(steps)


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> list[bytes]:
    """Two chunks, one on the clock and one not."""
    folder = tmp_path_factory.mktemp("parts") / "data"
    even = [(START + 60 * k, str(k * k)) for k in range(100)]
    uneven = [(START + 60 * k + (k * k % 11) / 100, str(1 / (k + 1))) for k in range(100)]
    write_blocks(folder, [("even", "gauge", [("", even)]), ("uneven", "gauge", [("", uneven)])])
    found = [part for part in stored(folder) if len(naive(part)) > 50]
    assert len(found) == 2
    return found


@pytest.mark.drill
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_chunk_is_an_error_or_what_a_slow_reader_makes_of_it(parts, data):
    damage_and_compare(parts, data)


def damage_and_compare(parts: list[bytes], data: st.DataObject) -> None:
    part = bytearray(parts[data.draw(st.integers(0, 1))])
    for _ in range(data.draw(st.integers(1, 5))):
        part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    part = part[: data.draw(st.integers(0, len(part)))] if data.draw(st.booleans()) else part
    try:
        expected = naive(bytes(part))
    except EOFError:
        with pytest.raises(chunks.Damaged):
            unpack([parts[0], bytes(part), parts[1]])
        return
    assert unpack([parts[0], bytes(part), parts[1]]) == [*naive(parts[0]), *expected, *naive(parts[1])]


@pytest.mark.parametrize("part", [b"", b"\0", b"\0\1", b"\xff\xff", b"\0\2" + b"\xff" * 40])
def test_rubbish_is_an_error(part):
    if len(part) < 2:
        with pytest.raises(chunks.Damaged, match="cut off"):
            chunks.unpack(chunks.words(bytearray(part)), np.array([0]), np.array([len(part)]), np.array([1]))
    else:
        with pytest.raises(chunks.Damaged):
            unpack([part])


def test_none_and_empty_chunks():
    none = np.array([], dtype=np.int64)
    times, bits = chunks.unpack(chunks.words(bytearray()), none, none, none)
    assert len(times) == len(bits) == 0
    assert unpack([b"\0\0"]) == []


def test_the_longest_steps_there_are():
    """Differences of differences that need 64 bits, and all limits of the shorter ones, written by hand."""
    limits = [8191, 8192, -8191, 65_536, -65_535, 524_288, -524_287, 524_289, -600_000, 0, 1 << 40, -(1 << 40)]
    bits = f"{len(limits) + 2:016b}" + "".join(f"{byte:08b}" for byte in varint(2 * START * 1000)) + "0" * 64
    bits += "".join(f"{byte:08b}" for byte in varint(1 << 41)) + "0"
    expected, t, delta = [(START * 1000, 0)], START * 1000 + (1 << 41), 1 << 41
    expected.append((t, 0))
    for change in limits:
        prefix, width = next(
            (p, w) for p, w in (("0", 0), ("10", 14), ("110", 17), ("1110", 20), ("1111", 64)) if fits(change, w)
        )
        bits += prefix + (f"{change % (1 << width):0{width}b}" if width else "") + "0"
        delta += change
        t += delta
        expected.append((t, 0))
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    assert naive(data) == expected
    assert unpack([data]) == expected


def fits(change: int, width: int) -> bool:
    return change == 0 if width == 0 else 1 - (1 << width - 1) <= change <= 1 << width - 1


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
