"""The result of a forecast in chunks: what became of each, and all of it as one frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.explained import Explained, Grounds

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from plotly.graph_objects import Figure

    from analytics.distributed import Job


MOST = 12  # totals in a small picture


def file_of(number: int) -> str:
    """The name of the file of a chunk.

    >>> file_of(12)
    'part-000012.parquet'
    """
    return f"part-{number:06d}.parquet"


@dataclass(frozen=True)
class Outcome:
    """What became of a chunk: its table or its file, or the reason why there is none."""

    number: int
    series: int
    table: pa.Table | None = None
    failed: str = ""


@dataclass(frozen=True, repr=False)
class Run(Explained):
    """Forecasts of all chunks: in memory, or as Parquet files in `folder`, one a chunk."""

    job: Job
    outcomes: tuple[Outcome, ...]
    folder: Path | None
    taken_up: int = 0

    @property
    def series(self) -> int:
        """How many series were forecast."""
        return sum(one.series for one in self.outcomes if not one.failed)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The chunks that could not be forecast, and why."""
        return tuple(one for one in self.outcomes if one.failed)

    def lazy(self) -> pl.LazyFrame:
        """All rows with their totals, read when they are needed: for what is larger than memory."""
        done = [one for one in self.outcomes if not one.failed]
        if self.folder is not None:
            return pl.scan_parquet([self.folder / file_of(one.number) for one in done])
        tables = [pl.from_arrow(one.table) for one in done if one.table is not None]
        return pl.concat([one.lazy() for one in tables if isinstance(one, pl.DataFrame)])

    def to_polars(self) -> pl.DataFrame:
        """`unique_id, ds, y_hat, y_hat-lo-80, ...`, as `Forecast.to_polars`, in the order of the names."""
        return self.lazy().select(pl.exclude("^total.*$")).collect()

    def to_pandas(self) -> pd.DataFrame:
        """The same as pandas."""
        return self.to_polars().to_pandas()

    def totals(self) -> pl.DataFrame:
        """The sum over the horizon, one row a series: `unique_id, total, total-lo-80, ...`."""
        sums = pl.col(self.job.id_col), pl.col("^total.*$")
        return self.lazy().select(*sums).unique(subset=self.job.id_col, keep="first", maintain_order=True).collect()

    def sentence(self) -> str:
        """What was done in one sentence."""
        size = f"{self.series:,} series in {len(self.outcomes):,} {words.plural('chunk', len(self.outcomes))}"
        before = f", {self.taken_up:,} of them done by an earlier run" if self.taken_up else ""
        lost = f"; {len(self.failed):,} failed, the first: {self.failed[0].failed}" if self.failed else ""
        steps = f"{self.job.horizon} {words.plural('step', self.job.horizon)}"
        return f"Forecast {steps} ahead for {size}{before}{lost}."

    def plot(self) -> Figure:
        """The largest totals with their intervals, as bars."""
        from analytics.charts.comparisons import totals

        return totals(self.totals(), self.job.id_col, self.job.level, self.sentence())

    def grounds(self) -> Grounds:
        """The chunks, what their intervals are made of, and what to do about those that failed."""
        levels = " and ".join(f"{one:g}" for one in self.job.level)
        return Grounds(
            f"From {self.series:,} series in {len(self.outcomes):,} {words.plural('chunk', len(self.outcomes))}.",
            f"Intervals of {levels} % come from backtests within each chunk.",
            f"Repair what failed, the first: {self.failed[0].failed}; then run it again, which takes up the rest."
            if self.failed
            else "Nothing; `lazy()` reads the rows when they are needed.",
        )

    def picture(self) -> str:
        """The largest totals."""
        from analytics.pictures import bars

        rows = self.for_people()
        sums = rows["total"].to_list()
        return bars(rows[self.job.id_col].to_list(), sums, [words.amount(one) for one in sums[:MOST]], self.sentence())

    def for_people(self) -> pl.DataFrame:
        """Totals, the largest first."""
        return self.totals().sort("total", descending=True)

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: the sentence, the chart, the totals, largest first."""
        return self.sentence(), self.plot(), self.for_people()
