"""The objects of a JSON array cut out of a byte stream as it arrives."""

from __future__ import annotations

import re
from typing import Final

from collectors.llm.formats.sse import LIMIT_BYTES

_OUTSIDE: Final = re.compile(rb'"[^"\\]*"|["{}]')  # a whole plain string at once, or what changes the state
_INSIDE: Final = re.compile(rb'["\\]')
_QUOTE, _OPEN, _CLOSE = b'"{}'


class ObjectSplitter:
    """Cuts an array into its objects, each with the comma and the space before it; joined, they are the stream.

    >>> objects = ObjectSplitter()
    >>> objects.feed(b'[{"a": "}"}'), objects.feed(b', {"b": '), objects.feed(b"{}}]"), objects.rest()
    ([b'[{"a": "}"}'], [], [b', {"b": {}}'], b']')
    """

    def __init__(self) -> None:
        self.held = bytearray()  # of the object that has not ended yet
        self._at = 0  # as far as it has been looked at
        self._depth = 0
        self._in_string = False

    def feed(self, data: bytes) -> list[bytes]:
        """The objects that `data` completes."""
        self.held += data
        held, objects, start = self.held, [], 0
        while found := (_INSIDE if self._in_string else _OUTSIDE).search(held, self._at):
            sign = held[found.start()]
            self._at = found.end()
            if self._in_string:
                if sign == _QUOTE:
                    self._in_string = False
                elif self._at == len(held):
                    self._at -= 1  # a backslash: what it escapes is in the next read
                    break
                else:
                    self._at += 1
            elif sign == _QUOTE:
                self._in_string = found.end() - found.start() == 1
            elif sign == _OPEN:
                self._depth += 1
            elif sign == _CLOSE:
                self._depth -= 1
                if self._depth <= 0:
                    self._depth = 0
                    objects.append(bytes(held[start : self._at]))
                    start = self._at
        else:
            self._at = len(held)
        if len(held) - start > LIMIT_BYTES:
            objects.append(bytes(held[start:]))
            start = len(held)
        del held[:start]
        self._at = max(0, self._at - start)
        return objects

    def rest(self) -> bytes:
        """What is left when the stream has ended."""
        left = bytes(self.held)
        self.held.clear()
        self._at = 0
        return left
