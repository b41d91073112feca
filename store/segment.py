"""A segment of the spool: a file of records, each under two checksums, read past whatever is damaged."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple
from zlib import crc32

MAGIC = b"\xf5spl"  # its first byte is in no UTF-8 text
_FIELDS = struct.Struct("<4sIIdI")
_CHECK = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CHECK.size
_CHUNK = 1 << 20


class Header(NamedTuple):
    """What stands before a payload. It has a checksum of its own, so that its length can be trusted."""

    length: int  # bytes of the payload
    rows: int
    at_s: float  # when it was written, by the wall clock
    check: int  # crc32 of the payload


@dataclass(frozen=True)
class Found:
    """What lies between two offsets: a record, or something damaged (`payload` is None).

    `damage` is "torn" for the end of a file that was not written whole, "corrupt" for all else. `rows` is None where
    the header is gone.
    """

    start: int
    end: int
    header: Header | None
    payload: bytes | None
    damage: Literal["torn", "corrupt"] | None = None

    @property
    def rows(self) -> int | None:
        return None if self.header is None else self.header.rows


def header(payload: bytes, rows: int) -> bytes:
    """The header for `payload`, which holds `rows` rows."""
    fields = _FIELDS.pack(MAGIC, len(payload), rows, time.time(), crc32(payload))
    return fields + _CHECK.pack(crc32(fields))


def find(file: int, start: int, end: int) -> Found | None:
    """The record at `start` of the open `file`, which has `end` bytes; None at its end.

    Where no header is at `start`, what is damaged reaches up to the next one: a flipped bit costs its own record.
    """
    if start >= end:
        return None
    head = header_at(file, start)
    if head is None:
        beyond = _next_header(file, start + 1, end)
        return Found(start, beyond, None, None, "torn" if beyond == end else "corrupt")
    until = start + HEADER_BYTES + head.length
    if until > end:
        return Found(start, end, head, None, "torn")
    payload = _read(file, head.length, start + HEADER_BYTES)
    if crc32(payload) == head.check:
        return Found(start, until, head, payload)
    return Found(start, until, head, None, "torn" if until == end else "corrupt")


def rows_from(file: int, start: int, end: int) -> Iterator[int]:
    """How many rows each record from `start` on has, by the headers alone."""
    while start < end:
        head = header_at(file, start)
        if head is None:
            start = _next_header(file, start + 1, end)
        else:
            yield head.rows
            start += HEADER_BYTES + head.length


def header_at(file: int, offset: int) -> Header | None:
    """The header at `offset`, if one is there and whole."""
    raw = _read(file, HEADER_BYTES, offset)
    if len(raw) < HEADER_BYTES or not raw.startswith(MAGIC):
        return None
    if _CHECK.unpack_from(raw, _FIELDS.size)[0] != crc32(raw[: _FIELDS.size]):
        return None
    return Header(*_FIELDS.unpack_from(raw)[1:])


def _next_header(file: int, offset: int, end: int) -> int:
    """The offset of the first whole header from `offset` on; `end` where there is none."""
    while offset < end:
        chunk = _read(file, _CHUNK, offset)
        at = chunk.find(MAGIC)
        while at >= 0:
            if header_at(file, offset + at) is not None:
                return offset + at
            at = chunk.find(MAGIC, at + 1)
        if len(chunk) < _CHUNK:
            break
        offset += _CHUNK - len(MAGIC) + 1  # the magic may lie across two chunks
    return end


def _read(file: int, length: int, offset: int) -> bytes:
    try:
        return os.pread(file, length, offset)
    except OSError:  # a bad sector is damage like any other
        return b""
