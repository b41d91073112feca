"""The messages of remote read (prompb/remote.proto) as bytes: what is asked, and what a field of an answer is."""

from __future__ import annotations

from analytics.prom.samples import Labels
from analytics.prom.selector import Selector
from store.errors import SourceError

SAMPLES, STREAMED_XOR_CHUNKS = 0, 1
OPERATORS = {"=": 0, "!=": 1, "=~": 2, "!~": 3}


class Unreadable(Exception):
    """The server does not answer in this way, or in a form that we know: take another way."""


def damaged(where: str, reason: str) -> SourceError:
    """The error of an answer that cannot be what was sent, or stored."""
    return SourceError(where, f"remote read: {reason}. Try again; the network or a proxy may be at fault")


def request(selector: Selector, lo: int, hi: int, kind: int) -> bytes:
    """A ReadRequest for `lo` to `hi` (ms, both included), compressed."""
    matchers = b"".join(
        _message(3, _number(1, OPERATORS[each.operator]) + _text(2, each.name) + _text(3, each.value))
        for each in selector.matchers
    )
    query = _number(1, lo) + _number(2, hi) + matchers
    return _snappy(_message(1, query) + _message(2, _varint(kind)))


def _snappy(data: bytes) -> bytes:
    """Snappy's format with nothing made shorter: loading a library for so few bytes would cost a first read 0.15 s.

    Source: https://github.com/google/snappy/blob/main/format_description.txt, literals with a length of four bytes.
    """
    return _varint(len(data)) + b"\xfc" + (len(data) - 1).to_bytes(4, "little") + data


def read_labels(packed: bytes) -> Labels:
    """Labels as they lie in the message of a series, one after the other."""
    labels, at = {}, 0
    while at < len(packed):
        _, inner, at = field(packed, at, len(packed))
        texts = ["", ""]
        while inner < at:
            tag, begin, inner = field(packed, inner, at)
            if tag in (0x0A, 0x12):
                texts[tag >> 4] = packed[begin:inner].decode(errors="replace")
        labels[texts[0]] = texts[1]
    return labels


def field(data: bytes | bytearray, at: int, end: int) -> tuple[int, int, int]:
    """The next field of a message: its tag, where its content begins, and where it ends.

    Raises:
        ValueError, IndexError: it is damaged.
    """
    tag, at = data[at], at + 1
    if tag >= 0x80:
        tag, at = read_varint(data, at - 1)
    kind = tag & 7
    if kind == 2:
        size, at = data[at], at + 1
        if size >= 0x80:
            size, at = read_varint(data, at - 1)
        after = at + size
    elif kind == 0:
        after = read_varint(data, at)[1]
    elif kind in (1, 5):
        after = at + (8 if kind == 1 else 4)
    else:
        raise ValueError(f"field of kind {kind}")
    if after > end:
        raise ValueError("field beyond its message")
    return tag, at, after


def read_varint(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """A varint and where it ends.

    Raises:
        ValueError, IndexError: it is damaged, or cut off.
    """
    value = 0
    for n in range(10):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << 7 * n
        if byte < 0x80:
            return value, at
    raise ValueError("number of more than 64 bits")


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())
