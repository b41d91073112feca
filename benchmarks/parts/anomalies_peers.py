"""Peers of the anomaly scores: what monitoring does today, causal, each with the threshold that its theory gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
WINDOW = 1000  # points of the past that the z-scores look at
FEWEST = 30
PER_MILLE = 3.29  # deviations that a normal value exceeds once in a thousand
BAND_H, SMOOTH_H = 26, 1  # hours that the bands look at, and that they are smoothed over


def z_score(values: Floats, _per_hour: float) -> Floats:
    """Deviation from the mean of the last 1,000 points, in their standard deviations."""
    past = pd.Series(values).shift(1).rolling(WINDOW, min_periods=FEWEST)
    return _size(values - past.mean().to_numpy(), past.std().to_numpy())


def robust_z(values: Floats, _per_hour: float) -> Floats:
    """The same with median and 1.4826 times the median absolute deviation."""
    series = pd.Series(values)
    middle = series.shift(1).rolling(WINDOW, min_periods=FEWEST).median()
    return _size((series - middle).to_numpy(), _absolute((series - middle).abs(), WINDOW))


def grafana_adaptive(values: Floats, per_hour: float) -> Floats:
    """grafana/promql-anomaly-detection, adaptive: mean +- deviations over 26 h, both smoothed over an hour."""
    past = pd.Series(values).shift(1).rolling(max(FEWEST, round(BAND_H * per_hour)), min_periods=FEWEST)
    smooth = max(2, round(SMOOTH_H * per_hour))
    middle = past.mean().rolling(smooth, min_periods=1).mean()
    return _size(values - middle.to_numpy(), past.std().rolling(smooth, min_periods=1).mean().to_numpy())


def grafana_robust(values: Floats, per_hour: float) -> Floats:
    """The same project, robust: median +- median absolute deviations over 26 h."""
    series = pd.Series(values)
    width = max(FEWEST, round(BAND_H * per_hour))
    middle = series.shift(1).rolling(width, min_periods=FEWEST).median()
    return _size((series - middle).to_numpy(), _absolute((series - middle).abs(), width))


PEERS = {
    "z-score": z_score,
    "robust z": robust_z,
    "Grafana adaptive": grafana_adaptive,
    "Grafana robust": grafana_robust,
}


def _absolute(deviations: pd.Series, width: int) -> Floats:
    """1.4826 times the median of the past; where that is zero the mean, lest any other value score infinity."""
    past = deviations.shift(1).rolling(width, min_periods=FEWEST)
    return 1.4826 * past.median().where(lambda middle: middle > 0, past.mean()).to_numpy()


def _size(deviation: Floats, spread: Floats) -> Floats:
    return np.abs(deviation) / np.maximum(spread, 1e-12)
