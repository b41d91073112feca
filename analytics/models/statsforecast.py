"""Models of statsforecast, by the name they have there: AutoETS, AutoARIMA, AutoCES, MSTL and the rest."""

from __future__ import annotations

import warnings
from inspect import signature
from typing import Any

import numpy as np

from analytics.engines import Draft, Engine
from analytics.frames import Floats
from analytics.models.refitting import history, refitted
from analytics.packages import optional
from store.errors import ParameterInvalid, UnknownName

ONE, SEVERAL = "DynamicOptimizedTheta", "MSTL"  # what is taken where no model is named, by how many seasons there are
MANY = ("MSTL", "MFLES", "AutoTBATS", "TBATS")  # models that take several seasons; without any they give way to the one


def engine(model: str = "") -> Engine:
    """The engine of one model, `engine="statsforecast:AutoETS"`; without a name Theta, or MSTL for several seasons.

    Garza, Challu, Mergenthaler and Olivares, *StatsForecast*, 2022. Intervals are those of rolling origins, as the
    default engine's are: its own are too narrow.

    Raises:
        PackageMissing: statsforecast is not installed.
        UnknownName: it has no such model.
    """
    models = optional("statsforecast.models", "engine 'statsforecast'", "statsforecast")
    if model and model not in models.__all__:
        raise UnknownName("model of statsforecast", model, models.__all__)

    def run(past: Floats, actual: Floats, horizon: int, seasons: tuple[int, ...]) -> Draft:
        name = model or (SEVERAL if len(seasons) > 1 else ONE)

        def solve(rows: Floats, steps: int) -> Floats:
            return np.stack([_ahead(models, name, history(row), steps, seasons) for row in rows])

        return refitted(past, actual, horizon, seasons, solve, f"{name} of statsforecast")

    return run


def _ahead(models: Any, name: str, series: Floats, steps: int, seasons: tuple[int, ...]) -> Floats:
    usable = [m for m in seasons if len(series) >= 2 * m + 2]
    kind = getattr(models, ONE if name in MANY and not usable else name)
    season = usable if kind.__name__ in MANY else next(iter(usable), 1)
    options = {"season_length": season} if "season_length" in signature(kind).parameters else {}
    try:
        model = kind(**options)
    except TypeError as error:
        raise ParameterInvalid("engine", f"{name} of statsforecast needs more than a season: {error}") from error
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return np.asarray(model.forecast(y=series, h=steps)["mean"], dtype=float)
