"""The default forecaster: the median of seasonal naives and ridge autoregressions, all series of a batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from analytics.autoregression import autoregression
from analytics.frames import Floats
from analytics.naive import levels, seasonal_mean, seasonal_naive
from analytics.threads import in_threads

NEAR = (1, 2, 3)  # lags of the last points
BEFORE = (4, 5, 6, 12)  # and of some before them
SURE = 0.01  # the least error of a model, in mean errors of all
CELLS = 2_000_000  # numbers in the design matrix of the series solved at once: bounds the memory


class Models(Protocol):
    """The forecasts of several models, each (series, origins, horizon)."""

    def __call__(
        self, past: Floats, horizon: int, seasons: tuple[int, ...], offsets: Sequence[int], /
    ) -> list[Floats]: ...


def ensemble(past: Floats, horizon: int, seasons: tuple[int, ...], offsets: Sequence[int] = (0,)) -> Floats:
    """Forecast each row of `past` by the weighted median of the models that fit its seasons.

    Seasonal naives, the weighted mean of the last seasons, and subset autoregressions by ridge on the values as they
    are and differenced at the shortest season, on logarithms differenced at each season; the differenced ones also
    with a wider choice of lags. Log models take part when no value is zero or negative. Weights are inverse errors in
    the backtest (Bates and Granger, Operational Research Quarterly 20, 1969); an origin does not weigh for itself.

    Args:
        past: (series, time), aligned at the last point; NaN only before a series began.
        horizon: steps to forecast.
        seasons: season lengths in steps, shortest first; may be empty.
        offsets: origins, in points before the end; each is forecast from what came before it, and what came after it
            weighs the models at the others.

    Returns:
        (series, origins, horizon), in the unit of `past`.

    >>> week = np.tile(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.0, 8.0]), 8)[None, :]
    >>> ensemble(week, 3, (7,)).round(6).tolist()
    [[[1.0, 2.0, 3.0]]]
    """
    return in_parts(_models, past, horizon, seasons, offsets)


def in_parts(models: Models, past: Floats, horizon: int, seasons: tuple[int, ...], offsets: Sequence[int]) -> Floats:
    """The weighted median of `models`, for as many series at once as memory should hold, on every core."""
    chunk = max(1, CELLS // (past.shape[1] * (len(NEAR) + len(BEFORE) + 7 * len(seasons) + 2)))
    parts = [past[low : low + chunk] for low in range(0, len(past), chunk)]

    def solve(part: Floats) -> Floats:
        made = models(part, horizon, seasons, offsets)
        return weighted_median(made, _weights(part, made, offsets))

    return np.concatenate(in_threads(solve, parts))


def _models(past: Floats, horizon: int, seasons: tuple[int, ...], offsets: Sequence[int]) -> list[Floats]:
    def fit(series: Floats, difference: int, *, more: bool = False) -> Floats:
        return autoregression(series, horizon, lags(seasons, more=more), difference=difference, offsets=offsets)

    made = [seasonal_naive(past, horizon, m, offsets) for m in seasons or (1,)]
    if seasons:
        made.append(seasonal_mean(past, horizon, seasons[-1], offsets))
    else:
        means = (levels(past, weight, offsets) for weight in (0.2, 0.02))
        made += [np.repeat(mean[:, :, None], horizon, axis=2) for mean in means]
    made += [fit(past, 0), *(fit(past, m, more=True) for m in seasons[:1])]
    lowest = np.nanmin(past)
    if lowest > 0:
        logs = np.log(past)
        made += [np.exp(fit(logs, m)) for m in seasons or (0,)]
        made += [np.exp(fit(logs, m, more=True)) for m in seasons[:1]]
    elif lowest == 0:
        roots = np.sqrt(past)
        made += [squared(fit(roots, m)) for m in (0, *seasons)]
    return made


def squared(roots: Floats) -> Floats:
    """Back from square roots; what is below zero is zero."""
    return np.maximum(roots, 0.0) ** 2


def _weights(past: Floats, made: list[Floats], offsets: Sequence[int]) -> list[Floats]:
    """Inverse mean absolute errors (series, origin) of each model, for every origin from the other ones."""
    at = past.shape[1] - np.asarray(offsets)[:, None] + np.arange(made[0].shape[2])
    truth = np.where(at < past.shape[1], past[:, np.minimum(at, past.shape[1] - 1)], np.nan)
    known = np.isfinite(truth)
    truth = np.where(known, truth, 0.0)
    count = known.sum(axis=2)
    others = np.maximum(count.sum(axis=1, keepdims=True) - count, 1)
    errors = []
    for one in made:
        missed = (np.abs(one - truth) * known).sum(axis=2)
        errors.append((missed.sum(axis=1, keepdims=True) - missed) / others)
    # A model that never erred does not silence the rest.
    least = np.mean(errors, axis=0) * SURE
    return [np.where(least > 0, 1 / np.maximum(error, np.where(least > 0, least, 1.0)), 1.0) for error in errors]


def weighted_median(made: Sequence[Floats], weights: Sequence[Floats]) -> Floats:
    """The median of forecasts (series, origin, step) under weights (series, origin), straight lines between them.

    >>> values = [np.array([[[one]]]) for one in (1.0, 9.0, 2.0, 3.0)]
    >>> weighted_median(values, [np.ones((1, 1))] * 4).item()
    2.5
    >>> weighted_median(values, [np.full((1, 1), one) for one in (1.0, 9.0, 1.0, 1.0)]).round(1).item()
    7.2
    """
    values = [one.copy() for one in made]
    heavy = [np.broadcast_to(weight[:, :, None], values[0].shape) for weight in weights]
    # Odd-even transposition: for so few models faster than a sort that has to carry weights along.
    for turn in range(len(values)):
        for k in range(turn % 2, len(values) - 1, 2):
            swap = values[k] > values[k + 1]
            values[k], values[k + 1] = np.minimum(values[k], values[k + 1]), np.maximum(values[k], values[k + 1])
            heavy[k], heavy[k + 1] = np.where(swap, heavy[k + 1], heavy[k]), np.where(swap, heavy[k], heavy[k + 1])
    half = np.sum(weights, axis=0)[:, :, None] / 2
    below = heavy[0] / 2
    out = values[0]
    for k in range(1, len(values)):
        width = (heavy[k - 1] + heavy[k]) / 2
        out = out + np.clip((half - below) / width, 0.0, 1.0) * (values[k] - values[k - 1])
        below = below + width
    return np.asarray(out)


def lags(seasons: tuple[int, ...], *, more: bool = False) -> tuple[int, ...]:
    """The lags of one model: the last points and the neighbourhood of each season.

    `more`: more of the last points, and the shortest season several times, up to the longest.

    >>> lags((24,))
    (1, 2, 3, 23, 24, 25, 48)
    """
    around = [m + shift for m in seasons for shift in (-1, 0, 1)]
    several = [2 * seasons[0]] if seasons else []
    if more:
        first, last = seasons[0], seasons[-1]
        times = range(2, min(last // first, 6) if last > first else 5)
        several = [*BEFORE, 2 * first - 1, 2 * first + 1, *(first * n for n in times), last - 2, last + 2]
        several += [last - first + shift for shift in (-1, 0, 1)]
    return tuple(sorted({lag for lag in (*NEAR, *around, *several) if lag >= 1}))
