"""Which seasons a series has: candidates by autocorrelation, confirmed by what they gain on held-out points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics.frames import Floats, Grid, Kind, native, panel

if TYPE_CHECKING:
    from analytics.frames import Frame

HOUR, DAY, WEEK = 3600.0, 86_400.0, 604_800.0
GAIN = 0.05  # a season must cut the held-out error by so much to be believed
FOLDS = 6  # held-out stretches, each one season long
CYCLES = (3, 8)  # seasons that a profile averages: few follow a change, many still the noise
SIGNIFICANT = 2.6  # standard errors of an autocorrelation, about 1 % two-sided


@dataclass(frozen=True, repr=False)
class Seasonality:
    """What `seasonality` found.

    `table` has one row per series and candidate: the id, `season_length` (steps), `autocorrelation` at that lag,
    `gain` (share of the held-out error that the season removes; null when the history is too short to tell) and
    `confirmed`.
    """

    table: pl.DataFrame
    kind: Kind
    id_col: str = "unique_id"

    def lengths(self, unique_id: object) -> tuple[int, ...]:
        """The confirmed season lengths of one series, shortest first."""
        rows = self.table.filter((pl.col(self.id_col) == unique_id) & pl.col("confirmed"))
        return tuple(rows["season_length"].sort().to_list())

    def to_polars(self) -> pl.DataFrame:
        """`table` as polars."""
        return self.table

    def to_native(self) -> Frame:
        """`table` as the kind of frame that came in."""
        return native(self.table, self.kind)

    def sentence(self) -> str:
        """One sentence: how many series have which season."""
        confirmed = self.table.filter("confirmed")
        if confirmed.is_empty():
            return "No season was confirmed."
        counts = confirmed.group_by("season_length").len().sort("season_length")
        said = [
            f"a season of {m} steps in {n} of {self.table[self.id_col].n_unique()} series"
            for m, n in counts.iter_rows()
        ]
        return f"Confirmed: {'; '.join(said)}."

    def __repr__(self) -> str:
        return f"<Seasonality: {self.sentence()}>"

    def _repr_html_(self) -> str:
        from analytics.render import block, table

        return block(self.sentence(), table(self.table))


def seasonality(
    frame: Frame,
    *,
    season_length: int | Sequence[int] | None = None,
    id_col: str = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
) -> Seasonality:
    """Find the season lengths of every series of a long frame; none is invented.

    A candidate must stand out in the autocorrelation of the series and must then cut the error of forecasts of
    held-out stretches by 5 % against the best shorter season (or none).

    Args:
        frame: long frame, polars or pandas; see `analytics.frames.panel`.
        season_length: candidates in steps. Default: a day and a week where times tell them, a year of weeks or months;
            for integer times the peaks of the autocorrelation.
        id_col: name of the column of series.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Raises:
        NoRows, TooShort, ColumnMissing, ParameterInvalid: as `panel` does.

    >>> hours = pl.datetime_range(pl.datetime(2026, 1, 1), pl.datetime(2026, 1, 14), "1h", time_zone="UTC", eager=True)
    >>> daily = pl.DataFrame({"ds": hours, "y": np.sin(hours.dt.hour().to_numpy() / 24 * 2 * np.pi)})
    >>> seasonality(daily).lengths("series")
    (24,)
    """
    data = panel(frame, id_col=id_col, time_col=time_col, target_col=target_col)
    rows = []
    for unique_id, values in zip(data.ids, data.values, strict=True):
        series = known(values)
        candidates = given(season_length) or candidate_lengths(data.grid, series)
        for length, correlation, gain, confirmed in judge(series, candidates):
            rows.append((unique_id, length, correlation, gain, confirmed))
    schema = {"season_length": pl.Int64, "autocorrelation": pl.Float64, "gain": pl.Float64, "confirmed": pl.Boolean}
    table = pl.DataFrame(rows, schema={id_col: data.ids.dtype, **schema}, orient="row")
    return Seasonality(table, data.kind, id_col)


def given(season_length: int | Sequence[int] | None) -> tuple[int, ...]:
    """The caller's season lengths as a sorted tuple; empty when there are none."""
    if season_length is None:
        return ()
    return tuple(sorted({season_length} if isinstance(season_length, int) else set(season_length)))


