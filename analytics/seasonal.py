"""Seasons for people: which there are, how strong, what shape, whether it changed, and the series taken apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from analytics import words
from analytics.explained import Explained, Grounds
from analytics.frames import Floats, Kind, Panel, panel
from analytics.seasons import candidate_lengths, given, judge, known
from analytics.tabled import Tabled
from analytics.waiting import waiting
from store.errors import ParameterInvalid, UnknownName

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

SHUFFLES = 199  # orders that the observed change is compared with
FEWEST = 8  # cycles without which a change cannot be told
ROUNDING = 1e-18  # of the power of a season: below it two profiles are equal
DIFFERENT = 0.05  # p-value below which a profile is said to have changed


@dataclass(frozen=True, repr=False)
class Seasonality(Explained, Tabled):
    """What `seasonality` found.

    `table` has one row per series and candidate: the id, `season_length` (steps), `autocorrelation` at that lag,
    `gain` (share of the held-out error that the season removes), `confirmed`, `strength` (0 to 1: the share of what
    varies about the trend that the season explains) and `changed_p`, the probability of so large a difference between
    the profiles of the first and the second half if nothing changed. What the history is too short for is null.
    """

    table: pl.DataFrame
    panel: Panel

    @property
    def kind(self) -> Kind:
        """The kind of frame that came in."""
        return self.panel.kind

    @property
    def id_col(self) -> str:
        """Name of the column of series."""
        return self.panel.names.id

    def lengths(self, unique_id: object) -> tuple[int, ...]:
        """The confirmed season lengths of one series, shortest first."""
        rows = self.table.filter((pl.col(self.id_col) == unique_id) & pl.col("confirmed"))
        return tuple(rows["season_length"].sort().to_list())

    def profile(self, unique_id: object = None) -> pl.DataFrame:
        """Mean by hour of the day and day of the week, in the zone of the times; by position where they have no clock.

        Args:
            unique_id: the series. Default: the first.

        Returns:
            `weekday` (1 is Monday), `hour`, `mean`, `points`; or `position` (in the longest confirmed season, else the
            longest candidate), `mean`, `points`.

        Raises:
            UnknownName: there is no such series.
        """
        name, values = self._series(unique_id)
        times = self._times(name, len(values))
        frame = pl.DataFrame({"ds": times, "y": values}).filter(pl.col("y").is_finite())
        if isinstance(times.dtype, pl.Datetime):
            keys: dict[str, Any] = {"weekday": pl.col("ds").dt.weekday(), "hour": pl.col("ds").dt.hour()}
        else:
            lengths = self.lengths(name) or tuple(self._candidates(name)) or (1,)
            keys = {"position": pl.col("ds").to_physical() // self.panel.grid.step % lengths[-1]}
        grouped = frame.group_by(**keys).agg(pl.col("y").mean().alias("mean"), pl.len().alias("points"))
        return grouped.sort(*keys)

    def decomposition(self, unique_id: object = None) -> pl.DataFrame:
        """The series taken apart by MSTL (Bandara, Hyndman, Bergmeir 2021), for display: it looks at the whole series.

        Args:
            unique_id: the series. Default: the first.

        Returns:
            The time column, `y` (gaps filled by straight lines), `trend`, `seasonal-24` and so on for each confirmed
            season, and `remainder`; they add up to `y`. Without a season the trend is a running median.

        Raises:
            UnknownName: there is no such series.
        """
        name, values = self._series(unique_id)
        y = known(values)
        lengths = [m for m in self.lengths(name) if len(y) > 2 * m]
        columns: dict[str, object] = {self.panel.names.time: self._times(name, len(y)), "y": y}
        if not lengths:
            trend = pl.Series(y).rolling_median(min(len(y), 25), center=True, min_samples=1).to_numpy()
            return pl.DataFrame({**columns, "trend": trend, "remainder": y - trend})
        from statsmodels.tsa.seasonal import MSTL

        scale = float(np.abs(y).max()) or 1.0
        made = MSTL(y / scale, periods=lengths).fit()
        seasonal = np.asarray(made.seasonal).reshape(len(y), -1).T * scale
        columns["trend"] = np.asarray(made.trend) * scale
        columns |= {f"seasonal-{m}": part for m, part in zip(lengths, seasonal, strict=True)}
        columns["remainder"] = y - columns["trend"] - seasonal.sum(axis=0)  # type: ignore[operator]  # an array
        return pl.DataFrame(columns)

    def plot(self, unique_id: object = None) -> Figure:
        """The profile of one series: a heat map by hour and weekday, or a line."""
        from analytics.charts.seasons import profile

        return profile(self, unique_id)

    def plot_decomposition(self, unique_id: object = None) -> Figure:
        """One series taken apart: as it is, trend, seasons, remainder."""
        from analytics.charts.seasons import decomposition

        return decomposition(self, unique_id)

    def sentence(self) -> str:
        """Which seasons, in how many series, how strong, and whether any changed."""
        confirmed = self.table.filter("confirmed")
        if confirmed.is_empty():
            return "No season was confirmed."
        series = self.table[self.id_col].n_unique()
        counts = confirmed.group_by("season_length").agg(pl.len(), pl.col("strength").median()).sort("season_length")
        said = [
            f"a season of {m} steps in {n} of {series} series" + ("" if s is None else f" (strength {s:.2f})")
            for m, n, s in counts.iter_rows()
        ]
        # So many tests: by Bonferroni, lest one in twenty be called a change.
        changed = int((confirmed["changed_p"] < DIFFERENT / len(confirmed)).sum())
        more = f"; the profile of {changed} changed" if changed else ""
        return f"Confirmed: {'; '.join(said)}{more}."

    def grounds(self) -> Grounds:
        """The cycles that were seen, how a season is confirmed, and what to use it for."""
        points = words.amount(int(np.isfinite(self.panel.values).sum()))
        confirmed = self.table.filter("confirmed")["season_length"].unique().sort().to_list()
        lengths = " and ".join(str(length) for length in confirmed)
        return Grounds(
            f"From {points} points of {len(self.panel.ids)} series.",
            "A season counts only where it cuts the error of forecasts of what was held out by 5 %; none is invented.",
            f"Forecasts use it by themselves; put heavy jobs where the profile is low (season {lengths})."
            if confirmed
            else "Nothing: no hour or day is like another; a longer past may show one.",
        )

    def picture(self) -> str:
        """The profile of the first series: a week by the hour, or a line."""
        from analytics.pictures import lines, week

        made, alt = self.profile(), f"{self.panel.ids[0]}: {self.sentence()}"
        return week(made, alt) if "hour" in made.columns else lines(made["mean"], alt=alt)

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the profile of the first series, the table."""
        return self.sentence(), self.plot(), self.table

    def _candidates(self, name: object) -> list[int]:
        return self.table.filter(pl.col(self.id_col) == name)["season_length"].sort().to_list()

    def _series(self, unique_id: object) -> tuple[object, Floats]:
        ids = self.panel.ids.to_list()
        name = ids[0] if unique_id is None else unique_id
        if name not in ids:
            raise UnknownName("series", str(name), map(str, ids))
        values = self.panel.values[ids.index(name)]
        return name, values[int(np.flatnonzero(np.isfinite(values))[0]) :]

    def _times(self, name: object, points: int) -> pl.Series:
        end = self.panel.ends[self.panel.ids.to_list().index(name)]
        return self.panel.grid.times(end + np.arange(1 - points, 1, dtype=np.int64) * self.panel.grid.step)


