"""Forecast every series of a long frame, with intervals for points and for sums."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics import engines, words
from analytics.adjusting import adjust
from analytics.engines import Draft, Engine
from analytics.events import events_of
from analytics.explained import Explained, Grounds
from analytics.frames import Floats, Ints, Panel, native, panel
from analytics.intervals import covered
from analytics.repairs import filled, moved
from analytics.seasons import found, given, known
from analytics.spread import Spread, spread
from analytics.waiting import waiting
from store.errors import ParameterInvalid

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

HISTORY = 1500  # points of the past that a forecast looks at, more where a season needs them


@dataclass(frozen=True, repr=False)
class Forecast(Explained):
    """A forecast: a long frame of points and intervals, and what is needed to add it up, draw it and explain it.

    `panel` is what it was made from, `level` the intervals in per cent, `unit` the unit of the values for people;
    `additive` says whether values add up over time, as costs do and depths do not. `effects` has one row per series and
    column of events: the id, `event`, `effect` and `relative` (whether the effect is a share of the level); 0 where an
    event cannot be told from nothing.
    """

    horizon: int
    level: tuple[float, ...]
    engine: str
    unit: str
    additive: bool
    panel: Panel
    parts: tuple[tuple[Ints, Draft], ...]
    effects: pl.DataFrame | None = None

    @cached_property
    def history(self) -> pl.DataFrame:
        """What it was made from, a long frame; a gap is a row with a null target."""
        return self.panel.history()

    @property
    def id_col(self) -> str:
        """Name of the column of series."""
        return self.panel.names.id

    @property
    def time_col(self) -> str:
        """Name of the column of times."""
        return self.panel.names.time

    @property
    def target_col(self) -> str:
        """Name of the column of past values."""
        return self.panel.names.target

    @property
    def step(self) -> str:
        """What one step is called: hour, day, step."""
        return words.step(self.panel.grid.step_s)

    def to_polars(self) -> pl.DataFrame:
        """Columns `unique_id, ds, y_hat, y_hat-lo-80, y_hat-hi-80, ...`; null bounds where an interval is not known."""
        columns = {"y_hat": self._points()}
        bounds = np.full((2, *columns["y_hat"].shape, len(self.level)), np.nan)
        for rows, one in self._spreads:
            bounds[:, rows] = one.points(self.level)
        low, high = np.maximum(bounds, self._floor()[:, None, None])
        for k, level in enumerate(self.level):
            columns[f"y_hat-lo-{level:g}"], columns[f"y_hat-hi-{level:g}"] = low[:, :, k], high[:, :, k]
        return self.panel.long(columns, np.arange(1, self.horizon + 1, dtype=np.int64)).fill_nan(None)

    def to_pandas(self) -> pd.DataFrame:
        """The same as pandas."""
        return self.to_polars().to_pandas()

    def total(self, level: float | Sequence[float] | None = None) -> Frame:
        """The sum over the horizon, one row a series: `unique_id, total, total-lo-80, total-hi-80, ...`.

        Its interval comes from errors of sums at the rolling origins, not from adding the intervals of points up.
        A frame of the kind that came in; `level` in per cent, default those of the forecast.
        """
        return native(self.totals(level), self.panel.kind)

    def totals(self, level: float | Sequence[float] | None = None) -> pl.DataFrame:
        """`total`, always as polars."""
        levels = self.level if level is None else levels_of(level)
        sums = self._points().sum(axis=1)
        bounds = np.full((2, len(sums), len(levels)), np.nan)
        for rows, one in self._spreads:
            bounds[:, rows] = one.sums(levels)
        low, high = np.maximum(bounds, self._floor()[:, None])
        columns: dict[str, object] = {self.id_col: self.panel.ids, "total": sums}
        for k, level_k in enumerate(levels):
            columns[f"total-lo-{level_k:g}"], columns[f"total-hi-{level_k:g}"] = low[:, k], high[:, k]
        return pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))

    def paths(self, n: int = 1000, seed: int = 0) -> Floats:
        """Joint sample paths (series, n, horizon), series in the order of `panel.ids`.

        Their quantiles at one step are the intervals of points, those of their sums the intervals of `total`, and paths
        of one number belong together across series, so sums over series are right too. The same seed gives the same
        paths. A series whose errors are not known repeats its points.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ParameterInvalid("n", f"expected a whole number of paths, at least 1, got {n!r}")
        made = np.repeat(self._points()[:, None, :], n, axis=1)
        for rows, one in self._spreads:
            drawn = one.draw(n, self.panel.ids.gather(rows).to_list(), seed)
            made[rows] = np.where(np.isfinite(drawn), drawn, made[rows])
        return np.maximum(made, self._floor()[:, None, None])

    def coverage(self) -> pl.DataFrame:
        """What the intervals covered in the backtest: `level, kind, covered, n`, `kind` point or sum.

        Each origin is compared with intervals made from the other origins. `covered` is a share, null without errors.
        """
        rows = []
        for kind in ("point", "sum"):
            inside = [covered(draft.rolling, self.level, kind) for _, draft in self.parts if draft.rolling is not None]
            n = sum(count for _, count in inside)
            hits = np.sum([share for share, _ in inside], axis=0) if inside else np.zeros(len(self.level))
            rows += [(level, kind, hit / n if n else None, n) for level, hit in zip(self.level, hits, strict=True)]
        schema = {"level": pl.Float64, "kind": pl.String, "covered": pl.Float64, "n": pl.Int64}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def plot(self, *, most: int = 6) -> Figure:
        """A fan chart of the `most` largest series."""
        from analytics.charts import fan

        return fan(self, most=most)

    def how(self) -> str:
        """How each series was forecast, and where its intervals come from."""
        lines = [f"{self.horizon} {words.plural(self.step, self.horizon)} ahead, engine {self.engine!r}."]
        notes: Counter[str] = Counter()
        for rows, draft in self.parts:
            notes[draft.note] += len(rows)
        lines += [f"{count} series: {note}." for note, count in notes.most_common()]
        return "\n".join(lines)

    def sentence(self) -> str:
        """What the forecast says in one sentence: the total to come, or the last value, and its interval."""
        level = self.level[0]
        rows = self.totals(level).sort("total", descending=True) if self.additive else self.last()
        names = rows[self.id_col].head(3)
        values = rows.head(3).drop(self.id_col, self.time_col, strict=False).iter_rows()
        said = [words.interval(*row[:3], level=level, unit=self.unit) for row in values]
        span = f"{self.horizon} {words.plural(self.step, self.horizon)}"
        opening = f"Over the next {span}" if self.additive else f"In {span}"
        if len(rows) == 1:
            return f"{opening} the forecast {'adds up to' if self.additive else 'is'} {said[0]}."
        named = "; ".join(f"{name}: {text}" for name, text in zip(names, said, strict=True))
        return f"{opening}, {len(rows)} series{', the largest' if len(rows) > 3 else ''}: {named}."

    def last(self) -> pl.DataFrame:
        """The last step of each series with its intervals, the highest first."""
        ends = self.to_polars().group_by(self.id_col, maintain_order=True).last()
        return ends.sort("y_hat", descending=True)

    def grounds(self) -> Grounds:
        """The past, what the intervals were worth in it, and what to plan with."""
        level, past = self.level[0], self.history[self.time_col]
        points = f"{words.amount(self.history[self.target_col].count())} points of {len(self.panel.ids)} series"
        kind = "sum" if self.additive else "point"
        inside = self.coverage().filter(level=level, kind=kind).row(0, named=True)
        sure = "The past is too short for a backtest, so nothing is known of its errors."
        if inside["covered"] is not None:
            what = "sums over the horizon" if self.additive else "points"
            sure = (
                f"In backtests of this past its {level:g} % intervals held {words.share(inside['covered'])} of "
                f"{words.amount(inside['n'])} {what}."
            )
        top = self.for_people().sort(pl.nth(1) if self.additive else "y_hat", descending=True).row(0, named=True)
        high = top[f"{'total' if self.additive else 'y_hat'}-hi-{level:g}"]
        advice = f"Where too little hurts, plan {top[self.id_col]} with {words.amount(high, self.unit)}, the upper end."
        return Grounds(
            f"From {points}, {words.moment(past.min())} to {words.moment(past.max())}.",
            sure,
            advice if high is not None else "Take it for a first guess, and look again with more history.",
        )

    def picture(self) -> str:
        """The fan of the largest series, small."""
        from analytics.svg import fan

        return fan(self)

    def report(self) -> tuple[str, Figure, pl.DataFrame, str]:
        """What a report shows: a sentence, the chart, totals (last steps where nothing adds up), how it was made."""
        return self.sentence(), self.plot(), self.for_people(), self.how()

    def for_people(self) -> pl.DataFrame:
        """Totals; the last step where nothing adds up."""
        return self.totals() if self.additive else self.last()

    def _points(self) -> Floats:
        made = np.empty((len(self.panel.ids), self.horizon))
        for rows, draft in self.parts:
            made[rows] = draft.point
        return np.maximum(made, self._floor()[:, None])

    @cached_property
    def _spreads(self) -> list[tuple[Ints, Spread]]:
        """The distribution of each part whose errors are known."""
        made = self._points()
        return [(rows, spread(made[rows], draft.rolling)) for rows, draft in self.parts if draft.rolling is not None]

    def _floor(self) -> Floats:
        """Zero for a series that never was below it: its forecast is not either."""
        return np.where(np.nanmin(self.panel.values, axis=1) >= 0, 0.0, -np.inf)


