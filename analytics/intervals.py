"""Intervals from what a forecaster got wrong before: rolling-origin errors, for points and for sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analytics.frames import Floats, Ints

ORIGINS = 8  # rolling origins wanted; each costs one more fit
POOL = 60  # so many sums give quantiles of their own; fewer take Student's t
WINDOW = 5  # neighbouring steps that share one error scale

Solver = Callable[[Floats, int], Floats]


@dataclass(frozen=True)
class Rolling:
    """Errors at rolling origins: `errors` is (series, origin, step), actual minus forecast, NaN unknown."""

    errors: Floats
    offsets: tuple[int, ...]


def plan(points: int, horizon: int, need: int, season: int) -> tuple[int, tuple[int, ...]]:
    """How many steps each backtest may cover, and how many points before the end each origin lies.

    Origins lie whole seasons apart where there is room, so that they see the same hour as the forecast does.

    Args:
        points: length of the history.
        horizon: steps asked for.
        need: points that the forecaster needs before its first origin.
        season: shortest season, 1 for none.

    >>> plan(1440, 168, 336, 24)
    (168, (168, 288, 408, 528, 648, 768, 888, 1008))
    >>> plan(60, 100, 14, 7)
    (23, (23, 26, 29, 32, 35, 38, 41, 44))
    """
    spare = points - need
    if spare < 1:
        return 0, ()
    steps = min(horizon, max(1, spare // 2))
    room = spare - steps
    stride = max(1, min(steps, room // (ORIGINS - 1)))
    if stride >= season:
        stride -= stride % season
    count = min(ORIGINS, room // stride + 1)
    return steps, tuple(steps + stride * k for k in range(count))


def roll(past: Floats, actual: Floats, steps: int, offsets: Sequence[int], solve: Solver) -> Rolling:
    """Forecast from every origin at once and compare.

    Args:
        past: (series, time) without gaps, what the forecaster may see.
        actual: the same with NaN where nothing was measured: those errors are unknown, not small.
        steps: steps each origin forecasts.
        offsets: points before the end at which the origins lie.
        solve: (rows, time), steps -> (rows, steps).
    """
    count, width = past.shape
    shifted = np.full((count, len(offsets), width), np.nan)
    truth = np.empty((count, len(offsets), steps))
    for k, offset in enumerate(offsets):
        shifted[:, k, offset:] = past[:, : width - offset]
        truth[:, k] = actual[:, width - offset : width - offset + steps]
    made = solve(shifted.reshape(-1, width), steps).reshape(count, len(offsets), steps)
    return Rolling(truth - made, tuple(offsets))


def bands(rolling: Rolling, horizon: int, level: Sequence[float]) -> Floats:
    """Half-widths (series, step, level) of the intervals of single points.

    Each step has its own error scale, shared with its neighbours and, beyond the steps that were backtested, growing
    with the root of time. Errors are standardised by the scale of the *other* origins, pooled over series, and their
    quantiles scale back: the split-conformal idea (Lei et al., JASA 113, 2018) with leave-one-origin-out scales and a
    finite-sample level for as many errors as are independent.
    """
    power = rolling.errors**2
    scale = np.sqrt(_smooth(_mean(power, 1)))
    others = np.sqrt(_smooth(_mean_of_others(power)))
    levels = np.minimum(np.asarray(level) / 100 * (1 + 1 / _independent(rolling.errors)), 1.0)
    quantiles = np.quantile(_standardised(rolling.errors, others), levels)
    steps = np.arange(horizon)
    last = scale.shape[1] - 1
    beyond = np.sqrt(np.maximum(1.0, (steps + 1) / (last + 1)))
    return np.asarray((scale[:, np.minimum(steps, last)] * beyond)[:, :, None] * quantiles)


def sum_bands(rolling: Rolling, horizon: int, level: Sequence[float]) -> Floats:
    """Half-widths (series, level) of the interval of the sum over the horizon, from errors of sums."""
    covered = rolling.errors.shape[2]
    # A step that was not measured takes the mean error of its origin: leaving it out would shrink the sum.
    sums = _mean(rolling.errors, 2) * covered
    rms = np.sqrt(_mean(sums**2, 1))
    if horizon > covered:
        half = max(1, covered // 2)
        rms_half = np.sqrt(_mean((_mean(rolling.errors[:, :, :half], 2) * half) ** 2, 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            growth = np.log(rms / rms_half) / np.log(covered / half)
        growth = np.clip(np.nan_to_num(growth, nan=1.0), 0.5, 1.5)
        rms = rms * (horizon / covered) ** growth
    return np.asarray(rms[:, None] * _sum_quantiles(sums, level))


def _sum_quantiles(sums: Floats, level: Sequence[float]) -> Floats:
    from scipy.special import ndtri, stdtrit

    probabilities = np.asarray(level) / 100
    origins = sums.shape[1]
    student = stdtrit(max(1, origins - 1), (1 + probabilities) / 2)
    if sums.size < POOL:
        return np.asarray(student)
    others = np.sqrt(_mean_of_others(sums**2))
    pooled = np.quantile(_standardised(sums, others), probabilities)
    return np.asarray(np.maximum(pooled, ndtri((1 + probabilities) / 2)))


def _independent(errors: Floats) -> float:
    """How many independent errors there are: those of one origin hang together (Kish's design effect)."""
    known = max(1, int(np.isfinite(errors).sum()))
    power, sums = np.nansum(errors**2), np.nansum(np.nansum(errors, axis=2) ** 2)
    return float(known / max(1.0, sums / power)) if power > 0 else float(known)


def _standardised(errors: Floats, others: Floats) -> Floats:
    known = np.isfinite(errors) & np.isfinite(others) & (others > 0)
    return np.abs(errors[known] / others[known]) if known.any() else np.zeros(1)


def _mean(values: Floats, axis: int) -> Floats:
    """Mean of what is known, NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    return np.asarray(np.where(count > 0, np.where(known, values, 0.0).sum(axis=axis) / np.maximum(count, 1), np.nan))


def _mean_of_others(power: Floats) -> Floats:
    """For each origin (axis 1) the mean over the other ones; a single origin has only itself."""
    known = np.isfinite(power)
    filled = np.where(known, power, 0.0)
    count = known.sum(axis=1, keepdims=True) - known
    total = filled.sum(axis=1, keepdims=True) - filled
    if power.shape[1] == 1:
        return power
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _smooth(power: Floats) -> Floats:
    """Running mean over neighbouring steps (last axis), NaN left out."""
    steps = power.shape[-1]
    reach = min(WINDOW, steps) // 2
    known = np.isfinite(power)
    filled = np.where(known, power, 0.0)
    edge: Ints = np.arange(steps)
    low, high = np.maximum(edge - reach, 0), np.minimum(edge + reach, steps - 1) + 1
    pad = [(0, 0)] * (power.ndim - 1) + [(1, 0)]
    total, count = np.pad(filled.cumsum(axis=-1), pad), np.pad(known.cumsum(axis=-1), pad)
    seen = count[..., high] - count[..., low]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((total[..., high] - total[..., low]) / np.where(seen > 0, seen, np.nan))
