"""Which seasons a series has: candidates by autocorrelation, confirmed by what they gain on held-out points."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from analytics.frames import Floats, Grid
from analytics.threads import in_threads
from store.errors import ParameterInvalid

HOUR, DAY, WEEK = 3600.0, 86_400.0, 604_800.0
GAIN = 0.05  # a season must cut the held-out error by so much to be believed
FOLDS = 6  # held-out stretches, each one season long
SHARED = 0.25  # a season that so many series of a frame have is used for all of them
FUNDAMENTAL = 0.6  # a peak of so much of the highest one may be the season, and the higher one its multiple
CELLS = 500_000  # values judged at once: bounds the memory
CYCLES = (3, 8)  # seasons that a profile averages: few follow a change, many still the noise
SIGNIFICANT = 2.6  # standard errors of an autocorrelation, about 1 % two-sided


def given(season_length: int | Sequence[int] | None) -> tuple[int, ...]:
    """The caller's season lengths as a sorted tuple; empty when there are none."""
    if season_length is None:
        return ()
    asked: object = season_length
    several: tuple[object, ...] = (
        tuple(asked) if isinstance(asked, Iterable) and not isinstance(asked, str) else (asked,)
    )
    lengths = [int(m) for m in several if isinstance(m, int | np.integer) and not isinstance(m, bool)]
    if len(lengths) < len(several):
        raise ParameterInvalid("season_length", f"expected whole numbers of steps, such as 24, got {season_length!r}")
    return tuple(sorted(set(lengths)))


def candidate_lengths(grid: Grid, series: Floats) -> tuple[int, ...]:
    """Seasons worth a try on this grid: day and week, year; peaks of the autocorrelation where time has no unit."""
    named = _named(grid)
    return _peaks([series]) if named is None else named