def seasonality(
    frame: Frame,
    *,
    season_length: int | Sequence[int] | None = None,
    id_col: str = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
) -> Seasonality:
    """Find the seasons of every series of a long frame, how strong they are and whether they changed; none is invented.

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
    >>> found = seasonality(daily)
    >>> found.lengths("series"), round(found.table["strength"][0], 2), found.profile().columns
    ((24,), 1.0, ['weekday', 'hour', 'mean', 'points'])
    """
    asked = given(season_length)
    if asked and asked[0] < 2:
        raise ParameterInvalid("season_length", f"expected at least 2 steps, got {asked[0]}")
    data = panel(frame, id_col=id_col, time_col=time_col, target_col=target_col)
    rows = []
    for unique_id, values in zip(data.ids, waiting(data.values, "seasonality"), strict=True):
        series = known(values)
        for length, correlation, gain, confirmed in judge(series, asked or candidate_lengths(data.grid, series)):
            told = (length, correlation, gain, confirmed, strength(series, length))
            rows.append((unique_id, *told, changed(series, length) if confirmed else None))
    numbers = ("autocorrelation", "gain"), ("strength", "changed_p")
    schema: dict[str, Any] = {
        "season_length": pl.Int64,
        **dict.fromkeys(numbers[0], pl.Float64),
        "confirmed": pl.Boolean,
    }
    whole = {id_col: data.ids.dtype, **schema, **dict.fromkeys(numbers[1], pl.Float64)}
    return Seasonality(pl.DataFrame(rows, schema=whole, orient="row"), data)


