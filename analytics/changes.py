"""When the level of a series changed for good: date, size, and how sure both are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, log, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from analytics import words
from analytics.channels import clock_seasons
from analytics.explained import Explained, Grounds
from analytics.frames import Floats, Kind, Panel, panel
from analytics.seasons import given, known
from analytics.tabled import Tabled
from analytics.waiting import waiting
from store.errors import ParameterInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plotly.graph_objects import Figure

    from analytics.frames import Frame

PENALTY = 3.0  # times variance and log of the points: what a change must explain, as by the Bayesian criterion
DATED, SIZED = 11, 1.96  # 95 %: of a date (Bai 1997, table of the argmax of a two-sided random walk), of a size
MOST = 4000  # points that are searched at full resolution; longer series in means of neighbours first
CYCLES = 3  # seasons without which no season is taken out


@dataclass(frozen=True, repr=False)
class ChangePoints(Explained, Tabled):
    """What `changepoints` found.

    `table` has one row per change: `unique_id, ds` (the first point after it), `ds-lo, ds-hi` (95 % interval of the
    date), `before, after` (levels), `size` (after - before), `size-lo, size-hi` (95 %), `relative` (size / before, null
    where before is not positive).
    """

    table: pl.DataFrame
    panel: Panel
    unit: str = ""

    @property
    def kind(self) -> Kind:
        """The kind of frame that came in."""
        return self.panel.kind

    @property
    def id_col(self) -> str:
        """Name of the column of series."""
        return self.panel.names.id

    @property
    def time_col(self) -> str:
        """Name of the column of times."""
        return self.panel.names.time

    def plot(self, *, most: int = 4) -> Figure:
        """The series with the largest changes, with their levels."""
        from analytics.charts.anomaly import levels

        return levels(self, most=most)

    def sentence(self) -> str:
        """How many changes, and the largest of them."""
        if self.table.is_empty():
            return "No change of level."
        top = self._largest()
        before, after = (words.amount(top[name], self.unit) for name in ("before", "after"))
        count = len(self.table)
        return (
            f"{count} {words.plural('change', count)} of level; the largest in {top[self.id_col]} at "
            f"{words.moment(top[self.time_col])}, from {before} to {after}."
        )

    def grounds(self) -> Grounds:
        """The points, the interval of the largest change, and what to do with what came before it."""
        points = f"{words.amount(int(np.isfinite(self.panel.values).sum()))} points of {len(self.panel.ids)} series"
        if self.table.is_empty():
            return Grounds(
                f"From {points}.", "A small change in much noise would not be seen.", "Nothing: the past is a guide."
            )
        top = self._largest()
        dates = [words.moment(top[f"{self.time_col}-{side}"]) for side in ("lo", "hi")]
        sizes = [words.amount(top[f"size-{side}"], self.unit) for side in ("lo", "hi")]
        return Grounds(
            f"From {points}, seasons taken out.",
            f"At 95 % the largest lies between {dates[0]} and {dates[1]} and measures {sizes[0]} to {sizes[1]}.",
            "Look for what was deployed, priced or moved then; compare spans on one side of it only.",
        )

    def picture(self) -> str:
        """The series with the largest change and its levels."""
        from analytics.pictures import levels

        name = self.panel.ids[0] if self.table.is_empty() else self._largest()[self.id_col]
        past = self.panel.history().filter(pl.col(self.id_col) == name)
        cuts = self.table.filter(pl.col(self.id_col) == name)[self.time_col].sort()
        places = [int((past[self.time_col] < cut).sum()) for cut in cuts]
        return levels(past[self.panel.names.target], places, alt=f"{name}: {self.sentence()}", unit=self.unit)

    def _largest(self) -> dict[str, Any]:
        size = (pl.col("size").abs() / (pl.col("before").abs() + pl.col("after").abs())).alias("weight")
        return self.table.sort(size, descending=True).row(0, named=True)

    def report(self) -> tuple[str, Figure, pl.DataFrame | None]:
        """What a report shows: a sentence, the chart, the changes."""
        return self.sentence(), self.plot(), self.table if len(self.table) else None


def changepoints(
    frame: Frame,
    *,
    least: int | None = None,
    penalty: float = PENALTY,
    season_length: int | Sequence[int] | None = None,
    unit: str = "",
    id_col: str = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
) -> ChangePoints:
    """Find lasting changes of level in every series of a long frame.

    The season (a day and a week, by the times) is taken out, then the number of changes and their places that explain
    the series best are found by penalised kernel change point detection (`ruptures.KernelCPD`; Arlot, Celisse,
    Harchaoui, JMLR 20, 2019). The variance in the penalty is that of the long run, so that an autocorrelated series
    gets none for its wandering. The whole series is looked at: this is for reports, not for alarms.

    Args:
        frame: long frame, polars or pandas, of `unique_id, ds, y`; see `analytics.frames.panel`.
        least: points between two changes at least. Default: a day of the clock, and no fewer than 8.
        penalty: what a change must explain, in parts of variance x log(points); larger finds fewer.
        season_length: seasons in steps that are taken out. Default: a day and a week, by the times.
        unit: unit of the values for charts and sentences, "USD" for money.
        id_col: name of the column of series.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Raises:
        NoRows, TooShort, ColumnMissing, ParameterInvalid: what came in cannot be used.

    >>> noise = np.random.default_rng(0).normal(10, 1, 300)
    >>> noise[200:] += 5
    >>> (row,) = changepoints(pl.DataFrame({"ds": range(300), "y": noise})).to_polars().rows(named=True)
    >>> row["ds"], round(row["size"])
    (200, 5)
    """
    if least is not None and (isinstance(least, bool) or not isinstance(least, int) or least < 2):
        raise ParameterInvalid("least", f"expected a whole number of points, at least 2, got {least!r}")
    if not penalty > 0:
        raise ParameterInvalid("penalty", f"expected a positive number, such as 3, got {penalty!r}")
    data = panel(frame, id_col=id_col, time_col=time_col, target_col=target_col)
    seasons = given(season_length) or clock_seasons(data.grid) or ()
    apart = least or max(8, seasons[0] if seasons else 0)
    rows = [
        (k, *change)
        for k, values in enumerate(waiting(data.values, "changes"))
        for change in _changes(values, seasons, apart, penalty)
    ]
    return ChangePoints(_table(data, rows), data, unit)


def _changes(values: Floats, seasons: Sequence[int], apart: int, penalty: float) -> list[tuple[float, ...]]:
    """(place, first and last place, before, after, half an interval of the size), places counted from the end."""
    series = known(values)
    points = len(series)
    scale = float(np.abs(series).max())
    if points < 2 * apart or scale == 0 or np.ptp(series) == 0:
        return []
    level = _without(series / scale, seasons)
    places = _places(level, apart, penalty)
    bounds = [0, *places, points]
    variance = _long_run(
        level - np.repeat([level[start:stop].mean() for start, stop in pairwise(bounds)], np.diff(bounds))
    )
    made = []
    for left, place, right in zip(bounds, bounds[1:], bounds[2:], strict=False):
        before, after = level[left:place].mean(), level[place:right].mean()
        size = after - before
        half = SIZED * sqrt(variance * (1 / (place - left) + 1 / (right - place)))
        if abs(size) <= half:
            continue
        reach = ceil(min(DATED * variance / size**2, points)) + 1 if variance > 0 else 0
        first, last = max(left, place - reach), min(right - 1, place + reach)
        made.append(
            (*(float(at - points) for at in (place, first, last)), *(one * scale for one in (before, after, half)))
        )
    return made


def _places(level: Floats, apart: int, penalty: float) -> list[int]:
    import ruptures

    width = -(-len(level) // MOST)
    if width > 1:
        coarse = level[len(level) % width :].reshape(-1, width).mean(axis=1)
        near = [len(level) % width + width * at for at in _places(coarse, max(2, apart // width), penalty)]
        return [_refined(level, at, width, apart) for at in near if apart <= at <= len(level) - apart]
    variance = max(_noise(level), 1e-12)
    search = ruptures.KernelCPD(kernel="linear", min_size=apart).fit(level[:, None])
    found: list[int] = search.predict(pen=penalty * variance * log(len(level)))[:-1]
    return found


def _refined(level: Floats, at: int, width: int, apart: int) -> int:
    """The place near `at` that splits its surroundings best."""
    low, high = max(0, at - 20 * max(width, apart)), min(len(level), at + 20 * max(width, apart))
    window = level[low:high] - level[low:high].mean()
    sums = np.cumsum(window)[:-1]
    left = np.arange(1, len(window))
    gain = sums**2 * (1 / left + 1 / (len(window) - left))
    near = slice(max(0, at - low - 2 * width - 1), at - low + 2 * width)
    return low + 1 + near.start + int(np.argmax(gain[near]))


def _noise(level: Floats) -> float:
    """Long-run variance of a series that may change its level anywhere: from short stretches, each without its mean."""
    size = max(8, min(len(level) // 8, 64))
    kept = level[: len(level) // size * size].reshape(-1, size)
    within = (kept - kept.mean(axis=1, keepdims=True)) * sqrt(size / (size - 1))
    plain = float(np.median((within**2).mean(axis=1)))
    if plain == 0:
        plain = float((within**2).mean())
    return plain * _inflation(within)


def _long_run(errors: Floats) -> float:
    """Variance of the mean of many, times how many: that of an autoregression of order one."""
    centred = errors - errors.mean()
    return float((centred**2).mean()) * _inflation(centred[None, :])


def _inflation(rows: Floats) -> float:
    power = float((rows**2).sum())
    if power == 0:
        return 1.0
    # The mean of a short row is taken out of it, which makes neighbours look less alike by about one in its length.
    correlation = float((rows[:, 1:] * rows[:, :-1]).sum()) / power + 1 / rows.shape[1]
    bounded = min(max(correlation, 0.0), 0.95)
    return float((1 + bounded) / (1 - bounded))


def _without(series: Floats, seasons: Sequence[int]) -> Floats:
    """The series without the median profile of the longest season that it has often enough."""
    fitting = [season for season in seasons if len(series) >= CYCLES * season and season > 1]
    if not fitting:
        return series
    season = fitting[-1]
    cycles = len(series) // season
    kept = series[len(series) - cycles * season :].reshape(cycles, season)
    # Each cycle is centred on its own level, so that a change of level does not leak into the profile.
    profile = np.median(kept - np.median(kept, axis=1, keepdims=True), axis=0)
    at = (np.arange(len(series)) - (len(series) - cycles * season)) % season
    return np.asarray(series - (profile - profile.mean())[at])


def _table(data: Panel, rows: list[tuple[float, ...]]) -> pl.DataFrame:
    series, place, first, last, before, after, half = np.array(rows, dtype=np.float64).reshape(-1, 7).T
    which = series.astype(np.int64)
    when = [
        data.grid.times(data.ends[which] + (at.astype(np.int64) + 1) * data.grid.step) for at in (place, first, last)
    ]
    size = after - before
    return pl.DataFrame(
        {
            data.names.id: data.ids.gather(which),
            data.names.time: when[0],
            f"{data.names.time}-lo": when[1],
            f"{data.names.time}-hi": when[2],
            "before": before,
            "after": after,
            "size": size,
            "size-lo": size - half,
            "size-hi": size + half,
            "relative": np.divide(size, before, out=np.full(len(size), np.nan), where=before > 0),
        }
    ).fill_nan(None)
