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
from analytics.frames import Floats, Kind, Panel, native, panel
from analytics.scores import tail_scores
from analytics.seasons import candidate_lengths, given, known
from store.errors import ParameterInvalid

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

REFRACTORY = 2  # points without alarm that do not end a finding


@dataclass(frozen=True, repr=False)
class Anomalies:
    """What `anomalies` found.

    `table` has one row per point: `unique_id, ds, y, expected, score, is_anomaly`; `score` is -log10 of the calibrated
    tail probability, null where too little came before. `findings` has one row per stretch of alarms: `unique_id, ds`
    (start), `until` (end, not included), and `y`, `expected`, `score` at its worst point. Both are polars.
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
        """`table` as the kind of frame that came in."""
        return native(self.table, self.kind)

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

    def report(self) -> tuple[str, Figure, pl.DataFrame | None]:
        """What a report shows: a sentence, the chart, and the findings, worst first."""
        worst_first = self.findings.sort("score", descending=True) if len(self.findings) else None
        return self.sentence(), self.plot(), worst_first

    def __repr__(self) -> str:
        return f"<Anomalies: {self.sentence()}>"

    def _repr_html_(self) -> str:
        from analytics.render import block, table
        from analytics.svg import findings

        worst_first = self.findings.sort("score", descending=True)
        return block(self.sentence(), findings(self), table(worst_first, unit=self.unit) if len(worst_first) else "")


def anomalies(
    frame: Frame,
    rate: float = 1e-3,
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
            times the peaks of the autocorrelation, which looks at the whole series.
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
    asked = given(season_length)
    expected, score = np.full(data.values.shape, np.nan), np.full(data.values.shape, np.nan)
    for k, values in enumerate(data.values):
        start = int(np.flatnonzero(np.isfinite(values))[0])
        seasons = asked or candidate_lengths(data.grid, known(values))
        expected[k, start:], score[k, start:] = tail_scores(values[start:], seasons)
    alarm = np.nan_to_num(score) >= -np.log10(rate)
    table = _table(data, expected, score, alarm)
    return Anomalies(table, _findings(data, expected, score, alarm), float(rate), unit, data)


def _table(data: Panel, expected: Floats, score: Floats, alarm: NDArray[np.bool_]) -> pl.DataFrame:
    columns = {data.names.target: data.values, "expected": expected, "score": score, "is_anomaly": alarm}
    frame = data.long(columns, np.arange(1 - data.values.shape[1], 1, dtype=np.int64))
    begun = np.cumsum(np.isfinite(data.values), axis=1) > 0
    return frame.filter(pl.Series(begun.ravel())).fill_nan(None)


def _findings(data: Panel, expected: Floats, score: Floats, alarm: NDArray[np.bool_]) -> pl.DataFrame:
    rows: list[tuple[int, int, int, int]] = []
    for k, flags in enumerate(alarm):
        hits = np.flatnonzero(flags)
        for run in np.split(hits, np.flatnonzero(np.diff(hits) > REFRACTORY + 1) + 1):
            if len(run):
                worst_at = run[np.argmax(score[k, run])]
                rows.append((k, int(run[0]), int(run[-1]) + 1, int(worst_at)))
    series, start, stop, worst = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    last = data.values.shape[1] - 1
    ends, step = data.ends[series], data.grid.step
    return pl.DataFrame(
        {
            data.names.id: data.ids.gather(series),
            data.names.time: data.grid.times(ends + (start - last) * step),
            "until": data.grid.times(ends + (stop - last) * step),
            data.names.target: data.values[series, worst],
            "expected": expected[series, worst],
            "score": score[series, worst],
        }
    )
