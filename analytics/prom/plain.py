"""Series as plain samples (a ReadResponse): from a server that knows no chunks, or has them in newer encodings."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from analytics.chunks import Bits, Ints
from analytics.prom.bounds import Bound
from analytics.prom.progress import Progress
from analytics.prom.remote import ask_samples
from analytics.prom.samples import Labels
from analytics.prom.selector import Selector
from analytics.prom.server import Api, TooMuch
from analytics.prom.wire import field, read_labels, read_varint

WINDOW_MS = 86_400_000  # a server gathers an answer in its memory
# Sample {double value = 1; int64 timestamp = 2} in a TimeSeries; what is 0 is left out.
SAMPLE = rb"\x12[\x00-\x7f](?:\x09(.{8}))?(?:\x10([\x80-\xff]{0,9}[\x00-\x7f]))?"
ONE, RUN = re.compile(SAMPLE, re.DOTALL), re.compile(rb"(?:" + SAMPLE.replace(b"(.", b"(?:.") + rb")*", re.DOTALL)
LONGEST = 10  # bytes of a varint


class Plain:
    """Series of which each has runs of samples, one run for each window."""

    def __init__(self) -> None:
        self.labels: list[Labels] = []
        self.shown: list[Labels | None] = []
        self.received = self.histograms = self.most = 0
        self._numbers: dict[bytes, int] = {}
        self._runs: list[list[bytes]] = []
        self._with_histograms: set[int] = set()

    def add(self, data: bytes) -> None:
        """A ReadResponse for a later window.

        Raises:
            ValueError, IndexError: it is damaged.
        """
        self.received += len(data)
        at = 0
        while at < len(data):
            tag, result, at = field(data, at, len(data))
            while tag == 0x0A and result < at:
                inner, begin, result = field(data, result, at)
                if inner == 0x0A:
                    self._series(data, begin, result)
        self.histograms = len(self._with_histograms)

    def batches(self) -> Iterator[tuple[int, Ints, Ints, Bits]]:
        for number, runs in enumerate(self._runs):
            found = [_samples(run) for run in runs]
            times = np.concatenate([times for times, _ in found])
            yield number, np.array([len(times)]), times, np.concatenate([bits for _, bits in found])

    def _series(self, data: bytes, at: int, end: int) -> None:
        begin = at
        while at < end and data[at] == 0x0A:
            _, _, at = field(data, at, end)
        packed = data[begin:at]
        number = self._numbers.setdefault(packed, len(self._numbers))
        if number == len(self.labels):
            self.labels.append(read_labels(packed))
            self._runs.append([])
        run = RUN.match(data, at, end)
        assert run is not None  # it may be empty
        self.most += len(run[0]) // 9
        self._runs[number].append(run[0])
        at = run.end()
        while at < end:
            tag, _, at = field(data, at, end)
            if tag == 0x22:
                self._with_histograms.add(number)
            elif tag == 0x12:
                raise ValueError("sample")


def ask_plain(api: Api, selector: Selector, lo: int, hi: int, bound: Bound, bar: Progress) -> Plain:
    """The samples from `lo` to `hi` (ms, both included), asked for day by day and less where the server says so.

    Raises:
        Unreadable: the server has no remote read.
        TooMuch: a second holds more samples than it gives at once.
        ValueError, IndexError: an answer is damaged.
    """
    found, begin, width = Plain(), lo, WINDOW_MS
    while begin <= hi:
        end = min(hi, begin + width - 1)
        try:
            data = ask_samples(api, selector, begin, end)
        except TooMuch:
            if width <= 1000:
                raise
            width //= 2
            continue
        found.add(data)
        bound.check(found.received, found.most)
        bar.show(f"{found.received / 1e6:,.0f} MB", (end - lo) / max(1, hi - lo))
        begin = end + 1
    return found


def _samples(run: bytes) -> tuple[Ints, Bits]:
    pairs = ONE.findall(run)
    bits = np.frombuffer(b"".join(value or bytes(8) for value, _ in pairs), dtype="<u8").astype(np.uint64)
    packed = [time or b"\0" for _, time in pairs]
    lengths = np.array([len(time) for time in packed], dtype=np.int64)
    if len(lengths) and (lengths == lengths[0]).all() and lengths[0] < LONGEST:
        seven = np.frombuffer(b"".join(packed), dtype=np.uint8).reshape(len(packed), -1).astype(np.int64) & 0x7F
        times = seven @ (np.int64(1) << (7 * np.arange(seven.shape[1], dtype=np.int64)))
    else:
        unsigned = [read_varint(time, 0)[0] & (1 << 64) - 1 for time in packed]
        times = np.array(unsigned, dtype=np.uint64).view(np.int64)
    return times, bits
