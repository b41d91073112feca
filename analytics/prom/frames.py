"""The frames in which streamed chunks come: checked, and indexed as far as to where each chunk lies."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from analytics import chunks
from analytics.prom.bounds import Bound
from analytics.prom.checksum import crc32c
from analytics.prom.progress import Progress
from analytics.prom.samples import Labels
from analytics.prom.wire import Unreadable, damaged, field, read_labels, read_varint

LONGEST_FRAME = 1 << 30
CHECKED_AT_ONCE = 4_000_000  # bytes of frames
V = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
# A Chunk up to its data: its length, first and last time, encoding, and the length of the data.
CHUNK = re.compile(rb"\x12%b(?:\x08%b)?(?:\x10%b)?(?:\x18(%b))?\x22(%b)" % (V, V, V, V, V))


@dataclass
class Chunks:
    """Chunks by series: `owners` rises, and says to which of `labels` each of them belongs."""

    labels: list[Labels]
    owners: chunks.Ints
    begins: chunks.Ints
    ends: chunks.Ints
    counts: chunks.Ints
    packed: chunks.Bits
    received: int
    encodings: frozenset[int]


class Frames:
    """Takes bytes as they come, and checks and indexes each frame as soon as it is whole."""

    def __init__(self, where: str, bound: Bound, bar: Progress) -> None:
        self._where, self._bound, self._bar = where, bound, bar
        self._data = bytearray()
        self._at = self._checked = 0  # where the next frame begins, and the next that has not been checked
        self._waiting: list[tuple[int, int]] = []
        self._begins: list[int] = []
        self._ends: list[int] = []
        self._owners: list[int] = []
        self._encodings: set[bytes | None] = set()
        self._samples = 0
        self._numbers: dict[bytes, int] = {}

    def take(self, part: bytes) -> None:
        """The next bytes.

        Raises:
            SourceError: a frame is damaged.
            ParameterInvalid: it is more than there may be.
        """
        self._data += part
        while (frame := self._whole()) is not None:
            self._waiting.append(frame)
            self._at = frame[1]
        if self._at - self._checked >= CHECKED_AT_ONCE:
            self._settle()
        self._bound.check(len(self._data), self._samples)
        self._bar.show(f"{len(self._data) / 1e6:,.0f} MB, {self._samples:,} samples")

    def finish(self) -> Chunks:
        """What came, when all has come. Raises what `take` raises."""
        if self._at != len(self._data):
            rest = bytes(self._data[self._at : self._at + 200])
            said = f": {rest.decode().strip()!r}" if rest.isascii() and rest.decode().strip().isprintable() else ""
            raise damaged(self._where, f"the answer ends in the middle of a frame{said}")
        self._settle()
        begins, ends = np.array(self._begins, dtype=np.int64), np.array(self._ends, dtype=np.int64)
        owners = np.array(self._owners, dtype=np.int64)
        held = chunks.counts(self._data, begins)
        if (np.diff(owners) < 0).any():
            order = np.argsort(owners, kind="stable")
            begins, ends, owners, held = begins[order], ends[order], owners[order], held[order]
        size = len(self._data)
        encodings = frozenset(read_varint(each or b"\0", 0)[0] for each in self._encodings)
        labels = [read_labels(packed) for packed in self._numbers]
        return Chunks(labels, owners, begins, ends, held, chunks.words(self._data), size, encodings)

    def _whole(self) -> tuple[int, int] | None:
        head = bytes(self._data[self._at : self._at + 14])
        try:
            length, at = read_varint(head, 0)
        except IndexError:  # its length has not come yet
            return None
        if length > LONGEST_FRAME:
            raise damaged(self._where, "the length of a frame makes no sense")
        begin = self._at + at + 4
        return (begin, begin + length) if begin + length <= len(self._data) else None

    def _settle(self) -> None:
        """Check the frames that have come, and note where their chunks lie."""
        begins = [begin for begin, _ in self._waiting]
        told = [int.from_bytes(self._data[begin - 4 : begin], "big") for begin in begins]
        with memoryview(self._data) as view:
            if crc32c(view, begins, [end for _, end in self._waiting]) != told:
                raise damaged(self._where, "the checksum of a frame is another one")
        known = len(self._begins)
        try:
            for begin, end in self._waiting:
                self._frame(begin, end)
        except (IndexError, ValueError) as error:
            raise Unreadable(f"frames of another form ({error})") from error
        self._samples += int(chunks.counts(self._data, np.array(self._begins[known:], dtype=np.int64)).sum())
        self._waiting, self._checked = [], self._at

    def _frame(self, at: int, end: int) -> None:
        """A ChunkedReadResponse."""
        while at < end:
            tag, begin, at = field(self._data, at, end)
            if tag == 0x0A:
                self._series(begin, at)

    def _series(self, at: int, end: int) -> None:
        """A ChunkedSeries: its labels, then its chunks."""
        data, begin = self._data, at
        while at < end and data[at] == 0x0A:
            _, _, at = field(data, at, end)
        number = self._numbers.setdefault(bytes(data[begin:at]), len(self._numbers))
        before = len(self._begins)
        while at < end:
            head = CHUNK.match(data, at, end)
            if head is None:
                raise ValueError("no chunk")
            begin = head.end()
            high, low = data[begin - 1], data[begin - 2]
            if low < 0x80:  # the tag: the length has one byte
                at = begin + high
            elif data[begin - 3] < 0x80:
                at = begin + (high << 7 | low & 0x7F)
            else:
                at = begin + read_varint(head[2], 0)[0]
            if at - begin < 2:
                raise ValueError("no samples")
            self._begins.append(begin)
            self._ends.append(at)
            self._encodings.add(head[1])
        if at > end:
            raise ValueError("chunk beyond its series")
        self._owners += [number] * (len(self._begins) - before)