def forecast(
    frame: Frame,
    horizon: int,
    level: float | Sequence[float] = (80, 95),
    *,
    season_length: int | Sequence[int] | None = None,
    engine: str = "ensemble",
    events: Frame | None = None,
    unit: str = "",
    additive: bool = True,
    id_col: str = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
) -> Forecast:
    """Forecast every series of a long frame.

    Args:
        frame: long frame, polars or pandas, of `unique_id, ds, y`; see `analytics.frames.panel`.
        horizon: steps ahead, at least 1; a step is the time between two rows.
        level: intervals in per cent, between 0 and 100.
        season_length: season lengths in steps, used as they are. Default: those that `seasonality` confirms; one that
            a quarter of the series have is used for all.
        engine: "ensemble" (median of seasonal naives and ridge autoregressions), "seasonal_naive" or "ets".
        events: known regressors, past and future: the time column and columns of numbers (price changes, launches,
            holidays as 0 and 1), for one series each where the id column is there; see `analytics.events.events_of`.
            An effect that the past does not show is taken for none.
        unit: unit of the values for charts and sentences, "USD" for money.
        additive: whether values add up over time: costs do, depths of queues do not. Sentences and tables follow it.
        id_col: name of the column of series.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Returns:
        A Forecast. Series that are non-negative stay so. Constant, short and intermittent series get simple models;
        `how()` says which.

    Raises:
        NoRows, TooShort, ColumnMissing, ParameterInvalid: what came in cannot be used.
        UnknownName: there is no such engine.

    >>> days = pl.DataFrame({"ds": range(56), "y": [float(day % 7) for day in range(56)]})
    >>> forecast(days, 3, season_length=7).to_polars()["y_hat"].round(2).to_list()
    [0.0, 1.0, 2.0]
    """
    engines.routed("full", engine)
    if isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 1:
        raise ParameterInvalid("horizon", f"expected a whole number of steps, at least 1, got {horizon!r}")
    levels = levels_of(level)
    data = panel(frame, id_col=id_col, time_col=time_col, target_col=target_col)
    whole = np.asarray(np.isfinite(data.values).all(axis=1))
    series = [_begun(values if full else known(values)) for values, full in zip(data.values, whole, strict=True)]
    seasons = _seasons(data, series, given(season_length))
    groups: dict[tuple[str, tuple[int, ...], int, bool], list[int]] = defaultdict(list)
    for k, values in enumerate(series):
        groups[engines.route(values), seasons[k], len(values).bit_length(), bool(values.min() > 0)].append(k)
    known_events = None if events is None else events_of(events, data, horizon)
    parts, learnt = [], []
    for (key, season, _, positive), members in waiting(groups.items(), "forecast", "batches"):
        rows = np.array(members, dtype=np.int64)
        past, actual = _batch([series[k] for k in members], data.values[rows], season)
        past = filled(past, actual, season)
        make = engines.routed(key, engine)
        if known_events is None or key in ("constant", "short"):
            parts.append((rows, _levelled(make, key, past, actual, horizon, season, positive=positive)))
            continue
        adjusted = adjust(known_events, data, rows, past, actual, horizon, season, positive=positive)
        draft = _levelled(make, key, adjusted.past, adjusted.actual, horizon, season, positive=positive)
        parts.append((rows, adjusted.restored(draft)))
        learnt.append(adjusted.table(data.names.id, data.ids.gather(rows)))
    found_effects = pl.concat(learnt) if learnt else None
    return Forecast(horizon, levels, engine, unit, additive, data, tuple(parts), effects=found_effects)


