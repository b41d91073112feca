"""Samples as a server has stored them, by remote read: streamed chunks, or plain samples where these are no good."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from analytics import chunks
from analytics.chunks import Bits, Ints
from analytics.prom.bounds import Bound
from analytics.prom.external import without_external
from analytics.prom.frames import Chunks
from analytics.prom.grid import at_steps
from analytics.prom.plain import Plain, ask_plain
from analytics.prom.progress import Progress
from analytics.prom.remote import ask_chunks
from analytics.prom.samples import Labels, Samples
from analytics.prom.selector import Selector
from analytics.prom.server import Api, TooMuch
from analytics.prom.wire import Unreadable, damaged

XOR = 1  # how floats are stored; others are histograms, and what later releases store otherwise


class Stored(Protocol):
    """Series as they are stored, still packed."""

    labels: list[Labels]
    shown: list[Labels | None]  # as the server's own queries have them; None: these do not find the series
    received: int  # bytes
    histograms: int  # series of which histograms are left out

    most: int  # samples

    def batches(self) -> Iterator[tuple[int, Ints, Ints, Bits]]:
        """Series by series: the number of the first, samples of each, their times (ms) and the bits of their values."""


class Xor:
    """Series as XOR chunks."""

    histograms = 0

    def __init__(self, found: Chunks) -> None:
        self._found = found
        self.labels, self.received, self.most = found.labels, found.received, int(found.counts.sum())
        self.shown: list[Labels | None] = list(found.labels)

    def batches(self) -> Iterator[tuple[int, Ints, Ints, Bits]]:
        found = self._found
        bounds = np.searchsorted(found.owners, np.arange(len(self.labels) + 1)).tolist()
        first = 0
        while first < len(self.labels):
            last = first + 1
            while last < len(self.labels) and bounds[last + 1] - bounds[first] <= chunks.BLOCK:
                last += 1
            part = slice(bounds[first], bounds[last])
            times, bits = chunks.unpack(found.packed, found.begins[part], found.ends[part], found.counts[part])
            held = np.bincount(found.owners[part] - first, weights=found.counts[part], minlength=last - first)
            yield first, held.astype(np.int64), times, bits
            first = last


def fetch(api: Api, selector: Selector, lo: int, hi: int, bound: Bound, bar: Progress) -> Iterator[Stored]:
    """What is stored from `lo` to `hi` (ms), packed: as chunks, then as plain samples.

    Take the second only where the first is `Unreadable`. Where a server gives neither, there is nothing.

    Raises:
        SourceError: the server stays away, or what it sends is damaged.
        ParameterInvalid: it is more than there may be.
    """
    for way in (_chunks, _plain):
        try:
            found = way(api, selector, lo, hi, bound, bar)
            found.shown = without_external(api, selector, lo, hi, found.labels)
        except (Unreadable, TooMuch):
            continue
        yield found


def raw(api: Api, found: Stored, lo: int, hi: int, bound: Bound, bar: Progress) -> Samples:
    """Every sample from `lo` to `hi` (ms, both included), without stale markers.

    Raises:
        Unreadable: they overlap, so that the server has to sort them out.
        SourceError: they are damaged.
        ParameterInvalid: they are more than there may be.
    """
    return _gathered(api, found, (lo, hi), None, bound, bar)


def stepped(
    api: Api, found: Stored, span: tuple[int, int], step: int, lookback: int, bound: Bound, bar: Progress
) -> Samples:
    """The value of each series at the start of `span`, each `step` after it, and up to its end (all in ms).

    Raises what `raw` raises.
    """
    return _gathered(api, found, span, (step, lookback), bound, bar)


def _gathered(
    api: Api, found: Stored, span: tuple[int, int], step: tuple[int, int] | None, bound: Bound, bar: Progress
) -> Samples:
    start, stop = span
    width = len({name for labels in found.labels for name in labels})
    if step is None:
        bound.check(found.received, found.most, width)
    times, bits = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint64)
    counts = np.zeros(len(found.labels), dtype=np.int64)
    at = 0
    try:
        for first, many, whens, whats in found.batches():
            begin = start if step is None else start - step[1]
            held, when, what = _within(begin, stop, many, whens, whats, stale=step is not None)
            if step is not None:
                when, what, held = at_steps(when, what, held, start, stop, step[0], step[1])
            end = at + len(when)
            bound.check(found.received, end, width)
            # They grow where they lie: a large block of memory is moved by its page table.
            times.resize(end, refcheck=False)
            bits.resize(end, refcheck=False)
            np.multiply(when, 1000, out=times[at:])
            bits[at:] = what
            counts[first : first + len(held)] = held
            at = end
            bar.show(f"{at:,} samples", (first + len(held)) / len(counts))
    except chunks.Damaged as damage:
        raise damaged(api.where, str(damage)) from damage
    labels = [shown for shown in found.shown if shown is not None]
    if len(labels) < len(counts):
        own = np.array([shown is not None for shown in found.shown])
        rows = np.repeat(own, counts)
        counts, times, bits = counts[own], times[rows], bits[rows]
    return Samples(labels, counts, times, bits.view(np.float64), found.histograms)


def _within(lo: int, hi: int, counts: Ints, times: Ints, bits: Bits, *, stale: bool) -> tuple[Ints, Ints, Bits]:
    """Without what lies outside, and without stale markers but where they are wanted."""
    kept = (times >= lo) & (times <= hi)
    if not stale:
        kept &= bits != chunks.STALE
    if not kept.all():
        owners = np.repeat(np.arange(len(counts)), counts)[kept]
        counts = np.bincount(owners, minlength=len(counts)).astype(np.int64)
        times, bits = times[kept], bits[kept]
    rising = np.diff(times) > 0
    ends = np.cumsum(counts)[:-1]
    rising[ends[(ends > 0) & (ends < len(times))] - 1] = True
    if not rising.all():
        raise Unreadable("samples of a series are not in order")
    return counts, times, bits


def _chunks(api: Api, selector: Selector, lo: int, hi: int, bound: Bound, bar: Progress) -> Stored:
    found = ask_chunks(api, selector, lo, hi, bound, bar)
    others = found.encodings - {XOR}
    if others:
        raise Unreadable(f"chunks of encoding {', '.join(map(str, sorted(others)))}")
    return Xor(found)


def _plain(api: Api, selector: Selector, lo: int, hi: int, bound: Bound, bar: Progress) -> Plain:
    try:
        return ask_plain(api, selector, lo, hi, bound, bar)
    except (ValueError, IndexError) as error:
        raise damaged(api.where, f"a message is damaged ({error})") from error


__all__ = ["Stored", "Unreadable", "fetch", "raw", "stepped"]
