"""Forecasts without a fit: the last season, means of the last seasons, levels; for many series and origins at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analytics.frames import Floats

SEASONS, FADE = 4, 0.6  # seasons in a mean, and the weight of each in parts of the next one's


def seasonal_naive(past: Floats, horizon: int, season: int, offsets: Sequence[int] = (0,)) -> Floats:
    """Repeat the last season. A row shorter than the season repeats its last point.

    Args:
        past: (series, time), aligned at the last point; NaN only before a series began.
        horizon: steps to forecast.
        season: in steps.
        offsets: origins, in points before the end.

    Returns:
        (series, origins, horizon).

    >>> seasonal_naive(np.array([[1.0, 2.0, 3.0, 4.0]]), 3, 2).tolist()
    [[[3.0, 4.0, 3.0]]]
    """
    return _repeated(past, horizon, season, offsets, [1.0])


def seasonal_mean(past: Floats, horizon: int, season: int, offsets: Sequence[int] = (0,)) -> Floats:
    """Repeat the mean of the last four seasons, each with a weight of 0.6 of the one after it.

    >>> seasonal_mean(np.array([[0.0, 8.0, 8.0, 8.0]]), 3, 2).tolist()
    [[[5.0, 8.0, 5.0]]]
    """
    return _repeated(past, horizon, season, offsets, [FADE**age for age in range(SEASONS)])


def _repeated(past: Floats, horizon: int, season: int, offsets: Sequence[int], weights: Sequence[float]) -> Floats:
    """The weighted mean of the last seasons, newest first; seasons that are not known have no weight."""
    width = past.shape[1]
    ends = width - np.asarray(offsets)
    made = np.zeros((len(past), len(ends), min(season, horizon)))
    weight = np.zeros_like(made)
    for age, one in enumerate(weights):
        at = ends[:, None] - season * (age + 1) + np.arange(made.shape[2])
        values = np.where(at >= 0, past[:, np.maximum(at, 0)], np.nan)
        known = np.isfinite(values)
        made += np.where(known, one * np.nan_to_num(values), 0.0)
        weight += np.where(known, one, 0.0)
    last = past[:, np.maximum(ends - 1, 0)][:, :, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        shape = np.where(weight > 0, made / weight, last)
    return np.asarray(shape[:, :, np.arange(horizon) % season])


def levels(past: Floats, weight: float, offsets: Sequence[int] = (0,)) -> Floats:
    """Exponentially weighted mean of each row at each origin, over the points that have a weight worth the name.

    >>> levels(np.array([[1.0, 1.0, 4.0]]), 0.5, (0, 1)).round(2).tolist()
    [[2.71, 1.0]]
    """
    weights = (1 - weight) ** np.arange(min(past.shape[1], round(6 / weight)))[::-1]
    made = []
    for offset in offsets:
        tail = past[:, : past.shape[1] - offset][:, -len(weights) :]
        there = np.isfinite(tail)
        now = weights[-tail.shape[1] :]
        sure = np.where(there, tail, 0.0) @ now
        made.append(sure / np.maximum(there @ now, 1e-300))
    return np.stack(made, axis=1)
