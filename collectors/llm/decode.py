"""Undoes a Content-Encoding in the meter's own copy of a body."""

from __future__ import annotations

import zlib
from collections.abc import Callable

Decoder = Callable[[bytes], bytes]
_GZIP = 16 + zlib.MAX_WBITS


def decoder(encoding: str) -> Decoder | None:
    """A function that decodes a body piece by piece; None for an encoding that cannot be read here (br, zstd).

    The function raises zlib.error on what is not encoded as it says.

    >>> import gzip
    >>> decode = decoder("gzip")
    >>> decode(gzip.compress(b"hello"))
    b'hello'
    """
    match encoding.strip().lower():
        case "" | "identity":
            return bytes
        case "gzip" | "x-gzip":
            return zlib.decompressobj(_GZIP).decompress
        case "deflate":
            return _Deflate()
        case _:
            return None


class _Deflate:
    """Deflate, with the zlib header that the standard asks for or without, as some servers send it."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj()
        self._first = True

    def __call__(self, data: bytes) -> bytes:
        first, self._first = self._first, self._first and not data
        try:
            return self._stream.decompress(data)
        except zlib.error:
            if not first:
                raise
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
            return self._stream.decompress(data)
