"""Why a finding: the dimension values that explain it, and what else moved at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from analytics import words
from analytics.explained import Explained, Grounds
from analytics.frames import polars
from analytics.mutes import finding_of
from analytics.streaming import Scorer
from store.errors import ColumnMissing, NoRows, ParameterInvalid

if TYPE_CHECKING:
    import pandas as pd
    from plotly.graph_objects import Figure

    from analytics.detection import Anomalies
    from analytics.frames import Frame


@dataclass(frozen=True, repr=False)
class Contributions(Explained):
    """What explains a finding.

    `table` has one row per dimension and value, the largest change first: `dimension, value, actual, expected, change`
    (sums over the finding) and `share` of the change of all values of that dimension together; shares of one dimension
    add up to one.
    """

    table: pl.DataFrame
    unit: str

    def to_polars(self) -> pl.DataFrame:
        """`table`."""
        return self.table

    def to_pandas(self) -> pd.DataFrame:
        """The same as pandas."""
        return self.table.to_pandas()

    def plot(self, *, most: int = 12) -> Figure:
        """Bars of the largest changes."""
        from analytics.charts.anomaly import contributions

        return contributions(self, most=most)

    def sentence(self) -> str:
        """Which value changed most, and how much of the whole that is."""
        top = self.table.row(0, named=True)
        moved = words.amount(abs(top["change"]), self.unit)
        more = "more" if top["change"] >= 0 else "less"
        share = "" if top["share"] is None else f", {words.share(top['share'])} of the whole change"
        return f"{top['dimension']} {top['value']}: {moved} {more} than expected{share}."

    def grounds(self) -> Grounds:
        """The values compared, what is expected of them, and whom to ask."""
        top = self.table.row(0, named=True)
        whole = self.table.filter(pl.col("dimension") == top["dimension"])["change"].abs().sum()
        count = self.table["dimension"].n_unique()
        part = words.share(abs(top["change"]) / whole if whole else None)
        return Grounds(
            f"From {len(self.table)} values of {count} {words.plural('dimension', count)} during the finding.",
            f"{top['value']} made {part} of all movement by {top['dimension']}; each was expected to go on as before.",
            f"Ask those of {top['dimension']} {top['value']} what changed when it began.",
        )

    def picture(self) -> str:
        """The largest changes."""
        from analytics.pictures import bars

        names = [f"{dimension} {value}" for dimension, value in self.table.select("dimension", "value").iter_rows()]
        changes = self.table["change"].to_list()
        return bars(names, changes, [words.amount(one, self.unit) for one in changes], self.sentence())

    def for_people(self) -> pl.DataFrame:
        """All values, the largest change first."""
        return self.table

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot(), self.table


def contributions(found: Anomalies, finding: int, frame: Frame, by: Sequence[str]) -> Contributions:
    """Rank the dimension values by how far they were from what was expected during a finding.

    What is expected of each value is learnt from its own past, as for a finding. A row that is not there counts zero.

    Args:
        found: the result of `anomalies`.
        finding: its row in `found.findings`.
        frame: the rows that add up to the series of the finding, with its times and values and the columns of `by`.
        by: the dimensions, such as ("team", "model").

    Raises:
        ColumnMissing: the frame lacks a column.
        ParameterInvalid: there is no such finding, or no dimension.
        NoRows: the frame has no row in the finding.

    >>> from analytics import anomalies
    >>> hours = pl.DataFrame({"ds": range(300), "a": 5.0, "b": [1.0, 2.0] * 150})
    >>> hours = hours.with_columns(b=pl.when(pl.col("ds") == 250).then(90.0).otherwise("b"))
    >>> rows = hours.unpivot(index="ds", variable_name="team", value_name="y")
    >>> found = anomalies(rows.group_by("ds").agg(pl.col("y").sum()))
    >>> found.contributions(0, rows, ["team"]).sentence()
    'team b: 88 more than expected, 100 % of the whole change.'
    """
    rows, _ = polars(frame)
    time, target = found.time_col, found.target_col
    if not by or isinstance(by, str):
        raise ParameterInvalid("by", f"expected names of dimensions, such as ['team', 'model'], got {by!r}")
    for name in (time, target, *by):
        if name not in rows.columns:
            raise ColumnMissing(name, rows.columns)
    span = finding_of(found, finding)
    start: Any = span[time]
    stop: Any = span["until"]
    inside = (pl.col(time) >= start) & (pl.col(time) < stop)
    clock = rows.filter(pl.col(time) < stop).select(pl.col(time).unique().sort()).to_series()
    if not clock.is_in(rows.filter(inside)[time].implode()).any():
        raise NoRows(f"the frame between {words.moment(start)} and {words.moment(stop)}")
    during = int((clock >= start).sum())
    tables = [_of_dimension(rows, clock, during, time, target, name, found) for name in by]
    ranked = pl.concat(tables).with_columns(_size=pl.col("change").abs()).sort("_size", descending=True)
    return Contributions(ranked.drop("_size"), found.unit)


def _of_dimension(
    rows: pl.DataFrame, clock: pl.Series, during: int, time: str, target: str, name: str, found: Anomalies
) -> pl.DataFrame:
    from analytics.channels import clock_seasons

    seasons = clock_seasons(found.panel.grid)
    sums = rows.group_by(name, time).agg(pl.col(target).sum())
    made = []
    for (value,), own in sums.group_by(name, maintain_order=True):
        on_clock = pl.DataFrame({time: clock}).join(own, on=time, how="left", maintain_order="left")
        y = on_clock[target].cast(pl.Float64).fill_null(0.0).fill_nan(0.0).to_numpy()
        unseen = y.copy()
        unseen[len(y) - during :] = np.nan
        expected = np.nan_to_num(Scorer(seasons).feed(unseen).expected[len(y) - during :])
        made.append((name, str(value), float(y[len(y) - during :].sum()), float(expected.sum())))
    table = pl.DataFrame(made, schema=["dimension", "value", "actual", "expected"], orient="row")
    table = table.with_columns(change=pl.col("actual") - pl.col("expected"))
    whole = float(table["change"].sum())
    return table.with_columns(share=pl.col("change") / whole if whole else pl.lit(None, dtype=pl.Float64))


def related(found: Anomalies, finding: int, *others: Anomalies, within: int = 3) -> pl.DataFrame:
    """Findings of other series that began at about the same time, the least likely by chance first.

    Args:
        found: the result that has the finding.
        finding: its row in `found.findings`.
        others: further results on the same clock, such as of another measure: backlog beside time to first token.
        within: how many steps of `found` before or after its start count as the same time.

    Returns:
        `unique_id, ds, lag` (steps after the finding; negative: before it), `score`, and `chance`, the probability that
        a series with as many findings has one so near by chance.

    Raises:
        ParameterInvalid: there is no such finding.

    >>> from analytics import anomalies
    >>> t = np.arange(400)
    >>> y = {name: np.where(t == at, 50.0, t % 2) for name, at in (("depth", 300), ("ttft", 302), ("cpu", 350))}
    >>> frame = pl.concat([pl.DataFrame({"unique_id": name, "ds": t, "y": one}) for name, one in y.items()])
    >>> found = anomalies(frame)
    >>> first = found.findings["unique_id"].to_list().index("depth")
    >>> found.related(first).select("unique_id", "lag").rows()
    [('ttft', 2)]
    """
    row = finding_of(found, finding)
    tick = _ticks(pl.Series([row[found.time_col]]), found)[0]
    made = []
    for result in (found, *others):
        points = result.table.group_by(result.id_col).len()
        counts = dict(points.iter_rows())
        many = dict(result.findings.group_by(result.id_col).len().iter_rows())
        lags = (_ticks(result.findings[result.time_col], found) - tick) / found.panel.grid.step
        for k in np.flatnonzero(np.abs(lags) <= within):
            other = result.findings.row(int(k), named=True)
            name = other[result.id_col]
            if result is found and name == row[found.id_col]:
                continue
            chance = 1 - exp(-many[name] * (2 * within + 1) / max(1, counts[name]))
            made.append((str(name), other[result.time_col], float(lags[k]), other["score"], chance))
    dtype = found.findings[found.time_col].dtype
    schema: dict[str, Any] = {
        "unique_id": pl.String,
        "ds": dtype,
        "lag": pl.Float64,
        "score": pl.Float64,
        "chance": pl.Float64,
    }
    table = pl.DataFrame(made, schema=schema, orient="row").sort("chance", pl.col("lag").abs())
    whole = len(table) and bool((table["lag"] == table["lag"].round()).all())
    return table.with_columns(pl.col("lag").cast(pl.Int64)) if whole else table


def _ticks(times: pl.Series, found: Anomalies) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Times in the unit of the clock of `found`."""
    if found.panel.grid.unit == "month":
        return (times.dt.year().cast(pl.Int64) * 12 + times.dt.month().cast(pl.Int64) - 1).to_numpy()
    if times.dtype.is_integer():
        return times.cast(pl.Int64).to_numpy()
    return times.cast(pl.Datetime("us", getattr(times.dtype, "time_zone", None))).to_physical().to_numpy()
