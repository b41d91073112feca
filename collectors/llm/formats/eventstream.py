"""AWS's binary event stream cut into its messages, and what one message says.

Source: https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import struct
from typing import Final
from zlib import crc32

from collectors.llm.formats.sse import LIMIT_BYTES

_PRELUDE: Final = struct.Struct(">III")  # length of the message, length of its headers, checksum of these two
_CHECKSUM: Final = struct.Struct(">I")
_SHORTEST: Final = _PRELUDE.size + _CHECKSUM.size
_STRING: Final = 7
_SIZES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}  # by type: booleans, integers, a time, a uuid
_BYTES: Final = 6  # it and a string have their length before them


class MessageSplitter:
    """Cuts a stream into messages; joined, they are the stream. What follows a broken prelude is passed on unread."""

    def __init__(self) -> None:
        self.held = bytearray()  # of the message that has not ended yet
        self._broken = False

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes."""
        if self._broken:
            return [data]
        self.held += data
        held, messages, start = self.held, [], 0
        while len(held) - start >= _PRELUDE.size:
            size, _, checksum = _PRELUDE.unpack_from(held, start)
            if size < _SHORTEST or size > LIMIT_BYTES or crc32(held[start : start + 8]) != checksum:
                self._broken = True
                messages.append(bytes(held[start:]))
                start = len(held)
            elif len(held) - start < size:
                break
            else:
                messages.append(bytes(held[start : start + size]))
                start += size
        del held[:start]
        return messages

    def rest(self) -> bytes:
        """What is left when the stream has ended."""
        left = bytes(self.held)
        self.held.clear()
        return left


def content(message: bytes) -> bytes:
    """The headers and the payload of a message, as they are written."""
    return message[_PRELUDE.size : -_CHECKSUM.size]


def is_whole(message: bytes) -> bool:
    """Whether these bytes are one message, and not damaged."""
    size = len(message)
    return (
        size >= _SHORTEST
        and int.from_bytes(message[:4], "big") == size
        and crc32(message[: -_CHECKSUM.size]) == int.from_bytes(message[-_CHECKSUM.size :], "big")
    )


def read_message(message: bytes) -> tuple[dict[str, str], bytes] | None:
    """The headers of a message that are strings, and its payload; None where it is damaged."""
    if not is_whole(message):
        return None
    _, headers_size, _ = _PRELUDE.unpack_from(message)
    end = _PRELUDE.size + headers_size
    if end > len(message) - _CHECKSUM.size:
        return None
    try:
        return _headers(message, _PRELUDE.size, end), message[end : -_CHECKSUM.size]
    except (IndexError, KeyError, struct.error):  # whole, but not as the standard says
        return None


def _headers(message: bytes, at: int, end: int) -> dict[str, str]:
    headers = {}
    while at < end:
        name = message[at + 1 : at + 1 + message[at]]
        at += 1 + len(name)
        kind = message[at]
        at += 1
        if kind in {_BYTES, _STRING}:
            (length,) = struct.unpack_from(">H", message, at)
            at += 2
            if kind == _STRING:
                headers[name.decode("utf-8", "replace")] = message[at : at + length].decode("utf-8", "replace")
            at += length
        else:
            at += _SIZES[kind]
    return headers
