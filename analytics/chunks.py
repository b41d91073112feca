"""Prometheus' XOR chunks into arrays: thousands of chunks at once, the n-th sample of each in one go.

The format is that of github.com/prometheus/prometheus, tsdb/docs/format/chunks.md, after Pelkonen et al., "Gorilla",
VLDB 2015: the number of samples in two bytes, the first time and value whole, then differences of differences of times
and the bits in which a value differs from the one before. The samples of a chunk can be read only one after the other,
but chunks do not depend on each other. numpy walks through all of them in step, which needs no compiler and no compiled
code, and no damaged chunk can make it read where it should not.
"""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Bits: TypeAlias = NDArray[np.uint64]

PADDING = 64  # bytes behind the chunks: more than a sample can have
CHECKED_EVERY = 256  # steps; past its end a chunk is read as if it went on, until that is seen
BLOCK = 16_000  # chunks in step: their state fits into a processor's cache
STALE = np.uint64(0x7FF0000000000002)  # the NaN that says "the series has ended"; other NaNs are values

_0, _1, _2, _3, _4, _6, _7, _8 = (np.uint64(n) for n in (0, 1, 2, 3, 4, 6, 7, 8))
_32, _56, _58, _59, _60, _62, _63, _64 = (np.uint64(n) for n in (32, 56, 58, 59, 60, 62, 63, 64))
_BYTE, _MORE, _ZERO_BIT = np.uint64(0x7F), np.uint64(0x80), np.uint64(1 << 63)
# By the first four bits of a time: how many of them are a prefix (0, 10, 110, 1110, 1111), and how many bits follow.
_PREFIX = np.array([1] * 8 + [2] * 4 + [3] * 2 + [4, 4], dtype=np.uint64)
_WIDTH = np.array([0] * 8 + [14] * 4 + [17] * 2 + [20, 64], dtype=np.uint64)
# By the first two bits of a value: 0 the same value, 10 the same window of bits, 11 a new window.
_CONTROL = np.array([1, 1, 2, 13], dtype=np.uint64)
_SIZE = np.array([64, *range(1, 64)], dtype=np.uint64)  # of a new window, as its six bits say it


class Damaged(ValueError):
    """A chunk is no chunk. The message says what is wrong with it."""


def counts(data: bytes | bytearray, begins: Ints) -> Ints:
    """How many samples the chunks that begin at these offsets of `data` say that they have."""
    whole = np.frombuffer(data, dtype=np.uint8)
    return whole[begins].astype(np.int64) * 256 + whole[begins + 1]


def words(data: bytearray) -> Bits:
    """Bytes as the words that `unpack` reads, each with its first bit on top. They are turned where they lie."""
    data += bytes(PADDING + -len(data) % 8)
    turned = np.frombuffer(data, dtype=np.uint64)
    return turned.byteswap(inplace=True) if sys.byteorder == "little" else turned


def unpack(packed: Bits, begins: Ints, ends: Ints, counts: Ints) -> tuple[Ints, Bits]:
    """The samples of chunks, one chunk after the other.

    Args:
        packed: `words` of the bytes in which the chunks lie.
        begins: offset of each chunk in these bytes.
        ends: where it ends.
        counts: how many samples it has.

    Returns:
        Milliseconds since 1970, and the bits of the values, each of length `counts.sum()`.

    Raises:
        Damaged: a chunk is shorter than its samples need.
    """
    total = int(counts.sum())
    times, bits = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.uint64)
    if (ends - begins < 2).any() or (ends > 8 * len(packed) - PADDING).any():
        raise Damaged("a chunk is cut off")
    some = counts > 0
    begins, ends, counts = begins[some], ends[some], counts[some]
    at = 0
    for begin in range(0, len(begins), BLOCK):
        block = slice(begin, begin + BLOCK)
        order = np.argsort(-counts[block], kind="stable")  # so that those that still have samples are the first
        held = counts[block][order]
        count = int(held.sum())
        whens, whats = _unpack(packed, begins[block][order], ends[block][order], held)
        _turn(whens, order, held, times[at : at + count])
        _turn(whats, order, held, bits[at : at + count])
        at += count
    return times, bits


def _turn(by_step: NDArray[Any], order: Ints, held: Ints, out: NDArray[Any]) -> None:
    """Write the samples of each chunk side by side into `out`, the chunks in the order that they had."""
    if held[0] == held[-1]:
        out.reshape(len(held), -1)[order] = by_step.T
        return
    turned = np.empty(by_step.shape[::-1], dtype=by_step.dtype)
    turned[order] = by_step.T
    counts = np.empty_like(held)
    counts[order] = held
    out[:] = turned[np.arange(len(by_step)) < counts[:, None]]


