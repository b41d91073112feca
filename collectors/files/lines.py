"""The lines of a text file, plain or gzipped, in bounded memory whatever is in it."""

from __future__ import annotations

import gzip
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

from store.errors import FileUnusable

MOST_BYTES = 1 << 20  # of one line
SNIFFED_BYTES = 8192
GZIP = b"\x1f\x8b"
PLAIN_CONTROLS = b"\t\n\r\f"


class Line(NamedTuple):
    """`number` from 1, and either its `text` without the line end or the `problem` with it."""

    number: int
    text: str | None
    problem: str | None = None


class Lines:
    """Iterates over the lines of `path`; a context manager.

    Raises:
        FileUnusable: it is not there, not a regular file, may not be read, is empty, is not text, or is a broken gzip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = check_file(path)
        self._raw = path.open("rb")
        packed = self._raw.read(2) == GZIP
        self._raw.seek(0)
        self._file: IO[bytes] = gzip.GzipFile(fileobj=self._raw) if packed else self._raw  # type: ignore[assignment]
        self._number = 0
        self._pushed: deque[Line] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
        self._raw.close()

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        if self._pushed:
            return self._pushed.popleft()
        raw = self._read(MOST_BYTES + 1)
        if not raw:
            raise StopIteration
        self._number += 1
        if len(raw) > MOST_BYTES and not raw.endswith(b"\n"):
            while raw and not raw.endswith(b"\n"):
                raw = self._read(MOST_BYTES)
            return Line(self._number, None, f"the line is longer than {MOST_BYTES} bytes")
        if self._number == 1:
            self._check_text(raw)
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        try:
            return Line(self._number, raw.rstrip(b"\r\n").decode())
        except UnicodeDecodeError:
            return Line(self._number, None, "the line is not UTF-8")

    def push_back(self, lines: list[Line]) -> None:
        """Give back lines that were taken, to be taken again."""
        self._pushed.extendleft(reversed(lines))

    def position(self) -> int:
        """Bytes of the file on disk that have been read, of `size`."""
        return self._raw.tell()

    def _read(self, most: int) -> bytes:
        try:
            return self._file.readline(most)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FileUnusable(self.path, f"is a broken gzip file after line {self._number}: {error}") from error

    def _check_text(self, start: bytes) -> None:
        start = start[:SNIFFED_BYTES]
        controls = sum(byte < 32 and byte not in PLAIN_CONTROLS for byte in start)
        if controls * 20 > len(start) or b"\0" in start:
            raise FileUnusable(self.path, "is a binary file, not UTF-8 text")


def check_file(path: Path) -> int:
    """The size of `path` in bytes.

    Raises:
        FileUnusable: it cannot be read, or there is nothing to read.
    """
    try:
        if path.is_dir():
            raise FileUnusable(path, "is a folder, not a file")
        if not path.exists():
            raise FileUnusable(path, "there is no such file")
        if not path.is_file():
            raise FileUnusable(path, "is not a regular file")
        with path.open("rb") as file:
            if not file.read(1):
                raise FileUnusable(path, "is empty")
        return path.stat().st_size
    except OSError as error:
        raise FileUnusable(path, error.strerror or str(error)) from error
