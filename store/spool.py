"""The spool: rows on local disk, in order, from the moment they are acknowledged until the database has them.

An append-only log of segment files, bounded in size. One process appends to it and one thread of it delivers; a folder
has one process at a time. See docs/operations/spool.md.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from store.errors import SpoolError, SpoolFull
from store.packing import Rows, pack, unpack
from store.segment import HEADER_BYTES, Found, find, header, header_at, rows_from
from store.spool_folder import Folder, Place
from store.tally import Tally, Waiting

log = logging.getLogger(__name__)

Fsync = Literal["each", "interval", "none"]

SEGMENT_BYTES = 64 << 20  # at most; an eighth of the bound where that is less
RECORD_BYTES = 8 << 20  # a larger batch becomes several records, so that nobody has to hold all of it
RECENT_BYTES = 32 << 20  # of records that are also kept in memory, as long as deliveries succeed
SYNC_EVERY_S = 1.0
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Record:
    """Rows of one table, and the places in the log between which they are."""

    table: str
    columns: tuple[str, ...]
    rows: Rows
    start: Place
    end: Place
    at_s: float
    size: int


@dataclass
class _Segment:
    number: int
    path: Path
    end: int  # bytes that may be read
    unread: int  # rows
    recent: deque[Record] = field(default_factory=deque)


class Spool:
    """The log of one process. `append` may be called by any thread; what reads, by the one that delivers.

    Args:
        root: folder of all spools.
        collector: what this process collects; it also gets what earlier processes of that name have left.
        limit_bytes: beyond it the oldest segments are dropped, and their rows told to `tally`.
        fsync: when rows are forced to disk: before `append` returns, every second, when the system likes.
        tally: is told of rows that are dropped and of records that cannot be read.

    Raises:
        SpoolError: the folder cannot be used.
    """

    def __init__(self, root: Path, collector: str, *, limit_bytes: int, fsync: Fsync, tally: Tally) -> None:
        self._folder = Folder(root, collector)
        self._limit, self._fsync, self._tally = limit_bytes, fsync, tally
        self._segment_bytes = min(SEGMENT_BYTES, limit_bytes // 8)
        self._writing = threading.Lock()  # one append at a time
        self.changed = threading.Condition()  # guards all that follows
        self._segments: deque[_Segment] = deque()
        self._position = Place(0, 0)  # up to where it is read
        self._taken: deque[Record] = deque()  # read and not yet acknowledged
        self._recent_bytes = 0
        self._remembers = True
        self._file: int | None = None  # of the last segment, which is appended to
        self._reading: tuple[int, int] | None = None  # number and file of the segment that is read
        self._next_number = self._folder.next_number()
        try:
            self._find_segments()
        except OSError as error:
            self._folder.close()
            raise SpoolError(self.where, error.strerror or str(error)) from error
        self._synced, self._closed = threading.Event(), threading.Event()
        self._syncer: threading.Thread | None = None

    @property
    def where(self) -> str:
        """The folder, for people."""
        return str(self._folder.path)

    def append(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        """Keep `rows` of `table`; when this returns they are as safe as the policy says. They must not change any more.

        Raises:
            SpoolFull: the disk is full, or `rows` alone are larger than the bound.
            SpoolError: the disk failed. The log stays readable, and other rows may be appended.
        """
        with self._writing:
            for record, payload in self._records(table, tuple(columns), rows):
                try:
                    self._put(record, payload)
                except OSError as error:
                    kind = SpoolFull if error.errno in _NO_ROOM else SpoolError
                    raise kind(self.where, error.strerror or str(error)) from error

    def read(self) -> Record | None:
        """The next record that was not read yet; None where there is no more. Damaged ones are told and passed over."""
        while True:
            with self.changed:
                segment = self._to_read()
                if segment is None:
                    return None
                if segment.recent and segment.recent[0].start == self._position:
                    return self._take(segment, segment.recent[0])
                start, end = self._position.offset, segment.end
            found = self._find(segment, start, end)  # on disk, so without the lock
            record = _record(segment.number, found)
            with self.changed:
                if self._position != Place(segment.number, start):
                    continue  # it was dropped meanwhile, and counted
                if record is not None:
                    return self._take(segment, record)
                self._pass_over(segment, found)

    def empty(self) -> bool:
        """Whether there is nothing to read."""
        with self.changed:
            return self._to_read() is None

    def acknowledge(self, record: Record) -> None:
        """`record` and all before it are delivered."""
        with self.changed:
            while self._taken and self._taken[0].start <= record.start:
                self._taken.popleft()
            self._remembers = True
            self._remove_delivered()
            if not self._taken and self.empty():
                self._stop_reading()  # an open file keeps its room on the disk, also where it is removed
            self.changed.notify_all()
        with suppress(OSError):  # a full disk; what is delivered twice is stored once
            self._folder.move_cursor(record.end)

    def rewind(self) -> None:
        """What was read and not acknowledged is read again."""
        lost = 0
        with self.changed:
            there = {segment.number: segment for segment in self._segments}
            for record in self._taken:
                if segment := there.get(record.start.segment):
                    segment.unread += len(record.rows)
                    self._position = min(self._position, record.start)
                else:
                    lost += len(record.rows)
            self._taken.clear()
            self._remembers = False  # until the database takes rows again: an outage must not fill the memory
            self._recent_bytes = 0
            for segment in self._segments:
                segment.recent.clear()
        if lost:
            self._dropped(lost)

    def mark(self) -> Place:
        """The end of the log, for `delivered`."""
        with self.changed:
            last = self._segments[-1] if self._segments else None
            return Place(last.number, last.end) if last else self._position

    def delivered(self, mark: Place) -> bool:
        """Whether nothing waits any more of what was there when `mark` was taken. Called under `changed`."""
        return self._position >= mark and not (self._taken and self._taken[0].start < mark)

    def waiting(self) -> Waiting:
        """What waits now."""
        with self.changed:
            rows = sum(segment.unread for segment in self._segments) + sum(len(record.rows) for record in self._taken)
            since = self._taken[0].start if self._taken else self._position
            size = sum(segment.end for segment in self._segments if segment.number >= since.segment)
            first = next((segment for segment in self._segments if segment.number == since.segment), None)
            oldest = self._taken[0].at_s if self._taken else self._next_at()
        age_s = max(0.0, time.time() - oldest) if rows and oldest is not None else 0.0  # the clock may be set back
        return Waiting(rows, size - (since.offset if first else 0), age_s, self._limit)

    def close(self) -> None:
        """Let go of the folder; what waits is delivered by the next process of this collector."""
        with self._writing, self.changed:
            self._closed.set()
            self._synced.set()
            self._end_segment()
            self._remove_delivered()
            self._close_files()

    def abandon(self) -> None:
        """Forget it in a forked child, where no lock can be trusted: the parent goes on with the folder."""
        self._close_files()

    def _find_segments(self) -> None:
        done = self._folder.cursor()
        for number, path in self._folder.segments():
            end = path.stat().st_size
            start = end if number < done.segment else min(done.offset, end) if number == done.segment else 0
            if start == end:
                path.unlink()
                continue
            file = os.open(path, os.O_RDONLY)
            try:
                self._segments.append(_Segment(number, path, end, sum(rows_from(file, start, end))))
            finally:
                os.close(file)
        first = self._segments[0] if self._segments else None
        at_cursor = first is not None and first.number == done.segment
        self._position = done if at_cursor or first is None else Place(first.number, 0)

    def _records(self, table: str, columns: tuple[str, ...], rows: Rows) -> Iterator[tuple[Record, bytes]]:
        if not rows:
            return
        payload = pack(table, columns, rows)
        if len(rows) > 1 and len(payload) > min(RECORD_BYTES, self._segment_bytes):
            middle = len(rows) // 2
            yield from self._records(table, columns, rows[:middle])
            yield from self._records(table, columns, rows[middle:])
            return
        nowhere = Place(0, 0)
        yield Record(table, columns, rows, nowhere, nowhere, time.time(), HEADER_BYTES + len(payload)), payload

    def _put(self, record: Record, payload: bytes) -> None:
        if self._closed.is_set():
            raise SpoolError(self.where, "is closed")
        if record.size > self._limit:
            reason = f"a row of {record.size >> 20} MB is more than GAUGEBOOK_SPOOL_MB allows"
            raise SpoolFull(self.where, reason)
        segment = self._room_for(record.size)
        assert self._file is not None
        try:
            _write(self._file, [header(payload, len(record.rows)), payload], segment.end)
            if self._fsync == "each":
                os.fdatasync(self._file)
        except OSError:
            # What is beyond the end is not read; it is cut here, or by whoever reads the segment after us. After a
            # failed fsync nobody knows what is on disk, so that the next row begins another segment.
            with suppress(OSError):
                os.ftruncate(self._file, segment.end)
            self._end_segment()
            with self.changed:
                if not segment.end:
                    self._segments.remove(segment)
                    self._delete(segment)
                self._remove_delivered()  # which may give the disk the room that it lacks
            raise
        start, end = Place(segment.number, segment.end), Place(segment.number, segment.end + record.size)
        placed = replace(record, start=start, end=end)
        with self.changed:
            segment.end += record.size
            segment.unread += len(record.rows)
            if self._remembers and self._recent_bytes + record.size <= RECENT_BYTES:
                segment.recent.append(placed)
                self._recent_bytes += record.size
            self.changed.notify_all()
        if self._fsync == "interval":
            self._sync_soon()

    def _room_for(self, size: int) -> _Segment:
        """The segment to append `size` bytes to; drops the oldest where the bound asks for it."""
        if self._file is None or (self._segments[-1].end and self._segments[-1].end + size > self._segment_bytes):
            self._end_segment()
            number, self._next_number = self._next_number, self._next_number + 1
            path = self._folder.segment(number)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with self.changed:
                if not self._segments:
                    self._position = Place(number, 0)
                self._segments.append(_Segment(number, path, 0, 0))
            if self._fsync != "none":
                self._folder.sync()
        lost = 0
        with self.changed:
            while len(self._segments) > 1 and sum(s.end for s in self._segments) + size > self._limit:
                oldest = self._segments.popleft()
                self._delete(oldest)
                lost += oldest.unread
                if self._position.segment == oldest.number:
                    self._position = Place(self._segments[0].number, 0)
        if lost:
            self._dropped(lost)
        return self._segments[-1]

    def _dropped(self, rows: int) -> None:
        log.warning(
            "%s holds GAUGEBOOK_SPOOL_MB=%d: its %d oldest rows are dropped", self.where, self._limit >> 20, rows
        )
        self._tally.dropped(rows, "spool_full")

    def _end_segment(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            if self._fsync != "none":
                with suppress(OSError):
                    os.fdatasync(file)
            os.close(file)

    def _to_read(self) -> _Segment | None:
        for segment in self._segments:
            if segment.number > self._position.segment:
                self._position = Place(segment.number, 0)
            if segment.number == self._position.segment and self._position.offset < segment.end:
                return segment
        return None

    def _take(self, segment: _Segment, record: Record) -> Record:
        if segment.recent and segment.recent[0].start == record.start:
            segment.recent.popleft()
            self._recent_bytes -= record.size
        segment.unread -= len(record.rows)
        self._taken.append(record)
        self._move_on(segment, record.end.offset)
        return record

    def _pass_over(self, segment: _Segment, found: Found) -> None:
        log.warning(
            "%s: %s between bytes %d and %d; %s rows in it are lost",
            segment.path,
            "the last record was not written whole" if found.damage == "torn" else "a record is damaged",
            found.start,
            found.end,
            "the" if found.rows is None else found.rows,
        )
        self._tally.damaged("torn" if found.damage == "torn" else "corrupt")
        if found.rows:
            segment.unread -= found.rows
            self._tally.dropped(found.rows, "damaged")
        self._move_on(segment, found.end)
        self._remove_delivered()
        self.changed.notify_all()

    def _move_on(self, segment: _Segment, offset: int) -> None:
        self._position = Place(segment.number, offset)
        if offset == segment.end and segment.unread:  # of records whose headers were lost while we ran
            self._tally.dropped(segment.unread, "damaged")
            segment.unread = 0

    def _remove_delivered(self) -> None:
        """Delete the segments before the first place that still matters."""
        since = self._taken[0].start if self._taken else self._position
        while self._segments:
            first = self._segments[0]
            appended_to = self._file is not None and len(self._segments) == 1
            if appended_to or not (first.number < since.segment or since == Place(first.number, first.end)):
                return
            self._segments.popleft()
            self._delete(first)

    def _delete(self, segment: _Segment) -> None:
        self._recent_bytes -= sum(record.size for record in segment.recent)
        with suppress(OSError):
            segment.path.unlink()

    def _find(self, segment: _Segment, start: int, end: int) -> Found:
        number, file = self._reading or (-1, -1)
        if number != segment.number:
            self._stop_reading()
            try:
                file = os.open(segment.path, os.O_RDONLY)
            except OSError:  # it was dropped in this moment; otherwise somebody has taken it away
                return Found(start, end, None, None, "corrupt")
            self._reading = segment.number, file
        found = find(file, start, end)
        assert found is not None
        return found

    def _stop_reading(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            os.close(reading[1])

    def _next_at(self) -> float | None:
        segment = self._to_read()
        if segment is None:
            return None
        with suppress(OSError):
            file = os.open(segment.path, os.O_RDONLY)
            try:
                found = header_at(file, self._position.offset)
            finally:
                os.close(file)
            return found.at_s if found else None
        return None

    def _sync_soon(self) -> None:
        if self._syncer is None:
            self._syncer = threading.Thread(target=self._sync, name="gaugebook-spool-fsync", daemon=True)
            self._syncer.start()
        self._synced.set()

    def _sync(self) -> None:
        while not self._closed.is_set():
            self._synced.wait()
            self._synced.clear()
            with self._writing:
                file = None if self._file is None else os.dup(self._file)
            if file is not None:
                try:
                    os.fdatasync(file)
                except OSError as error:
                    log.warning("%s could not be forced to disk: %s", self.where, error.strerror)
                finally:
                    os.close(file)
            self._closed.wait(SYNC_EVERY_S)

    def _close_files(self) -> None:
        self._folder.close()
        self._stop_reading()
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _record(segment: int, found: Found) -> Record | None:
    """What was found, as a record; None where it is damaged, or of a release that packs differently."""
    if found.payload is None or found.header is None:
        return None
    try:
        table, columns, rows = unpack(found.payload)
    except ValueError:
        return None
    start, end = Place(segment, found.start), Place(segment, found.end)
    return Record(table, columns, rows, start, end, found.header.at_s, found.end - found.start)


def _write(file: int, parts: list[bytes], offset: int) -> None:
    written = os.pwritev(file, parts, offset)
    whole = b"".join(parts) if written < sum(map(len, parts)) else b""
    while written < len(whole):  # a disk that fills up takes a part, and says why it takes no more
        written += os.pwrite(file, whole[written:], offset + written)
