"""Boosted trees on lags, one model for all series of a batch: LightGBM through mlforecast."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import polars as pl

from analytics.engines import Draft, Engine
from analytics.frames import Floats
from analytics.models.refitting import history, refitted
from analytics.packages import optional
from store.errors import ParameterInvalid

NEAR = (1, 2, 3, 4, 5, 6, 12)  # lags of the last points
TREES = {"n_estimators": 200, "learning_rate": 0.05, "num_leaves": 31, "n_jobs": 1, "verbosity": -1, "random_state": 0}


def engine(argument: str = "") -> Engine:
    """LightGBM on the last points and those about a season ago, after a seasonal difference, each series standardised.

    Ke et al., "LightGBM", NeurIPS 2017; Nixtla's mlforecast. One model learns from all series of a batch, anew for
    each rolling origin.

    Raises:
        PackageMissing: mlforecast or lightgbm is not installed.
    """
    if argument:
        raise ParameterInvalid("engine", f"'lightgbm' takes no model, got {argument!r}")
    mlforecast = optional("mlforecast", "engine 'lightgbm'", "mlforecast")
    transforms = optional("mlforecast.target_transforms", "engine 'lightgbm'", "mlforecast")
    trees = optional("lightgbm", "engine 'lightgbm'", "mlforecast")

    def run(past: Floats, actual: Floats, horizon: int, seasons: tuple[int, ...]) -> Draft:
        def solve(rows: Floats, steps: int) -> Floats:
            return _ahead((mlforecast, transforms, trees), rows, steps, seasons)

        return refitted(past, actual, horizon, seasons, solve, "LightGBM by mlforecast")

    return run


def _ahead(packages: tuple[Any, Any, Any], rows: Floats, steps: int, seasons: tuple[int, ...]) -> Floats:
    mlforecast, transforms, trees = packages
    series = [history(row) for row in rows]
    fewest = min(map(len, series))
    season = next((m for m in seasons if fewest >= 3 * m), 1)
    around = [m + shift for m in seasons for shift in (-1, 0, 1)]
    room = (fewest - season) // 2
    lags = sorted({lag for lag in (*NEAR, *around) if 1 <= lag <= room}) or [1]
    targets = [transforms.Differences([season]), transforms.LocalStandardScaler()]
    frame = pl.DataFrame(
        {
            "unique_id": np.repeat(np.arange(len(series)), [len(one) for one in series]),
            # All end together, so that one future follows.
            "ds": np.concatenate([np.arange(-len(one), 0) for one in series]),
            "y": np.concatenate(series),
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = mlforecast.MLForecast(trees.LGBMRegressor(**TREES), freq=1, lags=lags, target_transforms=targets)
        made = model.fit(frame.to_pandas(), static_features=[]).predict(steps)
    return np.asarray(made["LGBMRegressor"].to_numpy(dtype=float).reshape(len(series), steps))
