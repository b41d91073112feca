"""What is put right before a fit: gaps get the season's values, and what lay before a level shift moves with it."""

from __future__ import annotations

import numpy as np

from analytics.frames import Floats, Ints
from analytics.threads import in_threads

NEIGHBOURS = 4  # seasons on either side that fill a gap
WINDOW = 48  # points on either side of a shift that are compared, at least; two seasons where that is more
ROWS = 500  # series looked at together: bounds the memory
SHIFT = 7.0  # standard deviations within the windows; a straight trend reaches 3.5, a random walk seldom 7


def filled(past: Floats, actual: Floats, seasons: tuple[int, ...]) -> Floats:
    """Gaps filled by the median of the same place in neighbouring seasons, else as they were.

    Args:
        past: (series, time), gaps already filled by straight lines; NaN before a series began.
        actual: the same with NaN where nothing was measured.
        seasons: season lengths in steps, the longest known best.

    >>> day = np.tile([1.0, 5.0], 4)[None, :]
    >>> holes, line = day.copy(), day.copy()
    >>> holes[0, 3], line[0, 3] = np.nan, 1.0
    >>> filled(line, holes, (2,)).tolist() == day.tolist()
    True
    """
    missing = np.isnan(actual) & np.isfinite(past)
    if not seasons or not missing.any():
        return past
    out = past.copy()
    series, place = np.nonzero(missing)
    width = past.shape[1]
    for season in seasons:
        steps = season * np.array([k for k in range(-NEIGHBOURS, NEIGHBOURS + 1) if k])
        at = place[:, None] + steps
        inside = (at >= 0) & (at < width)
        near = np.where(inside, actual[series[:, None], np.clip(at, 0, width - 1)], np.nan)
        some = np.isfinite(near).sum(axis=1) >= 2
        if some.any():
            out[series[some], place[some]] = np.nanmedian(near[some], axis=1)
    return out


def moved(past: Floats, seasons: tuple[int, ...], *, positive: bool) -> tuple[Floats, Ints]:
    """The past on the level after its largest shift, if it has one, and how many points ago that was (0: none).

    A shift is a change of the mean from one window to the next that is seven times what varies within them. What lay
    before is moved by the difference, or multiplied where every value is positive.

    >>> step = np.concatenate([np.full(100, 2.0), np.full(100, 8.0)])[None, :]
    >>> step *= np.random.default_rng(0).lognormal(0, 0.05, (1, 200))
    >>> level, ago = moved(step, (), positive=True)
    >>> bool(abs(level.mean() - 8) < 0.1), int(ago[0])
    (True, 100)
    """
    window = max(WINDOW, 2 * max(seasons, default=1))
    if past.shape[1] < 2 * window:
        return past, np.zeros(len(past), dtype=np.int64)
    parts = [past[low : low + ROWS] for low in range(0, len(past), ROWS)]
    made = in_threads(lambda part: _moved(part, window, positive=positive), parts)
    shifted = np.concatenate([ago for _, ago in made])
    return (np.concatenate([one for one, _ in made]) if shifted.any() else past), shifted


def _moved(past: Floats, window: int, *, positive: bool) -> tuple[Floats, Ints]:
    ago = np.zeros(len(past), dtype=np.int64)
    width = past.shape[1]
    values = np.log(past) if positive else past
    known = np.isfinite(values)
    whole = np.where(known, values, 0.0)
    whole = np.where(
        known, whole - whole.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1), 0
    )
    sums, squares = (np.pad(np.cumsum(one, axis=1), ((0, 0), (1, 0))) for one in (whole, whole**2))
    cut = np.arange(window, width - window + 1)
    before, after = sums[:, cut] - sums[:, cut - window], sums[:, cut + window] - sums[:, cut]
    power = squares[:, cut + window] - squares[:, cut - window]
    inside = np.maximum(power - (before**2 + after**2) / window, 0.0) / (2 * window - 2)
    change = (after - before) / window
    begun = known[:, cut - window]
    size = np.where(
        begun & (change != 0), np.abs(change) / np.sqrt(np.maximum(inside, 1e-12 * change**2 + 1e-300)), 0.0
    )
    best = size.argmax(axis=1)
    shifted = np.flatnonzero(size[np.arange(len(past)), best] > SHIFT)
    if not len(shifted):
        return past, ago
    out = values.copy()
    for s in shifted:
        out[s, : cut[best[s]]] += change[s, best[s]]
        ago[s] = width - cut[best[s]]
    if not positive:
        out = np.where(np.nanmin(past, axis=1, keepdims=True) >= 0, np.maximum(out, 0.0), out)
    # A row that did not shift comes back as it was, to the last digit.
    made = np.where(ago[:, None] > 0, np.exp(out) if positive else out, past)
    return made, ago
