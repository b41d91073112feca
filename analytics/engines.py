"""The forecasters by name, and which of them a series is routed to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from analytics import ensemble as batch
from analytics.frames import Floats
from analytics.intervals import Rolling, plan, roll
from store.errors import UnknownName

FEW = 12  # points; a history shorter than this repeats its last value
ZEROS = 0.2  # share of zeros from which a series counts as intermittent
DRAWS = 400  # simulated paths of an engine that knows its own distribution


@dataclass(frozen=True)
class Draft:
    """Point forecasts (series, step) and what was known of their errors; `note` says how they were made."""

    point: Floats
    rolling: Rolling | None
    note: str


class Engine(Protocol):
    """Forecast a batch: `past` has no gaps, `actual` is the same with NaN where nothing was measured."""

    def __call__(self, past: Floats, actual: Floats, horizon: int, seasons: tuple[int, ...], /) -> Draft: ...


def route(series: Floats) -> str:
    """Which treatment the history of one series gets: constant, short, intermittent or full.

    >>> [route(np.array(one)) for one in ([0.0] * 100, [1.0, 2.0], [0.0, 3.0] * 50, list(range(99)))]
    ['constant', 'short', 'intermittent', 'full']
    """
    if np.ptp(series) == 0:
        return "constant"
    if len(series) < FEW:
        return "short"
    if series.min() >= 0 and np.mean(series == 0) >= ZEROS:
        return "intermittent"
    return "full"


def constant(past: Floats, _actual: Floats, horizon: int, _seasons: tuple[int, ...]) -> Draft:
    """Repeat a value that never changed; no error was ever made."""
    return Draft(
        np.repeat(past[:, -1:], horizon, axis=1),
        Rolling(np.zeros((len(past), 1, horizon)), (0,)),
        "never changed: the value is repeated, and the interval has no width because no error is on record",
    )


def short(past: Floats, _actual: Floats, horizon: int, _seasons: tuple[int, ...]) -> Draft:
    """Repeat the last value; errors are those of a random walk with the steps seen, none where there is one step."""
    steps = np.diff(past, axis=1)
    known = np.isfinite(steps)
    draws = None
    if known.sum(axis=1).min() >= 2:
        scale = np.sqrt(np.nansum(steps**2, axis=1) / known.sum(axis=1))
        heavy = np.random.default_rng(0).standard_t(3, (DRAWS, horizon)).cumsum(axis=1)
        draws = Rolling(scale[:, None, None] * heavy[None], (0,))
    width = "the interval is that of a random walk" if draws else "an interval is not known"
    note = f"fewer than {FEW} points: the last is repeated; {width}"
    return Draft(np.repeat(past[:, -1:], horizon, axis=1), draws, note)


def _batched(solver: Callable[[Floats, int, tuple[int, ...]], Floats], words: str) -> Engine:
    def run(past: Floats, actual: Floats, horizon: int, seasons: tuple[int, ...]) -> Draft:
        def solve(rows: Floats, steps: int) -> Floats:
            return solver(rows, steps, seasons)

        points = int(np.isfinite(past).sum(axis=1).min())
        need = max(FEW - 2, 2 * seasons[0] if seasons else 0, sum(seasons))
        steps, offsets = plan(points, horizon, min(need, points - 2), seasons[0] if seasons else 1)
        rolling = roll(past, actual, steps, offsets, solve)
        named = f"season {' and '.join(map(str, seasons))}" if seasons else "no season confirmed"
        note = f"{words}; {named}; intervals from {len(offsets)} rolling origins of {steps} steps"
        return Draft(solve(past, horizon), rolling, note)

    return run


def _naive(past: Floats, horizon: int, seasons: tuple[int, ...]) -> Floats:
    return batch.seasonal_naive(past, horizon, seasons[-1] if seasons else 1)


def _ets(past: Floats, _actual: Floats, horizon: int, seasons: tuple[int, ...]) -> Draft:
    """Exponential smoothing with damped trend and additive season, one fit a series; errors are simulated paths.

    Hyndman, Koehler, Ord and Snyder, *Forecasting with Exponential Smoothing*, 2008, through statsmodels.
    """
    import warnings

    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    points, paths = [], []
    for row in past:
        series = row[np.isfinite(row)]
        season = seasons[0] if seasons and len(series) >= 2 * seasons[0] + 3 else None
        shape = {"seasonal": "add", "seasonal_periods": season} if season else {}
        model = ETSModel(series, error="add", trend="add", damped_trend=True, **shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a fit that stopped early is still a fit; its errors tell how good
            fitted = model.fit(disp=False)
            ahead = np.asarray(fitted.forecast(horizon))
            drawn = fitted.simulate(horizon, anchor="end", repetitions=DRAWS, rng=np.random.default_rng(0))
        points.append(ahead)
        paths.append(np.asarray(drawn).reshape(horizon, DRAWS).T - ahead)
    named = f"season {seasons[0]}" if seasons else "no season"
    note = f"exponential smoothing by statsmodels; {named}; intervals from {DRAWS} simulated paths"
    return Draft(np.stack(points), Rolling(np.stack(paths), (0,)), note)


def routed(way: str, name: str) -> Engine:
    """The forecaster for series that `route` sends this way when the caller asked for the engine `name`.

    Raises:
        UnknownName: there is no such engine.

    >>> routed("constant", "ets") is constant
    True
    """
    if name not in ENGINES:
        raise UnknownName("engine", name, ENGINES)
    if way == "intermittent" and name != "ensemble":
        return ENGINES[name]
    return ROUTES.get(way, ENGINES[name])


ENGINES: dict[str, Engine] = {
    "ensemble": _batched(batch.ensemble, "median of seasonal naives and ridge autoregressions"),
    "seasonal_naive": _batched(_naive, "the last season repeated"),
    "ets": _ets,
}
ROUTES: dict[str, Engine] = {
    "constant": constant,
    "short": short,
    "intermittent": _batched(batch.intermittent, "many zeros: mean of the recent profile and a smoothed level"),
}
