"""The elements of a JSON array, one after the other: an export may be larger than memory, and all on one line."""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from collectors.files.lines import GZIP, SNIFFED_BYTES, check_file
from store.errors import FileUnusable

CHUNK_BYTES = 1 << 16
MOST_CHARACTERS = 16 << 20  # of one element
_SPACE = " \t\r\n"


def is_array(path: Path) -> bool:
    """Whether the text in `path`, plain or gzipped, begins like a JSON array. False where it cannot be read."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP
            raw.seek(0)
            start = gzip.GzipFile(fileobj=raw).read(SNIFFED_BYTES) if packed else raw.read(SNIFFED_BYTES)
    except (OSError, EOFError, zlib.error):
        return False
    return start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")


class Elements:
    """Iterates over (number from 1, element, its text) of the array in `path`, plain or gzipped; a context manager.

    An element that is broken ends the array, since nobody can tell where the next one begins.

    Raises:
        FileUnusable: it cannot be read, or is not a JSON array from here on.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, check_file(path)
        self._raw = path.open("rb")
        packed = self._raw.read(2) == GZIP
        self._raw.seek(0)
        self._file: IO[bytes] = gzip.GzipFile(fileobj=self._raw) if packed else self._raw  # type: ignore[assignment]
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._buffer, self._at, self._ended = "", 0, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._raw.close()

    def __iter__(self) -> Iterator[tuple[int, Any, str]]:
        number = 0
        if self._next() != "[":
            raise FileUnusable(self.path, "is not a JSON array")
        self._at += 1
        if self._next() == "]":
            return
        while True:
            number += 1
            element, end = self._element(number)
            yield number, element, self._buffer[self._at : end]
            self._buffer, self._at = self._buffer[end:], 0
            mark = self._next()
            if mark == "]":
                return
            if mark != ",":
                raise FileUnusable(self.path, f"is broken JSON after element {number}")
            self._at += 1
            self._next()

    def position(self) -> int:
        """Bytes of the file on disk that have been read, of `size`."""
        return self._raw.tell() if not self._raw.closed else self.size

    def _element(self, number: int) -> tuple[Any, int]:
        decoder = json.JSONDecoder()
        while True:
            try:
                element, end = decoder.raw_decode(self._buffer, self._at)
            except (json.JSONDecodeError, RecursionError) as error:
                left = len(self._buffer) - self._at
                if self._ended or left > MOST_CHARACTERS or isinstance(error, RecursionError):
                    raise FileUnusable(self.path, f"is broken JSON, or too large, at element {number}") from None
                self._more(max(CHUNK_BYTES, left))  # twice as much each time, so that none is parsed over and over
                continue
            if end < len(self._buffer) or self._ended:  # a number at the end of the buffer may go on
                return element, end
            self._more(CHUNK_BYTES)

    def _next(self) -> str:
        """The next character that is not white space; "" at the end."""
        while True:
            while self._at < len(self._buffer):
                if self._buffer[self._at] not in _SPACE:
                    return self._buffer[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._more(CHUNK_BYTES)

    def _more(self, most: int) -> None:
        try:
            chunk = self._file.read(most)
            self._ended = not chunk
            self._buffer = self._buffer[self._at :] + self._decoder.decode(chunk, final=self._ended)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileUnusable(self.path, f"is a broken gzip file: {error}") from error
        except UnicodeDecodeError as error:
            raise FileUnusable(self.path, "is not UTF-8 text") from error
        self._at = 0
