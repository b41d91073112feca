"""Lines cut out of a byte stream: newline-delimited JSON."""

from __future__ import annotations

from collectors.llm.formats.sse import LIMIT_BYTES


class LineSplitter:
    r"""Cuts a stream into lines, each with its end; joined, they are the stream.

    >>> lines = LineSplitter()
    >>> lines.feed(b'{"n": 1}\n{"n"'), lines.feed(b": 2}\n")
    ([b'{"n": 1}\n'], [b'{"n": 2}\n'])
    """

    def __init__(self) -> None:
        self.held = bytearray()  # of the line that has not ended yet

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes."""
        *lines, left = data.split(b"\n")
        if lines and self.held:
            lines[0] = bytes(self.held) + lines[0]
            self.held.clear()
        self.held += left
        whole = [line + b"\n" for line in lines]
        if len(self.held) > LIMIT_BYTES:
            whole.append(self.rest())
        return whole

    def rest(self) -> bytes:
        """What is left when the stream has ended."""
        left = bytes(self.held)
        self.held.clear()
        return left
