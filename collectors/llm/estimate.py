"""Guesses token counts from lengths: for those who want a guess rather than nothing, and for what a call may cost."""

from __future__ import annotations

import json
import re

CHARACTERS_PER_TOKEN = 4  # of English prose
FEWEST_PER_TOKEN = 3  # code and other scripts, counted in bytes
BLOB_TOKENS = 1_500  # an image of ordinary size
_LONG = 1_000  # characters in a row without a space: an encoded image, not prose
_LIMIT_BYTES = 1 << 16
_GENERATED = re.compile(
    rb'"(?:content|text|reasoning|reasoning_content|thinking|partial_json|arguments|delta|refusal|response|transcript)"'
    rb'\s*:\s*"((?:[^"\\]|\\.)*)"'
)
_ESCAPE = re.compile(rb"\\u[0-9a-fA-F]{4}|\\.")
_NOT_PROSE = frozenset({"model", "role", "type", "id", "object"})


def tokens(characters: int) -> int:
    """A guess at the tokens of a text of this length.

    >>> tokens(0), tokens(5)
    (0, 2)
    """
    return -(-characters // CHARACTERS_PER_TOKEN)


class Generated:
    r"""Counts the characters that a response generates, in the JSON of any provider; keeps at most one line of it.

    >>> generated = Generated()
    >>> for piece in (b'data: {"delta":{"con', b'tent":"h\\u00e9llo"}}\n\n'):
    ...     generated.feed(piece)
    >>> generated.characters()
    5
    """

    def __init__(self) -> None:
        self._counted = 0
        self._line = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        data = self._line + data
        end = data.rfind(b"\n") + 1 or (len(data) if len(data) > _LIMIT_BYTES else 0)
        self._counted += _count(data[:end])
        self._line = data[end:]

    def characters(self) -> int:
        """The characters so far."""
        self._counted += _count(self._line)
        self._line = b""
        return self._counted


def asked_tokens(body: bytes) -> int:
    """A guess at the input tokens of a request.

    >>> asked_tokens(b'{"model": "m", "messages": [{"role": "user", "content": "hello"}]}')
    2
    """
    characters, _, blobs = _size(body)
    return tokens(characters) + blobs * BLOB_TOKENS


def most_tokens(body: bytes) -> int:
    """What the input of a request can hardly exceed, in tokens.

    >>> most_tokens(b'{"model": "m", "messages": [{"role": "user", "content": "hello"}]}')
    10
    """
    _, size, blobs = _size(body)
    return -(-size // FEWEST_PER_TOKEN) + blobs * BLOB_TOKENS


def _size(body: bytes) -> tuple[int, int, int]:
    """Characters and bytes of prose, with some for the frame of each piece, and how many encoded images there are."""
    try:
        left = [json.loads(body)]
    except (ValueError, RecursionError):
        return len(body), len(body), 0
    characters = size = blobs = 0
    while left:
        value = left.pop()
        if isinstance(value, str):
            if len(value) >= _LONG and value.isascii() and " " not in value[:_LONG]:
                blobs += 1
            else:
                characters += len(value)
                size += len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
        elif isinstance(value, dict):
            size += CHARACTERS_PER_TOKEN * FEWEST_PER_TOKEN  # a message has a few tokens besides its text
            left += [inner for key, inner in value.items() if key not in _NOT_PROSE]
        elif isinstance(value, list):
            left += value
        elif isinstance(value, int) and not isinstance(value, bool):
            characters += CHARACTERS_PER_TOKEN  # a prompt can come as tokens
            size += FEWEST_PER_TOKEN
    return characters, size, blobs


def _count(text: bytes) -> int:
    return sum(len(_ESCAPE.sub(b"x", found).decode("utf-8", "replace")) for found in _GENERATED.findall(text))
