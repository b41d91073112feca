"""Intervals from what a forecaster got wrong before: rolling-origin errors, for points and for sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from analytics.frames import Floats, Ints
from analytics.quantiles import normal, student

ORIGINS = 8  # rolling origins wanted; each costs one more fit
POOL = 60  # so many sums give quantiles of their own; fewer take Student's t
WINDOW = 5  # neighbouring steps that share one error scale


class Solver(Protocol):
    """Forecast a batch (series, time) from several origins: (series, origins, horizon)."""

    def __call__(self, past: Floats, horizon: int, seasons: tuple[int, ...], offsets: Sequence[int], /) -> Floats: ...


@dataclass(frozen=True)
class Rolling:
    """Errors at rolling origins: `errors` is (series, origin, step), actual minus forecast, NaN unknown.

    `made` are the forecasts themselves, where they tell more than the errors do.
    """

    errors: Floats
    offsets: tuple[int, ...]
    made: Floats | None = None


def plan(points: int, horizon: int, need: int, season: int, origins: int = ORIGINS) -> tuple[int, tuple[int, ...]]:
    """How many steps each backtest may cover, and how many points before the end each origin lies.

    Origins lie whole seasons apart where there is room, so that they see the same hour as the forecast does.

    Args:
        points: length of the history.
        horizon: steps asked for.
        need: points that the forecaster needs before its first origin.
        season: shortest season, 1 for none.
        origins: wanted.

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
    stride = max(1, min(steps, room // (origins - 1)))
    if stride >= season:
        stride -= stride % season
    count = min(origins, room // stride + 1)
    return steps, tuple(steps + stride * k for k in range(count))


def compared(actual: Floats, made: Floats, offsets: Sequence[int]) -> Rolling:
    """Forecasts from earlier origins against what came.

    Args:
        actual: (series, time), NaN where nothing was measured: those errors are unknown, not small.
        made: (series, origin, step).
        offsets: points before the end at which the origins lie, each at least as many as there are steps.
    """
    width = actual.shape[1]
    at = width - np.asarray(offsets, dtype=np.int64)[:, None] + np.arange(made.shape[2])
    return Rolling(actual[:, at] - made, tuple(offsets))


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


def covered(rolling: Rolling, level: Sequence[float], kind: str) -> tuple[Floats, int]:
    """How many errors, points or sums, each level of intervals from the other origins covered; and of how many."""
    hits, count = np.zeros(len(level)), 0
    origins, steps = rolling.errors.shape[1:]
    for k in range(origins if origins > 1 else 0):
        others = Rolling(np.delete(rolling.errors, k, axis=1), rolling.offsets[:k] + rolling.offsets[k + 1 :])
        left = rolling.errors[:, k]
        if kind == "sum":
            left, half = left.sum(axis=1), sum_bands(others, steps, level)
        else:
            half = bands(others, steps, level)
        known = np.isfinite(left) & np.isfinite(half).all(axis=-1)
        hits += (np.abs(left[known])[:, None] <= half[known]).sum(axis=0)
        count += int(known.sum())
    return hits, count


def _sum_quantiles(sums: Floats, level: Sequence[float]) -> Floats:
    """Half-widths in scales: pooled over series, and wider where few of the sums are independent."""
    tails = [(1 + one / 100) / 2 for one in level]
    if sums.size < POOL:
        return np.array([student(max(1, sums.shape[1] - 1), tail) for tail in tails])
    others = np.sqrt(_mean_of_others(sums**2))
    units = np.where(np.isfinite(sums) & (others > 0), sums / np.where(others > 0, others, 1.0), np.nan)
    # Series that err together at one origin are one witness, not many.
    freedom = max(1.0, _independent(units.T[None]) - 1)
    wider = np.array([student(freedom, tail) / normal(tail) for tail in tails])
    return np.asarray(np.quantile(_standardised(sums, others), np.asarray(level) / 100) * wider)


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

    def within(values: Floats) -> Floats:
        total = np.pad(values.cumsum(axis=-1), pad)
        return np.asarray(total.take(high, axis=-1) - total.take(low, axis=-1))

    seen = high - low if known.all() else within(known)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(within(filled) / np.where(seen > 0, seen, np.nan))