def strength(series: Floats, length: int) -> float | None:
    """How much of what varies about the trend a season explains: 1 - Var(R) / Var(S + R), no less than 0.

    Wang, Smith, Hyndman, Data Mining and Knowledge Discovery 13 (2006). None with less than two seasons.

    >>> strength(np.tile([1.0, 2.0, 3.0, 2.0], 10), 4), strength(np.zeros(40), 4)
    (1.0, 0.0)
    """
    cycles = _cycles(series, length)
    if cycles is None:
        return None
    profile = cycles.mean(axis=0)
    whole, rest = float(cycles.var()), float((cycles - profile).var())
    # A profile of so few cycles follows their noise: what it would explain by chance is taken off.
    by_chance = 1 - 1 / len(cycles)
    return max(0.0, 1 - rest / by_chance / whole) if whole > 1e-12 * float(np.abs(series).max()) ** 2 else 0.0


def changed(series: Floats, length: int, *, seed: int = 0) -> float | None:
    """Probability of so different profiles of the first and the second half if the season had not changed.

    A permutation test over whole cycles, each with its own level taken out, so that growth is no change of shape. None
    with fewer than 8 cycles.

    >>> day = np.sin(np.arange(24) / 24 * 2 * np.pi)
    >>> same = np.tile(day, 20) + np.random.default_rng(0).normal(0, 0.3, 480)
    >>> changed(same, 24) > 0.05, changed(np.append(same[:240], -same[240:]), 24) < 0.05
    (True, True)
    """
    cycles = _cycles(series, length)
    if cycles is None or len(cycles) < FEWEST:
        return None
    half = len(cycles) // 2
    random = np.random.default_rng(seed)
    orders = np.stack([np.arange(len(cycles)), *(random.permutation(len(cycles)) for _ in range(SHUFFLES))])
    late = (orders >= half) / (len(cycles) - half) - (orders < half) / half
    apart = ((late @ cycles) ** 2).sum(axis=1)
    if apart[0] <= ROUNDING * float((cycles**2).sum()):
        return 1.0
    return float((apart >= apart[0] * (1 - 1e-12)).mean())


def _cycles(series: Floats, length: int) -> Floats | None:
    """Whole cycles, the last one ending with the series, each without its trend; None if fewer than two."""
    count = len(series) // length
    if count < 2 or length < 2:
        return None
    kept = series[len(series) - count * length :].reshape(count, length)
    level = kept.mean(axis=1)
    # What a cycle drifts by is told by its neighbours' levels: its own slope may be part of the season.
    drift = np.gradient(level)[:, None] * (np.arange(length) - (length - 1) / 2) / length
    return np.asarray(kept - level[:, None] - drift)
