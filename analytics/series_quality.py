"""How sound a long frame of series is: what is missing, twice, impossible or out of date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.explained import Explained, Grounds
from analytics.frames import ONLY, Kind, polars
from analytics.tabled import Tabled
from store.errors import ColumnMissing, NoRows, ParameterInvalid

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

FAULTS = {
    "missing": "unknown values",
    "gaps": "missing rows",
    "duplicates": "duplicate rows",
    "infinite": "infinite values",
    "negative": "negative values",
    "late": "steps at the end without a row",
}


@dataclass(frozen=True, repr=False)
class SeriesQuality(Explained, Tabled):
    """What is wrong with series.

    `table` has one row per series, the worst first: `unique_id`, `rows`, `since`, `until` (times of the first and the
    last row), `missing` (null or NaN values), `gaps` (steps without a row between the first and the last), `duplicates`
    (rows beyond the first at one time), `infinite`, `negative`, `zeros`, `constant` (one value only) and `late` (steps
    by which it ends before the frame does). A step is the most frequent time between two rows of a series.
    """

    table: pl.DataFrame
    id_col: str = "unique_id"
    kind: Kind = "polars"

    @property
    def sound(self) -> bool:
        """Whether `forecast` takes it: no duplicates, no infinite values, no series without values."""
        bad = (pl.col("duplicates") + pl.col("infinite") > 0) | (pl.col("missing") == pl.col("rows"))
        return self.table.filter(bad).is_empty()

    def sentence(self) -> str:
        """The faults, or that there are none."""
        count = len(self.table)
        of = f"{count} series, {words.amount(int(self.table['rows'].sum()))} rows"
        found = []
        for name, what in FAULTS.items():
            total, hit = int(self.table[name].sum()), int((self.table[name] > 0).sum())
            if total:
                found.append(f"{what} {words.amount(total)} (in {hit} series)")
        constant = int(self.table["constant"].sum())
        if constant:
            found.append(f"{constant} with one value only")
        return f"{of}: {'; '.join(found)}." if found else f"{of}: complete."

    def for_people(self) -> pl.DataFrame:
        """The columns that a report shows: faults that no series has are left out."""
        clean = [name for name in (*FAULTS, "zeros", "constant") if not (self.table[name].cast(pl.Int64) > 0).any()]
        return self.table.drop(clean, "since")

    def grounds(self) -> Grounds:
        """The rows, what counts as a fault, and whether a forecast takes them."""
        usable = "`forecast` takes it as it is; gaps are filled and null values left out."
        repair = "Repair first: drop duplicates, cap infinite values, leave out series without values."
        return Grounds(
            f"From {words.amount(int(self.table['rows'].sum()))} rows of {len(self.table)} series.",
            "Counted, not guessed; a step is the most frequent time between two rows.",
            usable if self.sound else repair,
        )

    def plot(self) -> Figure:
        """The faults of each series, the worst first."""
        from analytics.charts.states import stacked

        counts = {what: self.table[name].to_list() for name, what in FAULTS.items() if (self.table[name] > 0).any()}
        names = self.table[self.id_col].to_list()
        return stacked(names, counts or {"faults": [0] * len(names)}, "Faults of series", self.sentence(), axis="rows")

    def picture(self) -> str:
        """The same, small."""
        from analytics.pictures import bars

        faults = self.table.select(pl.sum_horizontal(*FAULTS)).to_series().to_list()
        told = [
            f"{words.amount(count)} of {words.amount(rows)}"
            for count, rows in zip(faults, self.table["rows"], strict=True)
        ]
        return bars(self.table[self.id_col].to_list(), faults, told, self.sentence())

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot(), self.for_people()


def check(frame: Frame, *, id_col: str = "unique_id", time_col: str = "ds", target_col: str = "y") -> SeriesQuality:
    """Say what is wrong with a long frame, of which `forecast` would name only the first fault.

    Raises:
        NoRows: nothing in it.
        ColumnMissing: a column is not there; names the closest match.
        ParameterInvalid: values that are no numbers, times that are neither times nor integers.

    >>> found = check(pl.DataFrame({"ds": [1, 2, 4], "y": [1.0, float("inf"), None]}))
    >>> found.sound, found.table.select("missing", "gaps", "infinite").row(0)
    (False, (1, 1, 1))
    """
    data, kind = polars(frame)
    for name in (time_col, target_col, *(() if id_col == "unique_id" else (id_col,))):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    if data.is_empty():
        raise NoRows("the frame")
    if id_col not in data.columns:
        data = data.with_columns(pl.lit(ONLY).alias(id_col))
    target, times = data[target_col], data[time_col]
    if not (target.dtype.is_numeric() or target.dtype in (pl.Boolean, pl.Null)):
        raise ParameterInvalid(target_col, f"expected numbers, got {target.dtype}")
    if not (times.dtype.is_temporal() or times.dtype.is_integer()):
        raise ParameterInvalid(time_col, f"expected datetimes, dates or integers, got {times.dtype}")
    ticks = times.cast(pl.Datetime("us")).to_physical() if times.dtype.is_temporal() else times.cast(pl.Int64)
    rows = data.select(
        pl.col(id_col), pl.col(time_col).alias("time"), ticks.alias("tick"), target.cast(pl.Float64).alias("value")
    ).sort(id_col, "tick")
    steps = rows.select(pl.col("tick").diff().over(id_col)).to_series().drop_nulls()
    usual = steps.filter(steps > 0).mode().min()
    step = usual if isinstance(usual, int) else 1
    known = pl.col("value").is_not_null() & pl.col("value").is_not_nan()
    value = pl.col("value").filter(known)
    between = (pl.col("tick").max() - pl.col("tick").min()) // step + 1 - pl.col("tick").n_unique()
    table = rows.group_by(id_col, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("rows"),
        pl.col("time").min().alias("since"),
        pl.col("time").max().alias("until"),
        (~known).sum().cast(pl.Int64).alias("missing"),
        between.clip(0).alias("gaps"),
        (pl.len() - pl.col("tick").n_unique()).cast(pl.Int64).alias("duplicates"),
        value.is_infinite().sum().cast(pl.Int64).alias("infinite"),
        (value < 0).sum().cast(pl.Int64).alias("negative"),
        (value == 0).sum().cast(pl.Int64).alias("zeros"),
        ((value.n_unique() == 1) & (value.len() > 1)).alias("constant"),
        ((pl.lit(rows["tick"].max()) - pl.col("tick").max()) // step).alias("late"),
    )
    worst = pl.sum_horizontal("missing", "gaps", "duplicates", "infinite", "late")
    return SeriesQuality(table.sort(worst, id_col, descending=[True, False]), id_col, kind)
