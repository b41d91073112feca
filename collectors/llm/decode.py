"""Undoes a Content-Encoding in the meter's own copy of a body."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import cast

Decoder = Callable[[bytes], bytes]
_GZIP = 16 + zlib.MAX_WBITS


def decoder(encoding: str) -> Decoder | None:
    """A function that decodes a body piece by piece; None for an encoding that cannot be read here.

    br and zstd need the package that the client needs for them, too: only who has it asks a server for these.
    The function raises an error of that package, or zlib.error, on what is not encoded as it says.

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
        case "br":
            return _first(("brotli", "Decompressor.process"), ("brotlicffi", "Decompressor.process"))
        case "zstd":
            return _first(
                ("compression.zstd", "ZstdDecompressor.decompress"),
                ("backports.zstd", "ZstdDecompressor.decompress"),
                ("zstandard", "ZstdDecompressor.decompressobj.decompress"),
            )
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


def _first(*ways: tuple[str, str]) -> Decoder | None:
    """The decoder of the first package that is there; a way names what is called, one after the other."""
    for module, names in ways:
        *makers, last = names.split(".")
        try:
            found = import_module(module)
            for maker in makers:
                found = getattr(found, maker)()
            return cast("Decoder", getattr(found, last))
        except (ImportError, AttributeError):  # brotlipy also calls itself brotli, and is another
            continue
    return None
