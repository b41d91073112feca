"""Known events as regressors: price changes, launches, holidays; their effect is learnt, taken out and put back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics.frames import Floats, Ints, Panel, polars, ticks_on
from store.errors import ColumnMissing, NoRows, ParameterInvalid

if TYPE_CHECKING:
    from analytics.frames import Frame

SURE = 2.0  # standard errors from zero that an effect must be to be used
WILD = 3.0  # robust standard deviations beyond which a residual weighs no more
ROUNDS = 4  # reweighted fits
MOST = 3.0  # an effect on logarithms is kept within exp(+-3)


@dataclass(frozen=True)
class Events:
    """Regressors on the clock of a panel: `values` is (series or 1, tick, column), from tick `first` on."""

    names: tuple[str, ...]
    values: Floats
    first: int
    step: int

    def window(self, rows: Ints, ends: Ints, before: int, after: int) -> Floats:
        """(rows, before + after, column): the last `before` points of each series up to its end, and `after` more."""
        at = (ends[rows, None] - self.first) // self.step + np.arange(1 - before, after + 1)
        inside = (at >= 0) & (at < self.values.shape[1])
        series = rows if len(self.values) > 1 else np.zeros(len(rows), dtype=np.int64)
        found = self.values[series[:, None], np.clip(at, 0, self.values.shape[1] - 1)]
        return np.where(inside[:, :, None], found, 0.0)


def events_of(frame: Frame, data: Panel, horizon: int) -> Events:
    """Read a frame of events onto the clock of `data`.

    Args:
        frame: the time column and numeric (or Boolean) columns, one row a time, past and future alike; with the id
            column, one row a series and time. A time without a row is a time without event: 0 in every column.
        data: the series.
        horizon: steps ahead.

    Raises:
        ColumnMissing: there is no time column. NoRows: nothing in it.
        ParameterInvalid: no column of numbers, nulls, duplicates, times off the clock of the series or all outside of
            their past and future, or an id that no series has.

    >>> from analytics.frames import panel
    >>> series = panel(pl.DataFrame({"ds": range(5), "y": [1.0, 1.0, 2.0, 1.0, 1.0]}))
    >>> launches = events_of(pl.DataFrame({"ds": [2, 6], "launch": [True, True]}), series, 3)
    >>> launches.window(np.array([0]), series.ends, 5, 3)[0, :, 0].tolist()
    [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    names = data.names
    rows, _ = polars(frame)
    if names.time not in rows.columns:
        raise ColumnMissing(names.time, rows.columns)
    if rows.is_empty():
        raise NoRows("the frame of events")
    keys = [name for name in (names.id, names.time) if name in rows.columns]
    columns = [name for name in rows.columns if name not in keys]
    for name in columns:
        kind = rows[name].dtype
        if not (kind.is_numeric() or kind == pl.Boolean):
            raise ParameterInvalid("events", f"column {name!r} is {kind}; write an event as numbers, such as 0 and 1")
        values = rows[name].cast(pl.Float64)
        if values.null_count() or not values.is_finite().all():
            raise ParameterInvalid(
                "events", f"column {name!r} has values that are missing or infinite; write 0 for none"
            )
    if not columns:
        raise ParameterInvalid("events", f"no column of numbers beside {' and '.join(map(repr, keys))}")
    if rows.select(keys).is_duplicated().any():
        raise ParameterInvalid("events", f"more than one row for the same {' and '.join(map(repr, keys))}")
    ticks = ticks_on(data.grid, rows[names.time])
    step = data.grid.step
    ends = np.asarray(data.ends)
    first = int(ends.min()) - (data.values.shape[1] - 1) * step
    last = int(ends.max()) + horizon * step
    if ((ticks - first) % step != 0).any() and np.unique(ends % step).size == 1:
        raise ParameterInvalid("events", "times lie between those of the series; round them to its step")
    inside = (ticks >= first) & (ticks <= last)
    if not inside.any():
        raise ParameterInvalid("events", "every row lies outside of the past and the horizon of the series")
    made = np.zeros((len(data.ids) if names.id in keys else 1, (last - first) // step + 1, len(columns)))
    series = _series(rows, data) if names.id in keys else np.zeros(len(rows), dtype=np.int64)
    numbers = rows.select(pl.col(columns).cast(pl.Float64)).to_numpy()
    made[series[inside], (ticks[inside] - first) // step] = numbers[inside]
    return Events(tuple(columns), made, first, step)


def _series(rows: pl.DataFrame, data: Panel) -> Ints:
    name = data.names.id
    places = pl.DataFrame({name: data.ids, "row": np.arange(len(data.ids))})
    found = rows.select(pl.col(name).cast(data.ids.dtype)).join(places, on=name, how="left", maintain_order="left")
    if found["row"].null_count():
        unknown = found.filter(pl.col("row").is_null())[name][0]
        raise ParameterInvalid("events", f"there is no series {unknown!r}")
    return np.asarray(found["row"].to_numpy())


def effects(past: Floats, actual: Floats, regressors: Floats, season: int) -> Floats:
    """What each regressor adds to each series: (series, column), 0 where it cannot be told from nothing.

    Least squares on differences over one season, so that neither level nor season is taken for an effect; residuals
    beyond three robust standard deviations are held there (Huber, Annals of Mathematical Statistics 35, 1964).

    Args:
        past: (series, time), values or their logarithms; NaN before a series began.
        actual: the same with NaN where nothing was measured.
        regressors: (series, time, column) of the same times.
        season: steps between the two points of a difference.

    >>> level = np.random.default_rng(0).normal(5, 0.1, (1, 100))
    >>> price = (np.arange(100) >= 60)[None, :, None] * 1.0
    >>> effects(level + 2 * price[:, :, 0], level, price, 1).round(0).tolist()
    [[2.0]]
    """
    change, moved = past[:, season:] - past[:, :-season], regressors[:, season:] - regressors[:, :-season]
    measured = np.isfinite(actual)
    known = measured[:, season:] & measured[:, :-season] & np.isfinite(change)
    out = np.zeros((len(past), regressors.shape[2]))
    for s in range(len(past)):
        x, y = moved[s, known[s]], change[s, known[s]]
        used = np.flatnonzero((x != 0).sum(axis=0) >= 1)
        if len(used) == 0 or len(y) < 4 * len(used) + 4:
            continue
        x = x[:, used] - 0.0
        weight = np.ones(len(y))
        gram = np.eye(len(used))
        for _ in range(ROUNDS):
            gram = (x * weight[:, None]).T @ x + 1e-9 * np.eye(len(used))
            beta = np.linalg.solve(gram, (x * weight[:, None]).T @ y)
            left = y - x @ beta
            scale = 1.4826 * float(np.median(np.abs(left - np.median(left)))) or float(left.std())
            weight = np.minimum(1.0, WILD * scale / np.maximum(np.abs(left), 1e-300)) if scale > 0 else weight
        error = float(np.sqrt((weight * left**2).sum() / max(1, len(y) - len(used))))
        sure = np.abs(beta) > SURE * error * np.sqrt(np.maximum(np.diag(np.linalg.inv(gram)), 0.0))
        out[s, used] = np.where(sure, beta, 0.0)
    return out
