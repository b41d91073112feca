"""Scores of forecasts as the M4 competition defines them, coverage, WAPE, and the calibration of probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DAY = 24
BUDGETS = (0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.5)  # of the last stretch of equal length
BINS = 10


def owa(past: Sequence[Floats], came: Floats, made: Floats) -> float:
    """Overall weighted average of sMAPE and MASE against Naive2 (Makridakis et al., IJF 36, 2020)."""
    naive = np.stack([_naive2(one, came.shape[1]) for one in past])
    scale = scales(past)
    parts = [(_smape(came, one).mean(), (np.abs(came - one).mean(axis=1) / scale).mean()) for one in (made, naive)]
    return float(np.mean([parts[0][k] / parts[1][k] for k in (0, 1)]))


def msis(past: Sequence[Floats], came: Floats, low: Floats, high: Floats, level: float = 95) -> float:
    """Mean scaled interval score."""
    outside = np.maximum(low - came, 0) + np.maximum(came - high, 0)
    score = (high - low + 2 / (1 - level / 100) * outside).mean(axis=1)
    return float((score / scales(past)).mean())


def scales(past: Sequence[Floats]) -> Floats:
    """Mean absolute error of the seasonal naive on each history."""
    return np.array([np.abs(one[DAY:] - one[:-DAY]).mean() for one in past])


def covered(came: Floats, low: Floats, high: Floats) -> float:
    """Share inside; bounds that are not known count as missed."""
    return float(((came >= low) & (came <= high)).mean())


def wape(came: Sequence[Floats], made: Sequence[Floats]) -> float:
    """Sum of absolute errors over the sum of values."""
    pairs = list(zip(came, made, strict=True))
    return sum(float(np.abs(a - b).sum()) for a, b in pairs) / sum(float(a.sum()) for a, _ in pairs)


def calibration(past: Sequence[Floats], came: Floats, sums: Floats) -> tuple[Floats, Floats]:
    """Probabilities from paths that the next sum exceeds parts of the last one, and whether it did.

    A series whose last sum is zero has no budget.
    """
    horizon = came.shape[1]
    last = np.array([one[-horizon:].sum() for one in past])
    some = last > 0
    came, sums, budgets = came[some], sums[some], last[some][:, None] * np.array(BUDGETS)
    said = (sums[:, None, :] > budgets[:, :, None]).mean(axis=2)
    return said.ravel(), (came.sum(axis=1)[:, None] > budgets).astype(float).ravel()


def calibration_error(said: Floats, happened: Floats) -> float:
    """Expected calibration error: |mean probability - share that happened| by tenths, weighted by how many."""
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    parts = [place == k for k in range(BINS)]
    return float(sum(abs(said[p].mean() - happened[p].mean()) * p.mean() for p in parts if p.any()))


def both(found: Sequence[Mapping[str, Floats]], name: str) -> Floats:
    """One column of several results."""
    return np.concatenate([one[name] for one in found])


def _smape(came: Floats, made: Floats) -> Floats:
    return np.asarray(200 * np.abs(came - made) / (np.abs(came) + np.abs(made)))


def _naive2(past: Floats, horizon: int) -> Floats:
    if not _seasonal(past):
        return np.repeat(past[-1], horizon)
    weights = np.r_[0.5, np.ones(DAY - 1), 0.5] / DAY
    trend = np.convolve(past, weights, "valid")
    ratio = past[DAY // 2 : DAY // 2 + len(trend)] / trend
    place = (np.arange(len(ratio)) + DAY // 2) % DAY
    index = np.array([ratio[place == k].mean() for k in range(DAY)])
    index /= index.mean()
    flat = past / index[np.arange(len(past)) % DAY]
    return np.asarray(flat[-1] * index[(len(past) + np.arange(horizon)) % DAY])


def _seasonal(past: Floats) -> bool:
    if len(past) < 3 * DAY:
        return False
    centred = past - past.mean()
    acf = np.array([centred[k:] @ centred[:-k] for k in range(1, DAY + 1)]) / (centred @ centred)
    limit = 1.645 * np.sqrt((1 + 2 * (acf[:-1] ** 2).sum()) / len(past))
    return bool(abs(acf[-1]) > limit)
