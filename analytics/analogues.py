"""Sample paths of series with many zeros: what followed when a forecast was as high as this one."""

from __future__ import annotations

import numpy as np

from analytics.frames import Floats
from analytics.intervals import Rolling

NEAREST = 128  # analogues taken from all series of the batch
OWN = 2  # how often each one of the series' own is taken beside them
OFFSET = 0.15  # of the mean of a series: forecasts far below it are all alike
FEWEST = 20  # analogues without which a distribution cannot be told


def analogues(point: Floats, rolling: Rolling) -> Floats | None:
    """Paths (series, analogue, step) that followed similar forecasts, scaled to the one at hand; None with too few.

    At each rolling origin of each series a forecast was made and a path came. Those of the origins whose forecast,
    in units of the series' own mean, was nearest to the one at hand are its analogues (the idea of Willemain, Smart
    and Schwarz, International Journal of Forecasting 20, 2004: an intermittent series is resampled, its errors are not
    symmetric and its zeros are exact). A series' own origins count several times.

    >>> made = np.ones((1, 100, 2))
    >>> came = np.where(np.arange(100) % 2 == 0, 0.0, 2.0)[None, :, None] * made
    >>> drawn = analogues(np.ones((1, 2)), Rolling(came - made, tuple(range(100)), made))
    >>> sorted(set(drawn.ravel().tolist()))
    [0.0, 2.0]
    """
    if rolling.made is None:
        return None
    count, origins, steps = rolling.errors.shape
    made = np.maximum(rolling.made, 0.0)
    came = rolling.errors + made
    whole = np.asarray(np.isfinite(came).all(axis=2))
    if whole.sum() < FEWEST:
        return None
    units = np.nanmean(np.where(whole[:, :, None], came, np.nan), axis=(1, 2))
    units = np.where(units > 0, units, made.mean(axis=(1, 2)))
    units = np.where(units > 0, units, 1.0)
    height = made.mean(axis=2) / units[:, None]
    now = np.maximum(point[:, :steps], 0.0).mean(axis=1) / units
    series, origin = np.nonzero(whole)
    order = np.argsort(height[series, origin], kind="stable")
    series, origin = series[order], origin[order]
    sorted_heights = height[series, origin]
    nearest = min(NEAREST, len(order))
    first = np.clip(np.searchsorted(sorted_heights, now) - nearest // 2, 0, len(order) - nearest)
    near = first[:, None] + np.arange(nearest)
    picked_series = np.concatenate([series[near], np.repeat(np.arange(count)[:, None], OWN * origins, axis=1)], axis=1)
    picked_origin = np.concatenate([origin[near], np.tile(np.arange(origins), (count, OWN))], axis=1)
    growth = (now[:, None] + OFFSET) / (height[picked_series, picked_origin] + OFFSET)
    scale = growth * units[:, None] / units[picked_series]
    paths = came[picked_series, picked_origin] * scale[:, :, None]
    # A path that was not measured whole is taken for the nearest that was.
    return np.asarray(np.where(np.isfinite(paths), paths, paths[:, :1]))
