"""What a point can deviate from: the same time of earlier seasons, the level of the past, the shapes of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analytics.frames import Floats

if TYPE_CHECKING:
    from analytics.frames import Grid

CYCLES = 5  # seasons back that an expectation looks at
RECENT = 11  # points whose median is expected where no season is known
HELD = 4  # points that such an expectation stands for
DAY, WEEK = 86_400.0, 604_800.0
LONGEST = 2016  # steps of a season at most: a week of five minutes
CORRELATED = 0.2  # least autocorrelation of a season that the data themselves tell
NEAR = 64  # sorted pairs around a new one that are looked at first
CLEARER = 0.9  # a longer season must err by so much less before it is believed


def clock_seasons(grid: Grid) -> tuple[int, ...] | None:
    """Day and week, or year, in steps of the grid, shortest first; None where times have no unit.

    >>> import polars as pl
    >>> from analytics.frames import Grid
    >>> clock_seasons(Grid(3_600_000_000, "us", pl.Datetime())), clock_seasons(Grid(1, "int", pl.Int64()))
    ((24, 168), None)
    """
    if grid.unit == "month":
        return (12 // grid.step,) if grid.step in (1, 2, 3) else ()
    if grid.step_s is None:
        return None
    if grid.step_s == WEEK:
        return (52,)
    lengths = (round(span / grid.step_s) for span in (DAY, WEEK) if span % grid.step_s == 0)
    return tuple(length for length in lengths if 4 <= length <= LONGEST)


def expected(past: Floats, season: int, most: int) -> Floats:
    """What the next points should be, at most `most` of them, by nothing but the past.

    The median over the last five seasons of the value at the same time, each the median of itself and its neighbours;
    without a season the median of the last points.

    >>> expected(np.tile([1.0, 2.0, 9.0, 4.0, 4.0, 4.0], 4), 6, 3)
    array([2., 2., 4.])
    """
    points = len(past)
    if season < 2 or points <= season:
        recent = np.sort(past[-RECENT:])
        return np.full(min(HELD, most), recent[len(recent) // 2] if len(recent) else np.nan)
    cycles = min(CYCLES, (points - 1) // season)
    at = points + np.arange(min(season - 1, most)) - season * np.arange(1, cycles + 1)[:, None]
    before, here, after = past[at - 1], past[at], past[at + 1]
    # The middle one of three, by comparisons: far faster than a sort.
    middle = np.maximum(np.minimum(before, here), np.minimum(np.maximum(before, here), after))
    middle.sort(axis=0)
    return np.asarray((middle[(cycles - 1) // 2] + middle[cycles // 2]) / 2)


class Pairs:
    """Pairs of neighbouring points of the past, and how far a new pair lies from the nearest of them.

    The distance is the larger of the two differences. The pairs are sorted by their second point, so that the nearest
    is among a few around a new one, unless that is unusual: then all are looked at.

    Args:
        past: values, the pairs being each with the one before it; at least two.

    >>> pairs = Pairs(np.array([1.0, 2.0, 5.0, 6.0]))
    >>> pairs.nearest(np.array([1.0, 2.5, 6.0])), pairs.nearest_to(2.5, 6.0)
    (array([0.5, 1. ]), 1.0)
    """

    def __init__(self, past: Floats) -> None:
        order = np.argsort(past[1:], kind="stable")
        self.first, self.second = past[:-1][order], past[1:][order]
        self.room = max(0, len(order) - NEAR)

    def nearest_to(self, before: float, value: float) -> float:
        """Distance of one new pair."""
        low = min(max(int(self.second.searchsorted(value)) - NEAR // 2, 0), self.room)
        high = low + NEAR
        apart = np.maximum(np.abs(self.first[low:high] - before), np.abs(self.second[low:high] - value))
        least = float(np.minimum.reduce(apart))
        if (low and value - self.second[low - 1] < least) or (low < self.room and self.second[high] - value < least):
            return float(np.minimum.reduce(np.maximum(np.abs(self.first - before), np.abs(self.second - value))))
        return least

    def nearest(self, joined: Floats) -> Floats:
        """Distances of the pairs that neighbours in `joined` make."""
        before, value = joined[:-1], joined[1:]
        low = np.clip(self.second.searchsorted(value) - NEAR // 2, 0, self.room)
        near = low[:, None] + np.arange(min(NEAR, len(self.first)))
        apart = np.abs(self.first[near] - before[:, None])
        least = np.maximum(apart, np.abs(self.second[near] - value[:, None])).min(axis=1)
        beyond = np.minimum(low + NEAR, len(self.second) - 1)
        below = (low > 0) & (value - self.second[low - 1] < least)
        above = (low < self.room) & (self.second[beyond] - value < least)
        for k in np.flatnonzero(below | above):
            least[k] = np.maximum(np.abs(self.first - before[k]), np.abs(self.second - value[k])).min()
        return np.asarray(least)


def told(past: Floats, known: int = 0) -> int:
    """The season that the autocorrelation of the past shows: its highest peak after it first fell below zero.

    Returns `known` where it shows none.

    >>> told(np.sin(np.arange(300) / 24 * 2 * np.pi)), told(np.random.default_rng(0).normal(size=300))
    (24, 0)
    """
    flat = past - past.mean()
    points = len(flat)
    size = 1 << (2 * points - 1).bit_length()
    power = np.fft.irfft(np.abs(np.fft.rfft(flat, size)) ** 2, size)[: min(points // 3, LONGEST) + 2]
    below = np.flatnonzero(power < 0)
    if power[0] <= 0 or not len(below):
        return known
    lags = np.arange(max(2, below[0]), len(power) - 1)
    peaks = lags[(power[lags] > power[lags - 1]) & (power[lags] >= power[lags + 1])]
    best = int(peaks[power[peaks].argmax()]) if len(peaks) else 0
    return best if best and power[best] > CORRELATED * power[0] else known


def fittest(past: Floats, seasons: tuple[int, ...], current: int) -> int:
    """Which of the seasons errs least on the past; a longer one must be clearly better.

    >>> week = np.repeat([1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0], 6)
    >>> fittest(np.tile(week, 6), (6, 42), 6)
    42
    """
    best, least = current, np.inf
    span = max(2 * seasons[-1], 512)
    for season in seasons:
        kept = past[-span - season :]
        if len(past) < 2 * season + RECENT:
            continue
        error = float(np.abs(kept[season:] - kept[:-season]).mean())
        if error < CLEARER * least:
            best, least = season, error
    return best