def candidate_lengths(grid: Grid, series: Floats) -> tuple[int, ...]:
    """Seasons worth a try on this grid: day and week, year; peaks of the autocorrelation where time has no unit."""
    if grid.unit == "month":
        return (12 // grid.step,) if grid.step in (1, 2, 3) else ()
    if grid.step_s is None:
        return _peaks(series)
    if grid.step_s == WEEK:
        return (52,)
    return tuple(round(s / grid.step_s) for s in (HOUR, DAY, WEEK) if s % grid.step_s == 0 and s / grid.step_s >= 4)


def judge(series: Floats, candidates: Sequence[int]) -> list[tuple[int, float | None, float | None, bool]]:
    """(length, autocorrelation, gain, confirmed) of each candidate, shortest first; `series` has no gaps."""
    verdicts: list[tuple[int, float | None, float | None, bool]] = []
    confirmed: list[int] = []
    for length in sorted(candidates):
        if len(series) < 2 * length or np.ptp(series) == 0:
            verdicts.append((length, None, None, False))
            continue
        correlation = autocorrelation(series, length)
        # Against half the season as well: a slow drift correlates at every lag, a season least half-way through.
        floor = max(0.0, autocorrelation(series, length // 2))
        stands_out = correlation > floor + SIGNIFICANT / np.sqrt(len(series))
        gain = _gain(series, length, confirmed[-1] if confirmed else 1) if stands_out else None
        believed = gain is not None and gain >= GAIN
        if believed:
            confirmed.append(length)
        verdicts.append((length, correlation, gain, believed))
    return verdicts


def known(values: Floats) -> Floats:
    """One row of a panel from its first value on, gaps filled by straight lines."""
    there = np.flatnonzero(np.isfinite(values))
    kept = values[there[0] :]
    positions = np.arange(len(kept))
    return np.asarray(np.interp(positions, there - there[0], kept[there - there[0]]))


def autocorrelation(series: Floats, lag: int) -> float:
    """Autocorrelation at one lag after the straight trend is taken out.

    >>> round(autocorrelation(np.tile([0.0, 1.0, 0.0, -1.0], 25), 4), 2)
    0.96
    """
    t = np.arange(len(series)) - (len(series) - 1) / 2
    flat = series - series.mean() - t * (t @ series) / (t @ t)
    power = float(flat @ flat)
    return float(flat[lag:] @ flat[:-lag]) / power if power > 0 else 0.0


def _gain(series: Floats, length: int, shorter: int) -> float:
    """Share of the absolute error on the last folds that a profile of `length` removes, against one of `shorter`."""
    folds = min(FOLDS, len(series) // length - 1)
    errors = np.zeros((2, len(CYCLES), 2))
    for fold in range(folds):
        end = len(series) - fold * length
        past, actual = series[: end - length], series[end - length : end]
        # Rivals see as much of the past, lest a longer memory pass for a season.
        levels = (past[-max(CYCLES) * length :].mean(), past[-length:].mean())
        for rival, season in enumerate((shorter, length)):
            for depth, cycles in enumerate(CYCLES):
                shape = _profile(past, season, length, cycles * length)
                errors[rival, depth] += [float(np.abs(actual - level - shape).sum()) for level in levels]
    without, with_it = errors.min(axis=(1, 2))
    return float(1 - with_it / without) if without > 0 else 0.0


def _profile(past: Floats, season: int, horizon: int, span: int) -> Floats:
    """Mean deviation from the level by position in the season, over the last `span` points, for `horizon` steps."""
    cycles = max(1, min(span, len(past)) // season)
    recent = past[-cycles * season :].reshape(cycles, season)
    mean = (recent - recent.mean(axis=1, keepdims=True)).mean(axis=0)
    return np.asarray(mean[np.arange(horizon) % season])


def _peaks(series: Floats, most: int = 2) -> tuple[int, ...]:
    lags = np.arange(2, len(series) // 3 + 1)
    if len(lags) < 3 or np.ptp(series) == 0:
        return ()
    t = np.arange(len(series)) - (len(series) - 1) / 2
    flat = series - series.mean() - t * (t @ series) / (t @ t)
    size = 1 << (2 * len(flat) - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(flat, size)) ** 2
    acf = np.fft.irfft(spectrum, size)[: lags[-1] + 2]
    peak = lags[(acf[lags] > acf[lags - 1]) & (acf[lags] >= acf[lags + 1]) & (acf[lags] > 0)]
    return tuple(sorted(int(lag) for lag in peak[np.argsort(acf[peak])[::-1][:most]]))
