"""Knows at once an event that differs from an earlier one in nothing but its text, so that it need not be parsed."""

from __future__ import annotations

import re
from typing import Final

_TEXT: Final = re.compile(rb'[^"\\\r\n]*(?:\\.[^"\\\r\n]*)*(?=")')  # a string of JSON as far as its closing quote
_PADDING: Final = re.compile(rb'"(?:obfuscation|p)": ?"(?=[A-Za-z0-9]*"}\s*\Z)')  # of random length, against listeners
_USAGE: Final = re.compile(rb'"usageMetadata": ?\{')
_ALPHANUMERIC: Final = bytes(sorted(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
_DIGITS: Final = b"0123456789"


class Alike:
    r"""Remembers one event as what stands before its text and what stands behind it.

    Whatever was read from that event would be read from one that fits, but for the time: between the two there is one
    string of JSON that is not empty (a quote in it is escaped), and behind it only padding or counts may vary.

    >>> alike = Alike(b"content")
    >>> alike.learn(b'data: {"id":"1","delta":{"content":"a"}}\n\n')
    >>> alike.fits(b'data: {"id":"1","delta":{"content":"so \\"b\\""}}\n\n')
    True
    >>> alike.fits(b'data: {"id":"1","delta":{"content":"c"},"finish_reason":"stop"}\n\n')
    False
    """

    __slots__ = ("_behind", "_fields", "_foot", "_from", "_head", "_ignored", "_tail")

    def __init__(self, *fields: bytes) -> None:
        """`fields`: the names that the text may go by; the first that is there once is taken."""
        self._fields = tuple(b'"' + field + b'":' + space + b'"' for field in fields for space in (b"", b" "))
        self._head = b"\0"  # fits nothing
        self._from = 0
        self._tail = self._behind = self._foot = self._ignored = b""

    def learn(self, event: bytes) -> None:
        """Remember this event, whatever it says; not where no text is found in it."""
        for field in self._fields:
            start = event.find(field) + len(field)
            if start < len(field) or event.find(field, start) >= 0:
                continue
            text = _TEXT.match(event, start)
            if text is None or text.end() == start:
                continue
            self._tail = behind = event[text.end() :]
            if padding := _PADDING.search(behind):
                cut, self._ignored = padding.end(), _ALPHANUMERIC
            elif counts := _USAGE.search(behind):
                cut, self._ignored = counts.end(), _DIGITS
            else:  # spaces between two closing braces are Anthropic's padding
                cut, self._ignored = max(2, len(behind.rstrip()) - 1), b" "
                if behind.count(b'"') == 1:
                    cut = 2
            self._head, self._from = event[:start], start
            self._behind, self._foot = behind[:cut], behind[cut:].translate(None, self._ignored)
            return

    def fits(self, event: bytes) -> bool:
        """Whether the event is the remembered one with another text, or several events are, one after the other."""
        if not event.startswith(self._head):
            return False
        start = self._from
        end = event.find(b'"', start)
        if event[end:] != self._tail:  # there are quotes in the text, or what is behind it varies
            if event.endswith(self._tail) and self._fit(event):
                return True
            behind = self._behind
            if not event.startswith(behind, end):
                text = _TEXT.match(event, start)
                if text is None or not event.startswith(behind, text.end()):
                    return False
                end = text.end()
            if event[end + len(behind) :].translate(None, self._ignored) != self._foot:
                return False
        return end > start and event.find(b"\n", start, end) < 0

    def _fit(self, events: bytes) -> bool:
        """Whether these are events that fit, with no quote in any text: looked at all at once."""
        if self._head + self._tail in events:
            return False  # a text is empty
        texts = events[self._from : -len(self._tail)].replace(self._tail + self._head, b"")
        return not (b'"' in texts or b"\\" in texts or b"\n" in texts or b"\r" in texts)
