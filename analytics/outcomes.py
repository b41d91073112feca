"""Outcomes of budgets by simulation: what is spent at the end of the period, and when the limit is passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics.forecasting import forecast
from analytics.frames import Floats, Names, Panel
from analytics.periods import Period

CELLS = 16_000_000  # numbers of paths that are held at once
LEVELS = (*range(2, 100, 2), 99.0, 99.5)  # per cent, at which the distribution of sums is tabulated


@dataclass(frozen=True)
class Asked:
    """How to simulate: outcomes, seed, and what `forecast` takes."""

    n: int
    seed: int
    level: tuple[float, ...]
    season_length: int | Sequence[int] | None
    engine: str


@dataclass(frozen=True)
class Outcomes:
    """Of each budget: `totals` (budget, path) at the end of the period; `passed` (budget, path), the
    tick with its fraction at which the limit is passed, infinite if it is not; `fan` (budget, step, 1 + 2 levels), the
    median and the bounds of what is spent at the end of each step to come; `told`: whether errors are known at all.
    """

    totals: Floats
    passed: Floats
    fan: Floats
    told: tuple[bool, ...]


def simulate(
    values: Floats, names: Sequence[str], limits: Floats, spent: Floats, span: Period, asked: Asked
) -> Outcomes:
    """Simulate budgets to the end of their period.

    Args:
        values: (budget, time) spend per bucket, the last one on record at the end.
        names: of the budgets; each draws from a stream of its own.
        limits: (budget,).
        spent: (budget,) in the period so far.
        span: the period.
        asked: how.
    """
    made = [_empty(limits, spent, asked)] if not span.horizon else []
    size = max(1, CELLS // max(1, asked.n * span.horizon))
    for low in range(0, len(names), size) if span.horizon else ():
        part = slice(low, low + size)
        drawn, told = draw(values[part], names[part], span, asked, asked.n)
        steps = drawn * weights_ahead(span)
        path = spent[part, None, None] + np.cumsum(steps, axis=2)
        made.append(Outcomes(path[:, :, -1], _passed(path, steps, limits[part], span), _fan(path, asked.level), told))
    told = tuple(one for each in made for one in each.told)
    return Outcomes(
        np.concatenate([each.totals for each in made]),
        np.concatenate([each.passed for each in made]),
        np.concatenate([each.fan for each in made]),
        told,
    )


def draw(values: Floats, names: Sequence[str], span: Period, asked: Asked, n: int) -> tuple[Floats, tuple[bool, ...]]:
    """Paths (row, path, step) of what is to come of rows that all end at the last bucket on record.

    The paths of the forecast, each made larger or smaller as a whole so that their sums have the quantiles of
    `Forecast.total`, which come from errors of sums. And of each row, whether its errors are known.
    """
    ends = np.full(len(names), span.last, dtype=np.int64)
    whole = Panel(pl.Series(list(names), dtype=pl.String), values, ends, span.grid, Names(), "polars")
    ahead = forecast(
        whole.history(), span.horizon, asked.level, season_length=asked.season_length, engine=asked.engine, unit="USD"
    )
    at = {name: row for row, name in enumerate(ahead.panel.ids)}
    rows = [at[name] for name in names]
    totals = ahead.totals(LEVELS)[rows]
    low, high = (totals.select(f"total-{side}-{level:g}" for level in LEVELS).to_numpy() for side in ("lo", "hi"))
    told = np.isfinite(low).all(axis=1) & np.isfinite(high).all(axis=1)
    quantiles = np.maximum.accumulate(np.hstack([low[:, ::-1], high]), axis=1)
    return _rescaled(ahead.paths(n, asked.seed)[rows], quantiles, told), tuple(told.tolist())


def _rescaled(paths: Floats, quantiles: Floats, told: NDArray[np.bool_]) -> Floats:
    """Paths whose sums have these quantiles, in the order in which their sums were."""
    steps = np.array(LEVELS) / 200
    probabilities = np.concatenate([0.5 - steps[::-1], 0.5 + steps])
    places = (np.arange(paths.shape[1]) + 0.5) / paths.shape[1]
    out = paths.copy()
    for row in np.flatnonzero(told):
        sums = paths[row].sum(axis=1)
        wanted = np.empty_like(sums)
        wanted[np.argsort(sums, kind="stable")] = np.interp(places, probabilities, quantiles[row])
        grows = sums * wanted > 0
        out[row, grows] *= (wanted[grows] / sums[grows])[:, None]
        # A path that adds up to nothing, or to less, has no shape to keep.
        out[row, ~grows] += ((wanted - sums)[~grows] / paths.shape[2])[:, None]
    return out


def weights_ahead(span: Period) -> Floats:
    """The part of each bucket to come that lies in the period."""
    return span.weights(np.arange(1, span.horizon + 1, dtype=np.int64))


def first_passage(spent: Floats, values: Floats, limits: Floats, ticks: Floats, step: int) -> Floats:
    """Tick, with its fraction, at which the cumulated `values` (..., time) pass the limit; infinite where they do not.

    Args:
        spent: (...,) before the first of `values`.
        values: spend per bucket.
        limits: (...,).
        ticks: (time,) starts of the buckets.
        step: ticks in a bucket.

    >>> first_passage(np.array([0.0]), np.array([[4.0, 4.0, 4.0]]), np.array([6.0]), np.array([0.0, 10.0, 20.0]), 10)
    array([15.])
    """
    path = spent[..., None] + np.cumsum(values, axis=-1)
    over = path > limits[..., None]
    at = over.argmax(axis=-1)
    here = np.take_along_axis(path, at[..., None], -1)[..., 0]
    growth = np.take_along_axis(values, at[..., None], -1)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(growth > 0, (limits - (here - growth)) / growth, 0.0)
    return np.asarray(np.where(over.any(axis=-1), ticks[at] + step * np.clip(part, 0.0, 1.0), np.inf))


def _passed(path: Floats, steps: Floats, limits: Floats, span: Period) -> Floats:
    ticks = span.last + span.grid.step * np.arange(1.0, span.horizon + 1)
    before = path[:, :, 0] - steps[:, :, 0]
    return first_passage(before, steps, np.broadcast_to(limits[:, None], before.shape), ticks, span.grid.step)


def _fan(path: Floats, levels: Sequence[float]) -> Floats:
    tails = [(50 + sign * level / 2) / 100 for level in levels for sign in (-1, 1)]
    return np.asarray(np.moveaxis(np.quantile(path, [0.5, *tails], axis=1), 0, -1))


def _empty(limits: Floats, spent: Floats, asked: Asked) -> Outcomes:
    """Of a period that is over: one outcome."""
    count = len(limits)
    bounds = np.empty((count, 0, 1 + 2 * len(asked.level)))
    totals = np.repeat(spent[:, None], asked.n, axis=1)
    return Outcomes(totals, np.full((count, asked.n), np.inf), bounds, (True,) * count)
