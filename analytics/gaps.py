"""Stretches in which nothing was recorded though something should have been."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from analytics import words
from analytics.frames import Kind, Panel, panel
from analytics.tabled import Tabled

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

SURE = 10.0  # expected in a stretch of zeros: by chance it is empty once in exp(10) = 22,000 times
EMPTY, UNKNOWN = 1, 2  # states of a point with nothing in it
FEW = 3  # cycles of a week without which an hour has no usual value of its own


@dataclass(frozen=True, repr=False)
class Gaps(Tabled):
    """Gaps of series.

    `table` has one row per gap, the longest first: `series`, `ds` (start), `until` (end, not included), `lasted_s`, and
    `missing` (what would usually have come in it; null where a value is not known rather than zero). `steps` is how
    many points there are in all, `lost` how many of them lie in gaps.
    """

    table: pl.DataFrame
    panel: Panel
    steps: int
    lost: int

    @property
    def kind(self) -> Kind:
        """The kind of frame that came in."""
        return self.panel.kind

    def sentence(self) -> str:
        """How many gaps, and the longest."""
        step = words.step(self.panel.grid.step_s)
        if self.table.is_empty():
            return f"No gap: something was recorded in every {step} in which it should have been."
        count, row = len(self.table), self.table.row(0, named=True)
        lost = words.share(self.lost / self.steps)
        return (
            f"{count} {words.plural('gap', count)} ({lost} of all {step}s); the longest in {row['series']} from "
            f"{words.moment(row['ds'])} for {words.seconds(row['lasted_s'])}."
        )

    def for_people(self) -> pl.DataFrame | None:
        """The gaps, None where there is none."""
        if self.table.is_empty():
            return None
        return self.table if self.table["missing"].count() else self.table.drop("missing")

    def plot(self) -> Figure | None:
        """When what was missing, one line a series; None where there is no gap."""
        from analytics.charts.absent import absent

        return absent(self) if len(self.table) else None

    def report(self) -> tuple[str, Figure | None, pl.DataFrame | None]:
        """What a report shows: a sentence, the chart, the gaps."""
        return self.sentence(), self.plot(), self.for_people()

    def advice(self) -> list[str]:
        """To look at what the collector did in the latest gap."""
        latest = self.table.sort("ds", descending=True).head(1)
        return [
            f"Look at why nothing was recorded of {row['series']} from {words.moment(row['ds'])} on: the log of the "
            "collector, and `gaugebook doctor`."
            for row in latest.iter_rows(named=True)
        ]


def gaps(frame: Frame, *, id_col: str = "unique_id", time_col: str = "ds", target_col: str = "y") -> Gaps:
    """Find stretches without a value, and stretches of zeros in which something should have come.

    A missing value is a gap. A zero is one where counts as they usually are at that hour of the week (their median; of
    a short history, their median at that hour of the day, else over all) would add up to ten or more over the stretch:
    so much is missed by chance once in 22,000 times if they come independently.

    Args:
        frame: long frame of counts such as requests per hour (a quiet bucket is 0), or of values that are null where
            nobody looked, as depths of queues.
        id_col: name of the column of series.
        time_col: name of the column of times.
        target_col: name of the column of values.

    Raises:
        NoRows, TooShort, ColumnMissing, ParameterInvalid: as `analytics.frames.panel` does.

    >>> from datetime import datetime
    >>> hours = pl.datetime_range(datetime(2026, 3, 2), datetime(2026, 3, 4), "1h", eager=True)
    >>> lost = pl.when(pl.col("ds").dt.day() == 3).then(0.0).otherwise(5.0)
    >>> found = gaps(pl.DataFrame({"ds": hours}).with_columns(y=lost))
    >>> found.table.select("lasted_s", "missing").row(0), found.lost
    ((86400.0, 120.0), 24)
    """
    data = panel(frame, id_col=id_col, time_col=time_col, target_col=target_col)
    history = (
        data.history()
        .rename({data.names.id: "series", data.names.time: "ds", data.names.target: "y"})
        .with_columns(pl.col("series").cast(pl.String))
    )
    usual = _usual(history)
    state = pl.when(pl.col("y").is_null()).then(UNKNOWN).when(pl.col("y") == 0).then(EMPTY).otherwise(0)
    runs = (
        usual.with_columns(state.alias("state"))
        .with_columns(pl.col("state").rle_id().over("series", order_by="ds").alias("run"))
        .filter(pl.col("state") > 0)
        .group_by("series", "run", "state")
        .agg(pl.col("ds").min(), pl.len().alias("points"), pl.col("usual").sum().alias("missing"))
    )
    found = runs.filter((pl.col("state") == UNKNOWN) | (pl.col("missing") >= SURE))
    lasted = data.grid.step_s or 1.0
    until = found["ds"] if found.is_empty() else _end(data, found)
    table = found.with_columns(
        until.alias("until"),
        (pl.col("points") * lasted).alias("lasted_s"),
        pl.when(pl.col("state") == EMPTY).then("missing").alias("missing"),
    ).select("series", "ds", "until", "lasted_s", "missing")
    ordered = table.sort("lasted_s", "ds", "series", descending=[True, True, False])
    return Gaps(ordered, data, len(history), int(found["points"].sum()))


def _end(data: Panel, found: pl.DataFrame) -> pl.Series:
    """The end of each stretch: as many steps after its start as it has points."""
    if data.grid.unit == "us":
        length = pl.duration(microseconds=pl.col("points").cast(pl.Int64) * data.grid.step)
        return found.select((pl.col("ds") + length).alias("until")).to_series()
    if data.grid.unit == "month":
        return found.select(pl.col("ds").dt.offset_by(pl.format("{}mo", "points")).alias("until")).to_series()
    return found.select((pl.col("ds") + pl.col("points") * data.grid.step).alias("until")).to_series()


def _usual(history: pl.DataFrame) -> pl.DataFrame:
    """With `usual`: the median at that hour of the week, of the day, or of all, as there are enough cycles."""
    whole = pl.col("y").median().over("series")
    if not isinstance(history.schema["ds"], pl.Datetime):
        return history.with_columns(whole.alias("usual"))
    hour, weekday = pl.col("ds").dt.hour(), pl.col("ds").dt.weekday()
    of_week = pl.col("y").median().over("series", hour, weekday)
    of_day = pl.col("y").median().over("series", hour)
    weeks, days = pl.col("y").count().over("series", hour, weekday), pl.col("y").count().over("series", hour)
    usual = pl.when(weeks >= FEW).then(of_week).when(days >= FEW).then(of_day).otherwise(whole)
    return history.with_columns(usual.alias("usual"))
