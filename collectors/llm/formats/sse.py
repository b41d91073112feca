"""Server-sent events cut out of a byte stream, keeping every byte."""

from __future__ import annotations

import re

# Atomic groups, or the \r and the \n of one line end would pass for two.
_BLANK_LINE = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LONGEST_BLANK_LINE = 4
LIMIT_BYTES = 16 << 20  # an event longer than this is passed on unread


class Splitter:
    r"""Cuts a stream into events, each with its closing blank line; joined, they are the stream.

    >>> events = Splitter()
    >>> events.feed(b"data: 1\n\ndata: ")
    [b'data: 1\n\n']
    >>> events.feed(b"2\n\n"), events.held
    ([b'data: 2\n\n'], bytearray(b''))

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
    """

    def __init__(self) -> None:
        self.held = bytearray()  # of the event that has not ended yet

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes."""
        if not self.held and b"\r" not in data and len(data) <= LIMIT_BYTES:
            *events, left = data.split(b"\n\n")
            if not left:  # whole events: how nearly every read comes
                return [event + b"\n\n" for event in events]
        search_from = max(0, len(self.held) - _LONGEST_BLANK_LINE)
        self.held += data
        events = []
        start = 0
        while found := _BLANK_LINE.search(self.held, max(start, search_from)):
            end = found.end()
            if end == len(self.held) and self.held[end - 1 : end] == b"\r":
                break  # its \n may be the first byte of the next read
            events.append(bytes(self.held[start:end]))
            start = end
        if len(self.held) - start > LIMIT_BYTES:
            events.append(bytes(self.held[start:]))
            start = len(self.held)
        if start:
            del self.held[:start]
        return events

    def rest(self) -> bytes:
        """What is left when the stream has ended."""
        left = bytes(self.held)
        self.held.clear()
        return left


def data_of(event: bytes) -> bytes:
    r"""The data of one event: its `data:` lines without the field name, joined by newlines; empty for a comment.

    >>> data_of(b"event: x\ndata: {\ndata: }\n\n")
    b'{\n}'
    """
    if event.startswith(b"data:") and event.count(b"data:", 5) == 0:
        body = event[5:].rstrip(b"\r\n")
        if b"\n" not in body and b"\r" not in body:
            return body[1:] if body.startswith(b" ") else body
    lines = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(line[1:] if line.startswith(b" ") else line for line in lines)