def _named(grid: Grid) -> tuple[int, ...] | None:
    """The seasons that the clock names; None where time has no unit."""
    if grid.unit == "month":
        return (12 // grid.step,) if grid.step in (1, 2, 3) else ()
    if grid.step_s is None:
        return None
    if grid.step_s == WEEK:
        return (52,)
    return tuple(round(s / grid.step_s) for s in (HOUR, DAY, WEEK) if s % grid.step_s == 0 and s / grid.step_s >= 4)


def found(grid: Grid, series: Sequence[Floats]) -> list[tuple[int, ...]]:
    """The confirmed season lengths of each series; one that a quarter of the series have is used for all.

    Where time has no unit, candidates are the peaks of the mean autocorrelation of all series, and its own peaks for a
    series in which none of those is confirmed.
    """
    named = _named(grid)
    own = _confirmed(series, [_peaks(series) if named is None else named] * len(series))
    if named is None:
        rest = [k for k, lengths in enumerate(own) if not lengths] if len(series) > 1 else []
        again = [series[k] for k in rest]
        for k, lengths in zip(rest, _confirmed(again, [_peaks([one]) for one in again]), strict=True):
            own[k] = lengths
    votes = Counter(length for lengths in own for length in lengths)
    common = {length for length, count in votes.items() if count >= SHARED * len(series)}
    pairs = zip(own, series, strict=True)
    return [tuple(sorted(m for m in lengths | common if len(values) >= 2 * m)) for lengths, values in pairs]


def _confirmed(series: Sequence[Floats], candidates: Sequence[tuple[int, ...]]) -> list[set[int]]:
    """The lengths that `judge` confirms, series of one length and the same candidates at once."""
    out: list[set[int]] = [set() for _ in series]
    alike: dict[tuple[int, tuple[int, ...]], list[int]] = defaultdict(list)
    for k, (values, lengths) in enumerate(zip(series, candidates, strict=True)):
        alike[len(values), lengths].append(k)
    parts = []
    for (width, lengths), members in alike.items():
        chunk = max(1, CELLS // width)
        parts += [(lengths, members[low : low + chunk]) for low in range(0, len(members), chunk)]

    def verdicts(part: tuple[tuple[int, ...], list[int]]) -> list[tuple[int, NDArray[np.bool_]]]:
        rows = np.stack([series[k] for k in part[1]])
        return [(length, believed) for length, _, _, believed in _judged(rows, part[0])]

    for (_, members), judged in zip(parts, in_threads(verdicts, parts), strict=True):
        for length, believed in judged:
            for place in np.flatnonzero(believed):
                out[members[place]].add(length)
    return out


def judge(series: Floats, candidates: Sequence[int]) -> list[tuple[int, float | None, float | None, bool]]:
    """(length, autocorrelation, gain, confirmed) of each candidate, shortest first; `series` has no gaps."""
    verdicts = []
    for length, correlation, gain, believed in _judged(series[None, :], candidates):
        seen, won = (float(one[0]) if np.isfinite(one[0]) else None for one in (correlation, gain))
        verdicts.append((length, seen, won, bool(believed[0])))
    return verdicts


def _judged(series: Floats, candidates: Sequence[int]) -> list[tuple[int, Floats, Floats, NDArray[np.bool_]]]:
    """`judge` for many series of one length at once: (series, time); NaN for what cannot be told."""
    width = series.shape[1]
    varies = np.ptp(series, axis=1) > 0
    flat = _detrended(series)
    power = (flat**2).sum(axis=1)
    shorter = np.ones(len(series), dtype=np.int64)
    verdicts = []
    for length in sorted(candidates):
        correlation, gain = np.full(len(series), np.nan), np.full(len(series), np.nan)
        if width >= 2 * length:
            lagged, half = (_at_lag(flat, power, lag) for lag in (length, length // 2))
            correlation = np.where(varies, lagged, np.nan)
            # Against half the season as well: a slow drift correlates at every lag, a season least half-way through.
            stands_out = varies & (lagged > np.maximum(half, 0.0) + SIGNIFICANT / np.sqrt(width))
            for one in np.unique(shorter[stands_out]):
                rows = stands_out & (shorter == one)
                gain[rows] = _gain(series[rows], length, int(one))
        believed = gain >= GAIN
        shorter[believed] = length
        verdicts.append((length, correlation, gain, believed))
    return verdicts


def _detrended(series: Floats) -> Floats:
    """Rows without their mean and straight trend."""
    t = np.arange(series.shape[1]) - (series.shape[1] - 1) / 2
    slope = series @ t / max(float(t @ t), 1e-300)
    return np.asarray(series - series.mean(axis=1, keepdims=True) - slope[:, None] * t)


def _at_lag(flat: Floats, power: Floats, lag: int) -> Floats:
    product = np.einsum("st,st->s", flat[:, lag:], flat[:, : flat.shape[1] - lag])
    return np.asarray(np.where(power > 0, product / np.where(power > 0, power, 1.0), 0.0))


def known(values: Floats) -> Floats:
    """One row of a panel from its first value on, gaps filled by straight lines."""
    there = np.flatnonzero(np.isfinite(values))
    kept = values[there[0] :]
    positions = np.arange(len(kept))
    return np.asarray(np.interp(positions, there - there[0], kept[there - there[0]]))


def autocorrelation(series: Floats, lag: int) -> float:
    """Autocorrelation at one lag after the straight trend is taken out.

    >>> round(autocorrelation(np.tile([0.0, 1.0, 0.0, -1.0], 25), 4), 2)
    0.96
    """
    flat = _detrended(series[None, :])
    return float(_at_lag(flat, (flat**2).sum(axis=1), lag)[0])


def _gain(series: Floats, length: int, shorter: int) -> Floats:
    """Share of each row's absolute error on the last folds that a profile of `length` removes, against `shorter`."""
    width = series.shape[1]
    errors = np.zeros((2, len(CYCLES), 2, len(series)))
    for fold in range(min(FOLDS, width // length - 1)):
        end = width - fold * length
        past, actual = series[:, : end - length], series[:, end - length : end]
        # Rivals see as much of the past, lest a longer memory pass for a season.
        levels = (past[:, -max(CYCLES) * length :].mean(axis=1), past[:, -length:].mean(axis=1))
        for rival, season in enumerate((shorter, length)):
            for depth, cycles in enumerate(CYCLES):
                left = actual - _profile(past, season, length, cycles * length)
                for k, level in enumerate(levels):
                    errors[rival, depth, k] += np.abs(left - level[:, None]).sum(axis=1)
    without, with_it = errors.min(axis=(1, 2))
    return np.asarray(np.where(without > 0, 1 - with_it / np.where(without > 0, without, 1.0), 0.0))


def _profile(past: Floats, season: int, horizon: int, span: int) -> Floats:
    """Mean deviation from the level by position in the season, over the last `span` points, for `horizon` steps."""
    if season == 1:
        return np.zeros((len(past), horizon))
    cycles = max(1, min(span, past.shape[1]) // season)
    mean = past[:, -cycles * season :].reshape(len(past), cycles, season).mean(axis=1)
    return np.asarray((mean - mean.mean(axis=1, keepdims=True))[:, np.arange(horizon) % season])


def _peaks(series: Sequence[Floats]) -> tuple[int, ...]:
    """Peaks of the mean autocorrelation: a day, and the week among the days.

    The first one that is nearly as high as any, and the highest later one that stands out among its neighbours.
    """
    total, seen = np.zeros(0), np.zeros(0)
    for one in series:
        if len(one) < 9 or np.ptp(one) == 0:
            continue
        flat = _detrended(one[None, :])[0]
        size = 1 << (2 * len(flat) - 1).bit_length()
        acf = np.fft.irfft(np.abs(np.fft.rfft(flat, size)) ** 2, size)[: len(flat) // 3 + 2]
        acf *= len(flat) / (len(flat) - np.arange(len(acf))) / acf[0]
        short, long = sorted((total, acf), key=len)
        total = long.copy()
        total[: len(short)] += short
        seen = np.pad(seen, (0, len(total) - len(seen)))
        seen[: len(acf)] += 1
    # Lags that less than half of the series reach say little of the rest.
    mean = (total / np.maximum(seen, 1))[: int((seen >= seen.max(initial=1) / 2).sum())]
    lags = [lag for lag in range(2, len(mean) - 1) if mean[lag] > 0 and mean[lag] == mean[_around(lag)].max()]
    if not lags:
        return ()
    first = next(lag for lag in lags if mean[lag] >= FUNDAMENTAL * mean[lags].max())
    later = [lag for lag in lags if lag > first]
    heights = [mean[lag] for lag in later] + [-np.inf]
    inner = [k for k in range(1, len(later)) if heights[k] > max(heights[k - 1], heights[k + 1])]
    best = max(inner, key=lambda k: mean[later[k]], default=None)
    return (first,) if best is None else (first, later[best])


def _around(lag: int) -> slice:
    reach = max(1, lag // 8)
    return slice(lag - reach, lag + reach + 1)
