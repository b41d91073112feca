"""Forecast every series of a long frame, with intervals for points and for sums."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics import engines, words
from analytics.engines import Draft
from analytics.frames import Floats, Panel, native, panel
from analytics.intervals import bands, sum_bands
from analytics.seasons import candidate_lengths, given, judge, known
from store.errors import ParameterInvalid

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

HISTORY = 1500  # points of the past that a forecast looks at, more where a season needs them
SHARED = 0.25  # a season that so many series of a frame have is used for all of them


@dataclass(frozen=True, repr=False)
class Forecast:
    """A forecast: a long frame of points and intervals, and what is needed to add it up, draw it and explain it.

    `history` is what it was made from, `level` the intervals in per cent, `unit` the unit of the values for people;
    `additive` says whether values add up over time, as costs do and depths do not.
    """

    history: pl.DataFrame
    horizon: int
    level: tuple[float, ...]
    engine: str
    unit: str
    additive: bool
    panel: Panel
    parts: tuple[tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Draft], ...]

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
        floor = self._floor()[:, None]
        half = np.full((*columns["y_hat"].shape, len(self.level)), np.nan)
        for rows, draft in self.parts:
            if draft.rolling is not None:
                half[rows] = bands(draft.rolling, self.horizon, self.level)
        for k, level in enumerate(self.level):
            columns[f"y_hat-lo-{level:g}"] = np.maximum(columns["y_hat"] - half[:, :, k], floor)
            columns[f"y_hat-hi-{level:g}"] = columns["y_hat"] + half[:, :, k]
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
        half = np.full((len(sums), len(levels)), np.nan)
        for rows, draft in self.parts:
            if draft.rolling is not None:
                half[rows] = sum_bands(draft.rolling, self.horizon, levels)
        columns: dict[str, object] = {self.id_col: self.panel.ids, "total": sums}
        for k, one in enumerate(levels):
            columns[f"total-lo-{one:g}"] = np.maximum(sums - half[:, k], self._floor())
            columns[f"total-hi-{one:g}"] = sums + half[:, k]
        return pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))

    def plot(self, *, most: int = 6) -> Figure:
        """A fan chart of the `most` largest series."""
        from analytics.charts import fan

        return fan(self, most=most)

    def explain(self) -> str:
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

    def report(self) -> tuple[str, Figure, pl.DataFrame, str]:
        """What a report shows: a sentence, the chart, totals (last steps where nothing adds up), how it was made."""
        return self.sentence(), self.plot(), self._rows(), self.explain()

    def _rows(self) -> pl.DataFrame:
        return self.totals() if self.additive else self.last()

    def _points(self) -> Floats:
        made = np.empty((len(self.panel.ids), self.horizon))
        for rows, draft in self.parts:
            made[rows] = draft.point
        return np.maximum(made, self._floor()[:, None])

    def _floor(self) -> Floats:
        """Zero for a series that never was below it: its forecast is not either."""
        return np.where(np.nanmin(self.panel.values, axis=1) >= 0, 0.0, -np.inf)

    def __repr__(self) -> str:
        return f"<Forecast: {self.sentence()}>"

    def _repr_html_(self) -> str:
        from analytics.render import block, table
        from analytics.svg import fan

        return block(self.sentence(), fan(self), table(self._rows(), unit=self.unit), note=self.explain())


def forecast(
    frame: Frame,
    horizon: int,
    level: float | Sequence[float] = (80, 95),
    *,
    season_length: int | Sequence[int] | None = None,
    engine: str = "ensemble",
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
        unit: unit of the values for charts and sentences, "USD" for money.
        additive: whether values add up over time: costs do, depths of queues do not. Sentences and tables follow it.
        id_col: name of the column of series.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Returns:
        A Forecast. Series that are non-negative stay so. Constant, short and intermittent series get simple models;
        `explain()` says which.

    Raises:
        NoRows, TooShort, ColumnMissing, ParameterInvalid: what came in cannot be used.
        UnknownName: there is no such engine.

    >>> days = pl.DataFrame({"ds": range(56), "y": [float(day % 7) for day in range(56)]})
    >>> forecast(days, 3, season_length=7).to_polars()["y_hat"].round(2).to_list()
    [0.0, 1.0, 2.0]
    """
    engines.routed("full", engine)
    if not isinstance(horizon, int) or horizon < 1:
        raise ParameterInvalid("horizon", f"expected a whole number of steps, at least 1, got {horizon!r}")
    levels = levels_of(level)
    data = panel(frame, id_col=id_col, time_col=time_col, target_col=target_col)
    series = [_begun(known(values)) for values in data.values]
    seasons = _seasons(data, series, given(season_length))
    groups: dict[tuple[str, tuple[int, ...], int, bool], list[int]] = defaultdict(list)
    for k, values in enumerate(series):
        groups[engines.route(values), seasons[k], len(values).bit_length(), bool(values.min() > 0)].append(k)
    parts = []
    for (key, season, _, _), members in groups.items():
        rows = np.array(members, dtype=np.int64)
        past, actual = _batch([series[k] for k in members], data.values[rows], season)
        parts.append((rows, engines.routed(key, engine)(past, actual, horizon, season)))
    return Forecast(data.history(), horizon, levels, engine, unit, additive, data, tuple(parts))


def levels_of(level: float | Sequence[float]) -> tuple[float, ...]:
    """Levels of intervals in per cent, sorted; refuses what is not between 0 and 100."""
    levels = tuple(sorted({float(level)} if isinstance(level, int | float) else {float(one) for one in level}))
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
    own = []
    for values in series:
        verdicts = judge(values, candidate_lengths(data.grid, values))
        own.append({length for length, _, _, confirmed in verdicts if confirmed})
    votes = Counter(length for lengths in own for length in lengths)
    common = {length for length, count in votes.items() if count >= SHARED * len(series)}
    pairs = zip(own, series, strict=True)
    return [tuple(sorted(m for m in lengths | common if len(values) >= 2 * m)) for lengths, values in pairs]


def _batch(series: list[Floats], measured: Floats, season: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Right-aligned rows without gaps, and the same with NaN where nothing was measured."""
    width = min(max(len(values) for values in series), max(HISTORY, 6 * max(season, default=1)))
    past = np.full((len(series), width), np.nan)
    for row, values in zip(past, series, strict=True):
        kept = values[-width:]
        row[width - len(kept) :] = kept
    return past, np.where(np.isfinite(measured[:, -width:]), past, np.nan)
