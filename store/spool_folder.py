"""The folder that a process has to itself in the spool: its lock, its segment files, how far they are delivered."""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from store.errors import SpoolError
from store.segment import header_at

CURSOR = "cursor"
SUFFIX = ".spool"
_CURSOR = re.compile(r"(\d+) (\d+) ([0-9a-f]{8})\n")


class Place(NamedTuple):
    """A place in the log: the number of a segment and an offset in it."""

    segment: int
    offset: int


class Left(NamedTuple):
    """What waits in a folder: bytes, and when the oldest of them was written (seconds since 1970)."""

    name: str
    size: int
    oldest_at_s: float | None


class Folder:
    """`<root>/<collector>-<n>`, locked until `close`: the first that no living process has, with what is left in it.

    What processes of this collector that are gone have left in other folders is moved here.

    Raises:
        SpoolError: the folder cannot be made or used.
    """

    def __init__(self, root: Path, collector: str) -> None:
        self._cursor = -1
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path, self.descriptor = _claim(root, collector)
            try:
                self._adopt(root, collector)
            except OSError:
                self.close()
                raise
        except OSError as error:
            raise SpoolError(root, error.strerror or str(error)) from error

    def segments(self) -> list[tuple[int, Path]]:
        """Number and path of each segment, oldest first."""
        return _segments(self.path)

    def segment(self, number: int) -> Path:
        return self.path / f"{number:010d}{SUFFIX}"

    def next_number(self) -> int:
        """A number that no segment has had: the cursor may still name one that is gone."""
        return max([self.cursor().segment, *(number for number, _ in self.segments())]) + 1

    def cursor(self) -> Place:
        """Up to where everything is delivered. Where that is not known, nothing counts as delivered."""
        return _cursor(self.path)

    def move_cursor(self, place: Place) -> None:
        """Remember that everything up to `place` is delivered.

        Written over the last one: renaming a file over another makes ext4 wait for the disk. One that is torn or lost
        costs another delivery of rows that the writer knows already.
        """
        if self._cursor < 0:
            self._cursor = os.open(self.path / CURSOR, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(self._cursor, f"{place.segment:020d} {place.offset:020d} {_check(place):08x}\n".encode(), 0)

    def sync(self) -> None:
        """Force the names of the files to disk."""
        os.fsync(self.descriptor)

    def close(self) -> None:
        """Let go of the lock. In a forked child it leaves the parent's lock alone."""
        for descriptor in (self.descriptor, self._cursor):
            if descriptor >= 0:
                os.close(descriptor)
        self.descriptor = self._cursor = -1

    def _adopt(self, root: Path, collector: str) -> None:
        number = self.next_number()
        for other in sorted(root.glob(f"{collector}-*")):
            if other == self.path or not other.name.removeprefix(f"{collector}-").isdigit():
                continue
            lock = _lock(other)
            if lock is None:
                continue
            try:
                left = _segments(other)
                for _, path in left:
                    path.rename(self.segment(number))
                    number += 1
                if left:
                    (other / CURSOR).unlink(missing_ok=True)  # the numbers begin anew there
                    os.fsync(lock)
                    self.sync()
            finally:
                os.close(lock)


def left(root: Path) -> Iterator[Left]:
    """What waits in each folder of `root`, by its files alone: no lock is taken, and whoever has it goes on."""
    for path in sorted(root.glob("*-*")):
        done, size, oldest_at_s = _cursor(path), 0, None
        for number, file in _segments(path):
            start = done.offset if number == done.segment else 0
            with suppress(OSError):  # what is delivered in this moment is removed
                waits = file.stat().st_size - start
                if number >= done.segment and waits > 0:
                    oldest_at_s = oldest_at_s or _written_at(file, start)
                    size += waits
        yield Left(path.name, size, oldest_at_s)


def _written_at(file: Path, offset: int) -> float | None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        head = header_at(descriptor, offset)
    finally:
        os.close(descriptor)
    return head and head.at_s


def _claim(root: Path, collector: str) -> tuple[Path, int]:
    for number in count():
        path = root / f"{collector}-{number}"
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        lock = _lock(path)
        if lock is not None:
            return path, lock
    raise AssertionError  # there is always another number


def _lock(path: Path) -> int | None:
    """A descriptor of the folder, with the lock on it; None where another process has it, or another user."""
    if path.exists() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno == errno.EWOULDBLOCK:
            return None
        raise
    return descriptor


def _cursor(folder: Path) -> Place:
    try:
        found = _CURSOR.fullmatch((folder / CURSOR).read_text("ascii"))
    except (OSError, UnicodeError):
        found = None
    if found is None or int(found[3], 16) != _check(place := Place(int(found[1]), int(found[2]))):
        return Place(0, 0)
    return place


def _segments(folder: Path) -> list[tuple[int, Path]]:
    return sorted(_numbered(folder))


def _numbered(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.glob(f"*{SUFFIX}"):
        if path.stem.isdigit():
            yield int(path.stem), path


def _check(place: Place) -> int:
    return crc32(f"{place.segment} {place.offset}".encode())