def _levelled(
    make: Engine, key: str, past: Floats, actual: Floats, horizon: int, season: tuple[int, ...], *, positive: bool
) -> Draft:
    """The draft of a batch; a full series that shifted is forecast from a past on its new level."""
    if key != "full":
        return make(past, actual, horizon, season)
    level, ago = moved(past, season, positive=positive)
    if not ago.any():
        return make(past, actual, horizon, season)
    draft = make(level, np.where(np.isfinite(actual), level, np.nan), horizon, season)
    return replace(draft, note=f"{draft.note}; {int((ago > 0).sum())} on the level after a shift")


def levels_of(level: float | Sequence[float]) -> tuple[float, ...]:
    """Levels of intervals in per cent, sorted; refuses what is not between 0 and 100."""
    given_level: object = level
    single = isinstance(given_level, str) or not isinstance(given_level, Iterable)
    several = (given_level,) if single else tuple(given_level)  # type: ignore[arg-type]
    numbers = [float(one) for one in several if isinstance(one, int | float) and not isinstance(one, bool)]
    levels = tuple(sorted(set(numbers))) if len(numbers) == len(several) else ()
    if not levels or levels[0] <= 0 or levels[-1] >= 100:
        raise ParameterInvalid("level", f"expected per cent between 0 and 100, such as 80, got {level!r}")
    return levels


def _begun(series: Floats) -> Floats:
    """The series from its first non-zero value on, if it is non-negative: before that there was nothing to count."""
    if series[0] != 0 or series.min() < 0 or not series.any():
        return series
    return series[int(np.flatnonzero(series)[0]) :]


def _seasons(data: Panel, series: list[Floats], asked: tuple[int, ...]) -> list[tuple[int, ...]]:
    if asked:
        if asked[0] < 2:
            raise ParameterInvalid("season_length", f"expected at least 2 steps, got {asked[0]}")
        return [tuple(m for m in asked if len(values) >= 2 * m) for values in series]
    return found(data.grid, series)


def _batch(series: list[Floats], measured: Floats, season: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Right-aligned rows without gaps, and the same with NaN where nothing was measured."""
    width = min(max(len(values) for values in series), max(HISTORY, 6 * max(season, default=1)))
    past = np.full((len(series), width), np.nan)
    for row, values in zip(past, series, strict=True):
        kept = values[-width:]
        row[width - len(kept) :] = kept
    return past, np.where(np.isfinite(measured[:, -width:]), past, np.nan)
