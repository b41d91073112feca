"""Backtests: what each engine would have forecast from several points of the past, and how wrong it was."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics import engines as known_engines
from analytics import words
from analytics.explained import Explained, Grounds
from analytics.forecasting import forecast, levels_of
from analytics.frames import Ints, Kind, Names, Panel, native, panel
from analytics.metrics import METRICS, columns, measured, pooled
from analytics.seasons import found, given, known
from analytics.waiting import waiting
from store.errors import ParameterInvalid, TooShort, UnknownName

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

RANKED = ("mase", *sorted(set(METRICS) - {"mase"}, key=METRICS.index))  # the default; the first decides
SHOWN = ("mase", "rmsse", "wape", "scaled_crps", "msis")  # of the chart, where they were asked for
SHARED = 0.25  # share of the series that must have a season for it to scale errors


@dataclass(frozen=True, repr=False)
class Backtest(Explained):
    """Forecasts from the past beside what came.

    `forecasts` has a row per engine, series, origin and step: `engine, unique_id, cutoff` (the last time known), `ds`,
    `y, y_hat, y_hat-lo-80, ...`. `scores` has a row per engine, series and origin with a column a metric. `season` in
    steps is that of the naive which scaled errors refer to; `cpu_s` are CPU seconds by engine.
    """

    forecasts: pl.DataFrame
    scores: pl.DataFrame
    table: pl.DataFrame
    horizon: int
    windows: int
    season: int
    level: tuple[float, ...]
    metrics: tuple[str, ...]
    cpu_s: dict[str, float]
    names: Names
    kind: Kind

    @property
    def best(self) -> str:
        """The engine with the least of the first metric."""
        return str(self.table["engine"][0])

    def leaderboard(self) -> Frame:
        """One row an engine, the best by the first metric first: `rank, engine`, the metrics over everything, `cpu_s`.

        Metrics are means over series and origins; WAPE and scaled CRPS are of sums over all of them. Of the kind of
        frame that came in.
        """
        return native(self.table, self.kind)

    def to_polars(self) -> pl.DataFrame:
        """`scores`, with the caller's names of columns."""
        return self.scores.rename({"unique_id": self.names.id})

    def to_pandas(self) -> pd.DataFrame:
        """The same as pandas."""
        return self.to_polars().to_pandas()

    def how(self) -> str:
        """What was tried, on what, and what the metrics refer to."""
        series = self.scores["unique_id"].n_unique()
        origins = f"{self.windows} {words.plural('origin', self.windows)}"
        scale = f"the naive of {self.season} steps before" if self.season > 1 else "the last value repeated"
        spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.cpu_s.items())
        return (
            f"{series:,} series, {origins}, {self.horizon} steps each. "
            f"Scaled errors are parts of the error of {scale}.\nCPU: {spent}."
        )

    def sentence(self) -> str:
        """Which engine was best, by how much, and what its intervals covered."""
        first = columns(self.metrics, self.level)[0]
        rows = self.table.select("engine", first).rows()
        said = f"{rows[0][0]} was best with {first.upper()} {rows[0][1]:.3g}"
        if len(rows) > 1 and rows[1][1] is not None:
            said += f", before {rows[1][0]} with {rows[1][1]:.3g}"
        covered = [f"coverage_{one:g}" for one in self.level if f"coverage_{one:g}" in self.table.columns]
        told = [
            f"{words.share(self.table[name][0])} at {name.partition('_')[2]} %"
            for name in covered
            if self.table[name][0] is not None
        ]
        return f"{said}; its intervals covered {' and '.join(told)}." if told else f"{said}."

    def grounds(self) -> Grounds:
        """The forecasts that were compared, how far the best is ahead, and which engine to take."""
        first = columns(self.metrics, self.level)[0]
        each = self.scores.group_by("unique_id", "cutoff", maintain_order=True).agg(
            pl.col("engine").sort_by(first, nulls_last=True).first()
        )
        won = int((each["engine"] == self.best).sum())
        return Grounds(
            f"From {words.amount(len(self.forecasts))} forecast points, each made without what came after it.",
            f"By {first.upper()} {self.best} was the best in {won} of {len(each)} races of a series from an origin.",
            f'Forecast with engine="{self.best}"; try again when the series change, or with more `windows`.',
        )

    def picture(self) -> str:
        """The first metric of each engine, shorter is better."""
        from analytics.pictures import bars

        first = columns(self.metrics, self.level)[0]
        values = self.table[first].to_list()
        return bars(self.table["engine"].to_list(), values, [words.amount(one) for one in values], self.sentence())

    def for_people(self) -> pl.DataFrame:
        """The leaderboard."""
        return self.table

    def plot(self) -> Figure:
        """The metrics that compare across series, one bar an engine."""
        from analytics.charts.comparisons import leaderboard

        wanted = [name for name in SHOWN if name in self.table.columns] or columns(self.metrics, self.level)[:1]
        return leaderboard(self.table, wanted, self.sentence())

    def report(self) -> tuple[str, Figure, pl.DataFrame, str]:
        """What a report shows: a sentence, the chart, the leaderboard, what was done."""
        return self.sentence(), self.plot(), self.table, self.how()