def _unpack(packed: Bits, begins: Ints, ends: Ints, held: Ints) -> tuple[Ints, Bits]:
    """One row per step, one column per chunk; `held`, how many samples each has, falls."""
    steps = int(held[0])
    times, values = np.empty((steps, len(held)), dtype=np.int64), np.empty((steps, len(held)), dtype=np.uint64)
    left = np.searchsorted(-held, -np.arange(steps), side="left").tolist()  # chunks that have a sample at this step
    end = ends.astype(np.uint64) << _3
    leading, size = np.zeros(len(held), dtype=np.uint64), np.full(len(held), 64, dtype=np.uint64)
    first, bit = _varint(packed, (begins.astype(np.uint64) + _2) << _3)
    time = (first >> _1).view(np.int64) ^ -(first & _1).view(np.int64)  # zigzag
    value, delta = _peek(packed, bit), np.zeros(len(held), dtype=np.int64)
    bit = bit + _64
    times[0], values[0] = time, value
    chunks = left[0]
    for step in range(1, steps):
        if step % CHECKED_EVERY == 0:
            _check(bit, end)
        if left[step] < chunks:
            _check(bit[left[step] :], end[left[step] :])
            chunks = left[step]
            time, delta = time[:chunks], delta[:chunks]
            value, leading, size = value[:chunks], leading[:chunks], size[:chunks]
            bit, end = bit[:chunks], end[:chunks]
        if step == 1:
            number, bit = _varint(packed, bit)
            delta = number.view(np.int64)
            word = _peek(packed, bit)
        else:
            delta, bit, word = _delta(packed, delta, bit)
        time = time + delta
        value, leading, size, bit = _value(packed, word, value, leading, size, bit)
        times[step, :chunks], values[step, :chunks] = time, value
    _check(bit, end)
    return times, values


def _delta(packed: Bits, delta: Ints, bit: Bits) -> tuple[Ints, Bits, Bits]:
    """The next difference of times, where it ends, and the bits that follow."""
    word = _peek(packed, bit)
    if not (word >= _ZERO_BIT).any():  # on the clock, all of them
        word <<= _1
        return delta, bit + _1, word
    top = (word >> _60).view(np.int64)
    prefix, width = _PREFIX.take(top), _WIDTH.take(top)
    number = (word << prefix) >> (_64 - width)
    whole = width == _64
    far = bool(whole.any())
    if far:
        number[whole] = _peek(packed, (bit + _4)[whole])
    span = _1 << width  # 0 where the width is 64: such a number has its sign already
    change = number.view(np.int64) - np.where(number > span >> _1, span, _0).view(np.int64)
    if far:
        change[whole] = number[whole].view(np.int64)
    bit = bit + (prefix + width)
    return delta + change, bit, _peek(packed, bit) if far else word << (prefix + width)


def _value(packed: Bits, word: Bits, value: Bits, leading: Bits, size: Bits, bit: Bits) -> tuple[Bits, ...]:
    """The next value, the window of its bits that changed, and where it ends; `word` is what lies at `bit`."""
    control = word >> _62
    fresh = control == _3
    leading = np.where(fresh, (word << _2) >> _59, leading)
    size = np.where(fresh, _SIZE.take(((word << _7) >> _58).view(np.int64)), size)
    behind = _64 - leading - size
    if (behind > _64).any():  # below zero
        raise Damaged("a value has more than 64 bits")
    bit = bit + _CONTROL.take(control.view(np.int64))
    changed = _peek(packed, bit)
    changed >>= _64 - size
    changed <<= behind
    moved = control >= _2
    changed *= moved
    return value ^ changed, leading, size, bit + size * moved


def _peek(packed: Bits, bit: Bits) -> Bits:
    """The 64 bits from `bit` on."""
    at = (bit >> _6).view(np.int64)
    shift = bit & _63
    word = packed.take(at, mode="clip")
    word <<= shift
    rest = packed.take(at + 1, mode="clip")
    rest >>= _64 - shift  # numpy shifts by 64 to zero
    word |= rest
    return word


def _varint(packed: Bits, bit: Bits) -> tuple[Bits, Bits]:
    """A number of seven bits a byte, and where it ends."""
    number, going = np.zeros_like(bit), np.ones(len(bit), dtype=bool)
    for n in range(10):
        byte = _peek(packed, bit) >> _56
        number |= np.where(going, (byte & _BYTE) << np.uint64(7 * n), _0)
        bit = bit + np.where(going, _8, _0)
        going &= byte >= _MORE
        if not going.any():
            return number, bit
    raise Damaged("a time has more than 64 bits")


def _check(bit: Bits, end: Bits) -> None:
    if (bit > end).any():
        raise Damaged("a chunk ends before its last sample")
