"""The default forecaster: the median of seasonal naives and ridge autoregressions, all series of a batch at once."""

from __future__ import annotations

import numpy as np

from analytics.frames import Floats

RIDGE = 1.0  # penalty on standardised lags, in rows of data
REACH = 0.5  # a recursion may leave the range of its past by so much of that range
NEAR = (1, 2, 3)  # lags of the last points
BEFORE = (4, 5, 6, 12)  # and of some before them
SEASONS, FADE = 4, 0.6  # seasons in a mean, and the weight of each in parts of the next one's
CELLS = 6_000_000  # numbers in the design matrices of the series solved at once: bounds the memory


def ensemble(past: Floats, horizon: int, seasons: tuple[int, ...]) -> Floats:
    """Forecast each row of `past` by the median of the models that fit its seasons.

    Seasonal naives and weighted means of the last seasons, and subset autoregressions by ridge on {raw, log} x {plain,
    differenced at a season}, those differenced at the shortest season with a wider choice of lags; the log models take
    part when no value is zero or negative.

    Args:
        past: (series, time), aligned at the last point; NaN only before a series began.
        horizon: steps to forecast.
        seasons: season lengths in steps, shortest first; may be empty.

    Returns:
        (series, horizon), in the unit of `past`.

    >>> week = np.tile(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 8.0]), 8)[None, :]
    >>> ensemble(week, 3, (7,)).round(6).tolist()
    [[1.0, 2.0, 3.0]]
    """
    chunk = max(1, CELLS // (past.shape[1] * (len(NEAR) + len(BEFORE) + 7 * len(seasons) + 2)))
    parts = [past[low : low + chunk] for low in range(0, len(past), chunk)]
    return np.concatenate([np.nanmedian(np.stack(_models(part, horizon, seasons)), axis=0) for part in parts])


def _models(past: Floats, horizon: int, seasons: tuple[int, ...]) -> list[Floats]:
    made = [seasonal_naive(past, horizon, m) for m in seasons]
    if seasons:
        made.append(seasonal_mean(past, horizon, seasons[-1]))
    else:
        levels = [past[:, -1:], *(smoothed(past, weight)[:, None] for weight in (0.2, 0.02))]
        made += [np.repeat(level, horizon, axis=1) for level in levels]
    made += [autoregression(past, horizon, difference, seasons) for difference in (0, *seasons[1:])]
    made += [autoregression(past, horizon, m, seasons, wide=True) for m in seasons[:1]]
    if np.nanmin(past) > 0:
        logs = np.log(past)
        made += [np.exp(autoregression(logs, horizon, difference, seasons)) for difference in (0, *seasons)]
        made += [np.exp(autoregression(logs, horizon, m, seasons, wide=True)) for m in seasons[:1]]
    return made


def intermittent(past: Floats, horizon: int, seasons: tuple[int, ...]) -> Floats:
    """Forecast rows with many zeros: the mean of the recent profile and of a slowly smoothed level.

    Means, not medians: the median of a series that is mostly zero is zero, and so would be its total.

    >>> intermittent(np.array([[0.0, 4.0, 0.0, 4.0, 0.0, 4.0]]), 2, (2,)).round(1).tolist()
    [[1.0, 3.0]]
    """
    level = np.repeat(smoothed(past, 0.05)[:, None], horizon, axis=1)
    if not seasons:
        return level
    season = seasons[-1]
    cycles = max(1, min(4, past.shape[1] // season))
    recent = np.nan_to_num(past[:, -cycles * season :]).reshape(len(past), cycles, season).mean(axis=1)
    return np.asarray((recent[:, np.arange(horizon) % season] + level) / 2)


def seasonal_naive(past: Floats, horizon: int, season: int) -> Floats:
    """Repeat the last season. A row shorter than the season repeats its last point.

    >>> seasonal_naive(np.array([[1.0, 2.0, 3.0, 4.0]]), 3, 2).tolist()
    [[3.0, 4.0, 3.0]]
    """
    picked = past[:, -season:][:, np.arange(horizon) % min(season, past.shape[1])]
    return np.where(np.isfinite(picked), picked, past[:, -1:])


def seasonal_mean(past: Floats, horizon: int, season: int) -> Floats:
    """Repeat the mean of the last four seasons, each with a weight of 0.6 of the one after it.

    >>> seasonal_mean(np.array([[0.0, 8.0, 8.0, 8.0]]), 3, 2).tolist()
    [[5.0, 8.0, 5.0]]
    """
    made, total = np.zeros((len(past), min(season, past.shape[1]))), 0.0
    for age in range(min(SEASONS, max(1, past.shape[1] // season))):
        one = past[:, max(0, past.shape[1] - season * (age + 1)) : past.shape[1] - season * age]
        made, total = made + FADE**age * one, total + FADE**age
    return seasonal_naive(np.concatenate([past[:, :-1], made / total], axis=1), horizon, season)


def smoothed(past: Floats, weight: float) -> Floats:
    """Exponentially weighted mean of each row, over the points that have a weight worth the name."""
    weights = (1 - weight) ** np.arange(min(past.shape[1], round(6 / weight)))[::-1]
    tail = past[:, -len(weights) :]
    there = np.isfinite(tail)
    return np.asarray(np.where(there, tail, 0) @ weights / (there @ weights))


def lags(difference: int, seasons: tuple[int, ...], points: int, *, wide: bool = False) -> tuple[int, ...]:
    """The lags of one model: the last points and the neighbourhood of each season, as far as the history carries.

    `wide`: more of the last points, and the shortest season several times, up to the longest.
    """
    around = [m + shift for m in seasons for shift in (-1, 0, 1)]
    several = [2 * seasons[0]] if seasons else []
    if wide:
        first, last = seasons[0], seasons[-1]
        times = range(2, min(last // first, 6) if last > first else 5)
        several = [*BEFORE, 2 * first - 1, 2 * first + 1, *(first * n for n in times), last - 2, last + 2]
        several += [last - first + shift for shift in (-1, 0, 1)]
    longest = max(1, (points - difference) // 2)
    return tuple(sorted({lag for lag in (*NEAR, *around, *several) if 1 <= lag <= longest})) or (1,)


def autoregression(
    past: Floats, horizon: int, difference: int, seasons: tuple[int, ...], *, wide: bool = False
) -> Floats:
    """Fit each row on its own `lags` by ridge, after an optional seasonal difference, and run it forward.

    Hoerl and Kennard, "Ridge Regression", Technometrics 12, 1970. A row too short for a lag keeps a zero weight there.
    """
    series = past[:, difference:] - past[:, :-difference] if difference else past
    centre = np.nanmean(series, axis=1, keepdims=True)
    spread = np.nanstd(series, axis=1, keepdims=True)
    spread = np.where(spread > 1e-12 * (1 + np.abs(centre)), spread, 1.0)
    z = (series - centre) / spread
    used = lags(difference, seasons, int(np.isfinite(past).sum(axis=1).min()), wide=wide)
    weights = _ridge(z, used)

    steps = max(used)
    run = np.concatenate([np.nan_to_num(z[:, -steps:]), np.zeros((len(z), horizon))], axis=1)
    low, high = np.nanmin(z, axis=1), np.nanmax(z, axis=1)
    room = REACH * (high - low)
    low, high = low - room, high + room
    back = steps - np.array(used)
    for step in range(horizon):
        ahead = weights[:, 0] + np.einsum("bp,bp->b", weights[:, 1:], run[:, back + step])
        run[:, steps + step] = np.clip(ahead, low, high)
    out = run[:, steps:] * spread + centre
    if difference:
        base = seasonal_naive(past, min(horizon, difference), difference)
        for start in range(0, horizon, difference):
            width = min(difference, horizon - start)
            out[:, start : start + width] += base[:, :width]
            base = out[:, start : start + width]
    return np.asarray(out)


def _ridge(z: Floats, used: tuple[int, ...]) -> Floats:
    longest = max(used)
    width = z.shape[1] - longest
    target = z[:, longest:]
    design = np.stack([np.ones_like(target), *(z[:, longest - lag : longest - lag + width] for lag in used)], axis=2)
    known = np.isfinite(target) & np.isfinite(design).all(axis=2)
    design = np.where(known[:, :, None], design, 0.0)
    turned = design.transpose(0, 2, 1)
    gram = turned @ design
    penalty = RIDGE * np.eye(len(used) + 1)
    penalty[0, 0] = 1e-6  # the mean is not shrunk; the trace of a penalty keeps an empty row solvable
    right = turned @ np.where(known, target, 0.0)[:, :, None]
    return np.asarray(np.linalg.solve(gram + penalty, right)[:, :, 0])