def backtest(
    frame: Frame,
    horizon: int,
    *,
    engines: str | Sequence[str] = ("ensemble", "seasonal_naive"),
    windows: int = 4,
    step: int | None = None,
    level: float | Sequence[float] = (80, 95),
    metrics: str | Sequence[str] = RANKED,
    season_length: int | Sequence[int] | None = None,
    id_col: str = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
) -> Backtest:
    """Forecast from several origins in the past with every engine, and measure the errors (Tashman, 2000).

    An origin sees what lies before it and nothing else: seasons are found, models chosen and intervals made anew there.

    Args:
        frame: long frame, polars or pandas, of `unique_id, ds, y`; see `analytics.frames.panel`.
        horizon: steps ahead from each origin.
        engines: names that `forecast` takes, registered ones among them.
        windows: origins; as many as the history has room for.
        step: steps between two origins; default the horizon, so that no point is forecast twice.
        level: intervals in per cent.
        metrics: names of `analytics.metrics.METRICS`; the first decides who is best.
        season_length: as `forecast` takes it; the shortest also scales MASE, RMSSE and MSIS. Default there: the
            shortest season that a quarter of the series have, else 1.
        id_col: name of the column of series.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Raises:
        UnknownName: no such engine or metric.
        TooShort: no series has room for one origin.
        NoRows, ColumnMissing, ParameterInvalid: as `forecast`.

    >>> days = pl.DataFrame({"ds": range(84), "y": [float(day % 7) for day in range(84)]})
    >>> made = backtest(days, 7, season_length=7, windows=2, metrics=("mae", "coverage"))
    >>> made.leaderboard()["mae"].round(3).to_list(), made.windows
    ([0.0, 0.0], 2)
    """
    tried, wanted = _listed(engines), _listed(metrics)
    for name in tried:
        known_engines.routed("full", name)
    for name in wanted:
        if name not in METRICS:
            raise UnknownName("metric", name, METRICS)
    for name, number in (("horizon", horizon), ("windows", windows), ("step", step or horizon)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ParameterInvalid(name, f"expected a whole number, at least 1, got {number!r}")
    if not tried or not wanted:
        raise ParameterInvalid("engines" if not tried else "metrics", "expected at least one name, got none")
    levels = levels_of(level)
    data = panel(frame, id_col=id_col, time_col=time_col, target_col=target_col)
    whole = replace(data, names=Names())
    offsets = [horizon + k * (step or horizon) for k in range(windows)]
    origins = [(offset, part) for offset in offsets if (part := _before(whole, offset)) is not None]
    if not origins:
        reason = f"no series has {known_engines.FEW} points before its last {horizon}. Load a longer span"
        raise TooShort("the frame", reason)
    past = whole.history()
    season = min(given(season_length)) if season_length else _season(past)
    made, spent = [], dict.fromkeys(tried, 0.0)
    for name in tried:
        begun = time.process_time()
        made += [
            _origin(whole, rows, part, offset, horizon, levels, season_length, name)
            for offset, (rows, part) in waiting(origins, f"backtest of {name}", "origins")
        ]
        spent[name] = time.process_time() - begun
    forecasts = pl.concat(made).drop_nulls("y")
    each, summary = [], []
    for name in tried:
        own = forecasts.filter(pl.col("engine") == name).drop("engine")
        scores = measured(own, past, wanted, levels, season)
        each.append(scores.select(pl.lit(name).alias("engine"), pl.all()))
        summary.append({"engine": name, **pooled(own, scores, wanted, levels), "cpu_s": spent[name]})
    order = columns(wanted, levels)
    table = pl.DataFrame(summary, schema={"engine": pl.String, **dict.fromkeys([*order, "cpu_s"], pl.Float64)})
    ranked = table.sort(order[0], nulls_last=True).with_row_index("rank", offset=1)
    return Backtest(
        forecasts, pl.concat(each), ranked, horizon, len(origins), season, levels, wanted, spent, data.names, data.kind
    )


def _listed(names: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([names] if isinstance(names, str) else names))


def _before(data: Panel, offset: int) -> tuple[Ints, Panel] | None:
    """The series with enough points before their last `offset`, and a panel of those points; None for none at all."""
    width = data.values.shape[1] - offset
    if width < known_engines.FEW:
        return None
    kept = data.values[:, :width]
    rows = np.flatnonzero(np.isfinite(kept).sum(axis=1) >= known_engines.FEW)
    if not len(rows):
        return None
    ends = data.ends[rows] - offset * data.grid.step
    return rows, replace(data, ids=data.ids.gather(rows), values=kept[rows], ends=ends)


def _origin(
    data: Panel,
    rows: Ints,
    before: Panel,
    offset: int,
    horizon: int,
    levels: tuple[float, ...],
    season_length: int | Sequence[int] | None,
    engine: str,
) -> pl.DataFrame:
    made = forecast(before.history(), horizon, levels, season_length=season_length, engine=engine)
    start = data.values.shape[1] - offset
    actual = replace(data, ids=before.ids, ends=before.ends).long(
        {"y": data.values[rows, start : start + horizon]}, np.arange(1, horizon + 1, dtype=np.int64)
    )
    cutoffs = pl.DataFrame({"unique_id": before.ids, "cutoff": before.grid.times(before.ends)})
    joined = actual.join(made.to_polars(), on=["unique_id", "ds"]).join(cutoffs, on="unique_id")
    bounds = [name for name in joined.columns if name.startswith("y_hat-")]
    return joined.select(
        pl.lit(engine).alias("engine"), "unique_id", "cutoff", "ds", pl.col("y").fill_nan(None), "y_hat", *bounds
    )


def _season(past: pl.DataFrame) -> int:
    """The shortest season that a quarter of the series have, 1 for none."""
    data = panel(past)
    lengths = found(data.grid, [known(values) for values in data.values])
    votes = Counter(length for confirmed in lengths for length in confirmed)
    need = SHARED * len(lengths)
    return min((length for length, count in votes.items() if count >= need), default=1)
