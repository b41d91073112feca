"""Find what does not fit in every series of a long frame, at a false-alarm rate that the caller names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics import words
from analytics.channels import clock_seasons
from analytics.explained import Explained, Grounds
from analytics.frames import Floats, Kind, Panel, native, panel
from analytics.seasons import given
from analytics.streaming import RATE, Scorer
from analytics.waiting import waiting
from store.errors import ParameterInvalid

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from analytics.explain import Contributions
    from analytics.frames import Frame

GAP = 2  # quiet points that do not end a finding
SEVERITIES = ((6.0, "critical"), (4.0, "warning"), (0.0, "notice"))  # from which score on
MONEY = ("USD",)  # units of which the sum of what was not expected is said
COLUMNS = ("expected", "score", "is_anomaly")


@dataclass(frozen=True, repr=False)
class Anomalies(Explained):
    """What `anomalies` found.

    `table` has one row per point: `unique_id, ds, y, expected, lo, hi, score, is_anomaly`; `lo` to `hi` is the range
    that a value was expected in; `score` is -log10 of the calibrated tail probability, null where too little came
    before. A deviation that goes on is flagged once: its later points score less than an alarm takes until they exceed
    all of the last one and a half seasons. `findings` has one row per stretch of deviation that was flagged:
    `unique_id, ds` (start), `until` (end, not included), `y`, `expected`, `lo`, `hi`, `score` at its worst point,
    `severity` (notice, warning from 4, critical from 6) and `impact`, the sum of y - expected over it, null unless
    `unit` is money. Both are polars.
    """

    table: pl.DataFrame
    findings: pl.DataFrame
    rate: float
    unit: str
    panel: Panel

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

    @property
    def target_col(self) -> str:
        """Name of the column of values."""
        return self.panel.names.target

    @property
    def scores(self) -> Frame:
        """`unique_id, ds, y, expected, score, is_anomaly` of every point, as the kind of frame that came in."""
        return native(self.table.select(self.id_col, self.time_col, self.target_col, *COLUMNS), self.kind)

    def to_polars(self) -> pl.DataFrame:
        """One row per finding."""
        return self.findings

    def to_pandas(self) -> pd.DataFrame:
        """One row per finding, as pandas."""
        return self.findings.to_pandas()

    def since(self, when: datetime | date | int) -> Anomalies:
        """Only what lies at or after `when`, a value of the time column: what came before taught what is normal."""
        later = pl.col(self.time_col) >= when
        return replace(self, table=self.table.filter(later), findings=self.findings.filter(later))

    def related(self, finding: int, *others: Anomalies, within: int = 3) -> pl.DataFrame:
        """What else moved when a finding began, in this result and in others; see `analytics.explain.related`."""
        from analytics.explain import related

        return related(self, finding, *others, within=within)

    def contributions(self, finding: int, frame: Frame, by: Sequence[str]) -> Contributions:
        """Which dimension values explain a finding, ranked; see `analytics.explain.contributions`."""
        from analytics.explain import contributions

        return contributions(self, finding, frame, by)

    def plot(self, *, most: int = 4) -> Figure:
        """The series with the worst findings over time."""
        from analytics.charts import timeline

        return timeline(self, most=most)

    def sentence(self) -> str:
        """How many findings, the worst of them, and how many false ones to reckon with."""
        scored = int(self.table["score"].count())
        if not scored:
            return "Too little history to tell what is normal: no point has a score."
        by_chance = words.amount(float(f"{self.rate * scored:.2g}"))
        chance = f"about {by_chance} of {words.amount(scored)} points would be flagged by chance"
        if self.findings.is_empty():
            return f"No anomalies; {chance}."
        worst = self.findings.sort("score", descending=True).row(0, named=True)
        count = len(self.findings)
        y, expected = (words.amount(worst[name], self.unit) for name in (self.target_col, "expected"))
        said = f"{y} where {expected} was expected"
        return (
            f"{count} {words.plural('anomaly', count)}; the worst in {worst[self.id_col]} at "
            f"{words.moment(worst[self.time_col])}: {said}; {chance}."
        )

    def grounds(self) -> Grounds:
        """The points, what a score says, and how to go on."""
        points = f"{words.amount(len(self.table))} points of {self.table[self.id_col].n_unique()} series"
        unscored = int(self.table["score"].null_count())
        more = f"; {words.amount(unscored)} at the start of them only taught it" if unscored else ""
        return Grounds(
            f"From {points}, each judged by those before it{more}.",
            f"The rate of false alarms asked for is {self.rate:g} a point; a score of 6 is one in a million.",
            "`contributions(finding, frame, by)` says whose it is, `related(finding)` what else moved; a verdict in "
            "`mutes` keeps what is known from coming back."
            if len(self.findings)
            else "Nothing; a higher `rate` looks closer and calls more that is nothing.",
        )

    def picture(self) -> str:
        """The series with the worst finding, small."""
        from analytics.svg import findings

        return findings(self)

    def for_people(self) -> pl.DataFrame:
        """The findings, the worst first."""
        return self.findings.sort("score", descending=True)

    def report(self) -> tuple[str, Figure, pl.DataFrame | None]:
        """What a report shows: a sentence, the chart, and the findings, worst first."""
        return self.sentence(), self.plot(), self.for_people() if len(self.findings) else None


def anomalies(
    frame: Frame,
    rate: float = RATE,
    *,
    season_length: int | Sequence[int] | None = None,
    unit: str = "",
    id_col: str = "unique_id",
    time_col: str = "ds",
    target_col: str = "y",
) -> Anomalies:
    """Score every point of every series by the points before it, and flag the improbable.

    Args:
        frame: long frame, polars or pandas, of `unique_id, ds, y`; see `analytics.frames.panel`. A missing value has no
            score.
        rate: share of the points of a normal series that may be flagged, between 0 and 1.
        season_length: season lengths in steps that may be used. Default: a day and a week, by the times; for integer
            times what the autocorrelation of the past shows, looked for again whenever the past has doubled.
        unit: unit of the values for charts and sentences, "USD" for money.
        id_col: name of the column of series.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Raises:
        NoRows, TooShort, ColumnMissing, ParameterInvalid: what came in cannot be used.

    >>> noise = np.random.default_rng(0).normal(100, 1, 500)
    >>> noise[400:403] = 130
    >>> found = anomalies(pl.DataFrame({"ds": range(500), "y": noise}), season_length=24)
    >>> found.to_polars()["ds"].to_list(), round(found.to_polars()["expected"][0])
    ([400], 100)
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1:
        raise ParameterInvalid("rate", f"expected a share of points between 0 and 1, such as 0.001, got {rate!r}")
    data = panel(frame, id_col=id_col, time_col=time_col, target_col=target_col)
    seasons = given(season_length) or clock_seasons(data.grid)
    made = {name: np.full(data.values.shape, np.nan) for name in ("expected", "lo", "hi", "score", "evidence")}
    for k, values in enumerate(waiting(data.values, "anomalies")):
        at, pace = _fed(values)
        paced = seasons if seasons is None else tuple(length // pace for length in seasons if length >= 4 * pace)
        scored = Scorer(paced, rate=rate).feed(values[at])
        made["score"][k, at], made["evidence"][k, at] = scored.score, scored.evidence
        made["expected"][k, at] = scored.expected
        floor = np.where(np.minimum.accumulate(np.nan_to_num(values[at])) >= 0, 0.0, -np.inf)
        made["lo"][k, at], made["hi"][k, at] = np.maximum(scored.low, floor), scored.high
    alarm = np.nan_to_num(made["score"]) >= -np.log10(rate)
    table = _table(data, made, alarm)
    return Anomalies(table, _findings(data, made, alarm, rate, unit), float(rate), unit, data)


def severity(score: float) -> str:
    """notice, warning or critical.

    >>> severity(3.2), severity(12.0)
    ('notice', 'critical')
    """
    return next(name for least, name in SEVERITIES if score >= least)


def _fed(values: Floats) -> tuple[NDArray[np.int64], int]:
    """Which points of a row of a panel are fed to its scorer, and how many steps of the clock lie between two of them.

    All from the first on; where most of the grid is empty, because rows come more rarely than the clock ticks, only
    those that came.
    """
    there = np.flatnonzero(np.isfinite(values))
    pace = int(np.median(np.diff(there))) if len(there) > 1 else 1
    return (there, pace) if pace > 1 else (np.arange(there[0], len(values)), 1)


def _table(data: Panel, made: dict[str, Floats], alarm: NDArray[np.bool_]) -> pl.DataFrame:
    kept = {name: made[name] for name in ("expected", "lo", "hi", "score")}
    columns = {data.names.target: data.values, **kept, "is_anomaly": alarm}
    frame = data.long(columns, np.arange(1 - data.values.shape[1], 1, dtype=np.int64))
    begun = np.cumsum(np.isfinite(data.values), axis=1) > 0
    return frame.filter(pl.Series(begun.ravel())).fill_nan(None)


def _findings(data: Panel, made: dict[str, Floats], alarm: NDArray[np.bool_], rate: float, unit: str) -> pl.DataFrame:
    rows: list[tuple[int, int, int, int]] = []
    excess: list[float] = []
    # Where a stretch ends is told by the evidence; whether it is a finding by the score, which counts it once.
    hot = np.nan_to_num(made["evidence"]) >= -np.log10(rate)
    for k, flags in enumerate(hot):
        hits = np.flatnonzero(flags)
        for run in np.split(hits, np.flatnonzero(np.diff(hits) > GAP + 1) + 1):
            if len(run) and alarm[k, run].any():
                start, stop = int(run[0]), int(run[-1]) + 1
                rows.append((k, start, stop, int(run[np.argmax(made["evidence"][k, run])])))
                excess.append(float(np.nansum(data.values[k, start:stop] - made["expected"][k, start:stop])))
    series, start_at, stop_at, worst = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    last = data.values.shape[1] - 1
    ends, step = data.ends[series], data.grid.step
    score = made["evidence"][series, worst]
    return pl.DataFrame(
        {
            data.names.id: data.ids.gather(series),
            data.names.time: data.grid.times(ends + (start_at - last) * step),
            "until": data.grid.times(ends + (stop_at - last) * step),
            data.names.target: data.values[series, worst],
            "expected": made["expected"][series, worst],
            "lo": made["lo"][series, worst],
            "hi": made["hi"][series, worst],
            "score": score,
            "severity": pl.Series([severity(one) for one in score], dtype=pl.String),
            "impact": pl.Series(excess if unit in MONEY else [None] * len(rows), dtype=pl.Float64),
        }
    ).fill_nan(None)
