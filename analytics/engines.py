"""The forecasters by name, and which of them a series is routed to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Protocol

import numpy as np

from analytics.ensemble import ensemble
from analytics.frames import Floats
from analytics.intermittent import intermittent, lifted
from analytics.intervals import ORIGINS, Rolling, Solver, compared, plan
from analytics.naive import seasonal_naive
from store.errors import UnknownName

FEW = 12  # points; a history shorter than this repeats its last value
ZEROS = 0.2  # share of zeros from which a series counts as intermittent
MANY = 24  # rolling origins of a series whose errors are of no simple shape
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
    least = series.min()
    if least == series.max():
        return "constant"
    if len(series) < FEW:
        return "short"
    if least == 0 and np.mean(series == 0) >= ZEROS:
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


def batched(solver: Solver, words: str, *, by_height: bool = False) -> Engine:
    """An engine made of a solver of whole batches: points, and errors from rolling origins.

    `by_height`: the errors of a forecast depend on how high it is, as those of series with many zeros do.
    """

    def run(past: Floats, actual: Floats, horizon: int, seasons: tuple[int, ...]) -> Draft:
        points = int(np.isfinite(past).sum(axis=1).min())
        need = max(FEW - 2, 2 * seasons[0] if seasons else 0, sum(seasons))
        steps, offsets = plan(
            points, horizon, min(need, points - 2), seasons[0] if seasons else 1, MANY if by_height else ORIGINS
        )
        made = solver(past, horizon, seasons, (0, *offsets))
        if by_height and offsets:
            made = lifted(np.maximum(made, 0.0), actual, offsets, steps)
        rolling = compared(actual, made[:, 1:, :steps], offsets)
        if by_height:
            rolling = replace(rolling, made=made[:, 1:, :steps])
        named = f"season {' and '.join(map(str, seasons))}" if seasons else "no season confirmed"
        note = f"{words}; {named}; intervals from {len(offsets)} rolling origins of {steps} steps"
        return Draft(made[:, 0], rolling, note)

    return run


def _naive(past: Floats, horizon: int, seasons: tuple[int, ...], offsets: Sequence[int]) -> Floats:
    return seasonal_naive(past, horizon, seasons[-1] if seasons else 1, offsets)


def register(name: str, loader: Engine | str) -> None:
    """Make an engine known by name: itself, or the place "package.module:attribute", imported on first use.

    With "()" behind it the attribute makes engines: it is called with what follows the colon in the engine's name.

    >>> register("mine", "analytics.engines:constant")
    >>> engine("mine") is constant, ENGINES.pop("mine") is constant
    (True, True)
    """
    ENGINES[name] = loader


def engine(name: str) -> Engine:
    """The engine of this name, loaded; "statsforecast:AutoETS" names a model of one that has several, or its weights.

    Raises:
        UnknownName: there is no such engine.
        PackageMissing: a package that it needs is not installed.

    >>> engine("ensemble") is ENGINES["ensemble"]
    True
    """
    base, _, model = name.partition(":")
    found = ENGINES.get(base)
    if found is None:
        raise UnknownName("engine", name, ENGINES)
    if isinstance(found, str):
        module, _, attribute = found.removesuffix("()").partition(":")
        loaded = getattr(import_module(module), attribute)
        if found.endswith("()"):
            made: Engine = loaded(model)
            return made
        ENGINES[base] = found = loaded
    if model:
        raise UnknownName("engine", name, ENGINES)
    return found


def routed(way: str, name: str) -> Engine:
    """The forecaster for series that `route` sends this way when the caller asked for the engine `name`.

    Raises:
        UnknownName: there is no such engine.

    >>> routed("constant", "ets") is constant
    True
    """
    asked = engine(name)
    if way == "intermittent" and name != "ensemble":
        return asked
    return ROUTES.get(way, asked)


# One line an engine: what is a text is imported on first use, so that nobody waits for packages that he does not use.
ENGINES: dict[str, Engine | str] = {
    "ensemble": batched(ensemble, "median of seasonal naives and ridge autoregressions"),
    "seasonal_naive": batched(_naive, "the last season repeated"),
    "ets": "analytics.models.textbook:ets",
    "sarimax": "analytics.models.textbook:sarimax",
    "theta": "analytics.models.textbook:theta",
    "statsforecast": "analytics.models.statsforecast:engine()",
    "lightgbm": "analytics.models.lightgbm:engine()",
    "chronos": "analytics.models.foundation:chronos()",
    "timesfm": "analytics.models.foundation:timesfm()",
}
ROUTES: dict[str, Engine] = {
    "constant": constant,
    "short": short,
    "intermittent": batched(
        intermittent, "many zeros: median of levels, seasons and a model of square roots", by_height=True
    ),
}
