"""The forecaster of series with many zeros: levels, seasons and a model of square roots."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analytics.autoregression import autoregression
from analytics.ensemble import in_parts, lags, squared
from analytics.frames import Floats
from analytics.naive import levels, seasonal_mean, seasonal_naive

LIFT = (0.5, 2.0)  # least and most that a forecast is multiplied by
SMOOTHING = (0.2, 0.05)  # weight of the newest point in a fast and in a slow level


def intermittent(past: Floats, horizon: int, seasons: tuple[int, ...], offsets: Sequence[int] = (0,)) -> Floats:
    """Forecast rows with many zeros by the weighted median of few models, as `ensemble` does with its own.

    The last season, the mean of the last seasons, two exponentially smoothed levels, and an autoregression of the
    square roots: logarithms of zeros do not exist, and differences of what is mostly zero say little.

    >>> rain = np.tile([0.0, 4.0], 30)[None, :]
    >>> intermittent(rain, 2, (2,)).round(1).tolist()
    [[[0.0, 4.0]]]
    """
    return in_parts(_models, past, horizon, seasons, offsets)


def _models(past: Floats, horizon: int, seasons: tuple[int, ...], offsets: Sequence[int]) -> list[Floats]:
    smooth = (levels(past, weight, offsets) for weight in SMOOTHING)
    made = [np.repeat(level[:, :, None], horizon, axis=2) for level in smooth]
    for m in seasons:
        made += [seasonal_naive(past, horizon, m, offsets), seasonal_mean(past, horizon, m, offsets)]
    made.append(squared(autoregression(np.sqrt(past), horizon, lags(seasons), offsets=offsets)))
    return made


def lifted(made: Floats, actual: Floats, offsets: Sequence[int], steps: int) -> Floats:
    """Forecasts (series, origin, step) times how much more came than was forecast, as far as the backtest is sure.

    The median of bursts is below their mean, and a total needs the mean. The mean error of the origins, in parts of
    itself and its variance, says how much of the ratio to believe. The first origin is the present.

    >>> made = np.ones((1, 9, 2))
    >>> lifted(made, np.full((1, 20), 1.5), tuple(range(2, 18, 2)), 2)[0, 0].round(2).tolist()
    [1.5, 1.5]
    """
    at = actual.shape[1] - np.asarray(offsets, dtype=np.int64)[:, None] + np.arange(steps)
    came = actual[:, at]
    known = np.isfinite(came)
    sums = np.where(known, came, 0.0).sum(axis=2)
    ours = np.where(known, made[:, 1:, :steps], 0.0).sum(axis=2)
    missed = sums - ours
    mean, noise = missed.mean(axis=1), missed.var(axis=1) * 2 / max(1, missed.shape[1])  # neighbours overlap
    believed = np.where(mean**2 + noise > 0, mean**2 / np.where(mean**2 + noise > 0, mean**2 + noise, 1.0), 0.0)
    total = ours.sum(axis=1)
    ratio = np.where(total > 0, sums.sum(axis=1) / np.where(total > 0, total, 1.0), 1.0)
    return np.asarray(made * (np.clip(ratio, *LIFT) ** believed)[:, None, None])
