"""What a selector shows at each step: the newest sample that is not too old, as Prometheus' engine finds it."""

from __future__ import annotations

import numpy as np

from analytics.chunks import STALE, Bits, Ints


def at_steps(
    times: Ints, bits: Bits, counts: Ints, start: int, stop: int, step: int, lookback: int
) -> tuple[Ints, Bits, Ints]:
    """The values at `start`, `start + step`, … up to `stop`, of samples that are no older than `lookback`.

    Args:
        times: of the samples, series by series, rising within each; in the unit of the other times.
        bits: of their values; after a stale marker there is none.
        counts: samples of each series.
        start: first step.
        stop: end of the steps, included.
        step: from one to the next.
        lookback: how old a sample may be, at most.

    Returns:
        Times and bits, series by series, and how many each series has.

    >>> values = np.array([1.0, 2.0, 3.0]).view(np.uint64)
    >>> when, what, held = at_steps(np.array([5, 11, 40]), values, np.array([3]), 0, 50, 10, 15)
    >>> when.tolist(), what.view(float).tolist(), held.tolist()
    ([10, 20, 40, 50], [1.0, 2.0, 3.0, 3.0], [4])
    """
    if not len(times):
        return times, bits, np.zeros(len(counts), dtype=np.int64)
    steps = (stop - start) // step + 1
    first = -((start - times) // step)  # the first step at which a sample is seen
    np.clip(first, 0, None, out=first)
    hidden = np.append(first[1:], steps)  # the first at which the next one hides it
    hidden[np.cumsum(counts)[counts > 0] - 1] = steps
    shown = np.minimum(hidden, steps) - first
    several = np.flatnonzero((shown > 1) | (times < start))  # only these can grow too old
    shown[several] = np.minimum(hidden[several], (times[several] + (lookback - start)) // step + 1) - first[several]
    shown[(shown < 0) | (bits == STALE)] = 0
    if (shown == 1).all():
        return start + step * first, bits, counts
    places = np.cumsum(shown) - shown
    seen = np.arange(int(shown.sum()), dtype=np.int64) + np.repeat(first - places, shown)
    owners = np.repeat(np.arange(len(counts)), counts)
    held = np.bincount(owners, weights=shown, minlength=len(counts)).astype(np.int64)
    return start + step * seen, np.repeat(bits, shown), held
