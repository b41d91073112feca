"""Textbook models by statsmodels, one fit a series: exponential smoothing, SARIMAX, Theta."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from analytics.engines import DRAWS, Draft
from analytics.frames import Floats
from analytics.intervals import Rolling
from analytics.models.refitting import history, refitted

MOST = 1_000  # points of the past that SARIMAX looks at: its filter takes its time
LONG = 12  # a longer season enters SARIMAX as waves: as a lag it would need as many states
WAVES = 6  # pairs of waves of one season
ORDERS = ((1, 0), (0, 1), (1, 1), (2, 1))  # (autoregressive, moving average) that are tried
UNIT_ROOT = 0.05  # a test of level that says no at this size asks for a difference


def ets(past: Floats, _actual: Floats, horizon: int, seasons: tuple[int, ...]) -> Draft:
    """Exponential smoothing with damped trend and additive season; its errors are simulated paths.

    Hyndman, Koehler, Ord and Snyder, *Forecasting with Exponential Smoothing*, 2008.
    """
    named = f"season {seasons[0]}" if seasons else "no season"
    return _simulated(
        past, horizon, lambda series: fit_ets(series, seasons), f"exponential smoothing by statsmodels; {named}"
    )


def sarimax(past: Floats, _actual: Floats, horizon: int, seasons: tuple[int, ...]) -> Draft:
    """ARIMA with the order of the least AICc; a season up to 12 is differenced, longer ones are waves of regressors.

    Box and Jenkins, 1970; dynamic harmonic regression after Hyndman and Athanasopoulos, *Forecasting: Principles and
    Practice*, 2021, 10.5. Its errors are simulated paths.
    """
    named = f"season {' and '.join(map(str, seasons))}" if seasons else "no season"
    return _simulated(past, horizon, lambda series: fit_sarimax(series, seasons), f"SARIMAX by statsmodels; {named}")


def theta(past: Floats, actual: Floats, horizon: int, seasons: tuple[int, ...]) -> Draft:
    """The Theta method on the seasonally adjusted series.

    Assimakopoulos and Nikolopoulos, International Journal of Forecasting 16, 2000.
    """

    def solve(rows: Floats, steps: int) -> Floats:
        return np.stack([_ahead(fit_theta(history(row), seasons), steps) for row in rows])

    return refitted(past, actual, horizon, seasons[:1], solve, "Theta by statsmodels")


def fit_ets(series: Floats, seasons: tuple[int, ...]) -> Any:
    """Statsmodels' results of ETS(A, Ad, A), without a season where the series has not two of them."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    season = next((m for m in seasons if len(series) >= 2 * m + 3), None)
    shape = {"seasonal": "add", "seasonal_periods": season} if season else {}
    with _quiet():
        return ETSModel(series, error="add", trend="add", damped_trend=True, **shape).fit(disp=False)


def fit_sarimax(series: Floats, seasons: tuple[int, ...]) -> Any:
    """Statsmodels' results of the SARIMAX with the least AICc among a few orders; `regressors` continue its waves."""
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    series = series[-MOST:]
    short = next((m for m in seasons if m <= LONG and len(series) >= 3 * m), None)
    waves = tuple(m for m in seasons if m > LONG and len(series) >= 2 * m)
    seasonal = (0, 1, 1, short) if short else (0, 0, 0, 0)
    difference = int(not short and _wanders(series))
    # In units of its spread: the search starts from 1.
    scale = float(series.std()) or 1.0
    shared = {
        "exog": _waves(np.arange(len(series)), waves),
        "seasonal_order": seasonal,
        "trend": None if difference or short else "c",
        "enforce_stationarity": False,
        "enforce_invertibility": False,
    }
    with _quiet():
        fits = [
            SARIMAX(series / scale, order=(p, difference, q), **shared).fit(disp=False, maxiter=50) for p, q in ORDERS
        ]
    best = min(fits, key=lambda one: one.aicc if np.isfinite(one.aicc) else np.inf)
    best.scale_of_values, best.waves = scale, waves
    return best


def fit_theta(series: Floats, seasons: tuple[int, ...]) -> Any:
    """Statsmodels' results of Theta; the season is multiplied where all values are positive."""
    import pandas as pd
    from statsmodels.tsa.forecasting.theta import ThetaModel

    season = next((m for m in seasons if len(series) >= 2 * m), None)
    shape: dict[str, Any] = {"period": season, "use_test": False} if season else {"period": 1, "deseasonalize": False}
    with _quiet():
        return ThetaModel(pd.Series(series), **shape).fit()


def _simulated(past: Floats, horizon: int, fit: Callable[[Floats], Any], words: str) -> Draft:
    points, paths = [], []
    for row in past:
        series = history(row)
        fitted = fit(series)
        more: dict[str, Any] = {}
        scale = getattr(fitted, "scale_of_values", 1.0)
        if getattr(fitted, "waves", ()):
            count = min(len(series), MOST)
            more["exog"] = _waves(np.arange(count, count + horizon), fitted.waves)
        with _quiet():
            ahead = np.asarray(fitted.forecast(horizon, **more))
            random = np.random.default_rng(0)
            drawn = fitted.simulate(horizon, anchor="end", repetitions=DRAWS, rng=random, **more)
        points.append(scale * ahead)
        paths.append(scale * (np.asarray(drawn).reshape(horizon, DRAWS).T - ahead))
    note = f"{words}; intervals from {DRAWS} simulated paths"
    return Draft(np.stack(points), Rolling(np.stack(paths), (0,)), note)


def _ahead(fitted: Any, steps: int) -> Floats:
    with _quiet():
        return np.asarray(fitted.forecast(steps), dtype=float)


def _waves(times: np.ndarray[Any, Any], seasons: tuple[int, ...]) -> Floats | None:
    """Sines and cosines of each season at these times: (times, regressors); None where there is no season."""
    angles = [2 * np.pi * k / m * times for m in seasons for k in range(1, min(WAVES, m // 2) + 1)]
    return np.stack([wave(angle) for angle in angles for wave in (np.sin, np.cos)], axis=1) if angles else None


def _wanders(series: Floats) -> bool:
    from statsmodels.tsa.stattools import kpss

    with _quiet():
        return bool(kpss(series, regression="c", nlags="auto")[1] < UNIT_ROOT)


@contextmanager
def _quiet() -> Iterator[None]:
    """A fit that stopped early is still a fit; `diagnose` tells how good it is."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
