"""Where the month will end: what is spent so far, what will probably be added, and what the month before cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from analytics import words
from analytics.budget import Outlook, outlook
from analytics.frames import Kind, polars
from analytics.tabled import Tabled
from store.errors import ColumnMissing, NoRows, ParameterInvalid, TooShort

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

DAY = timedelta(days=1)
LEAST = 48  # buckets on record, without which a whole month is not to be told
MUCH = 0.2  # of the month before: growth from which on a month is worth a word


@dataclass(frozen=True, repr=False)
class Landing(Tabled):
    """Where a month will end.

    `table` has one row: `month` (its first moment), `spent`, `total` (expected at its end, the median) with its
    interval (`total-lo-80`, ...), `run_rate` (at the pace so far), `before` (the whole month before, null where the
    data do not reach back) and `delta_pct` (expected against before, per cent). `path` has the spend of this month and
    the one before, added up: `ds`, `day` (days since the month began), `y`, `month` (this or before).
    """

    table: pl.DataFrame
    path: pl.DataFrame
    outlook: Outlook
    unit: str
    kind: Kind = "polars"

    @property
    def row(self) -> dict[str, Any]:
        """The one row of `table`."""
        return self.table.row(0, named=True)

    def sentence(self) -> str:
        """What the month will probably cost, beside the month before."""
        row, level = self.row, self.outlook.level[0]
        month = f"{row['month']:%B}"
        verb = "cost" if self.unit == "USD" else "had"
        said = f"{month} {verb} {words.amount(row['total'], self.unit)}"
        if self.outlook.period.horizon:
            bounds = (row[f"total-lo-{level:g}"], row[f"total-hi-{level:g}"])
            end = _interval(row["total"], *bounds, level, self.unit)
            so_far = "has cost" if self.unit == "USD" else "has had"
            said = f"{month} {so_far} {words.amount(row['spent'], self.unit)} so far and will end at {end}"
        if row["before"]:
            before = words.amount(row["before"], self.unit)
            said += f", {words.change(row['total'] / row['before'] - 1)} on the {before} of {self._before():%B}"
        return f"{said}."

    def plot(self) -> Figure:
        """Spend added up over the month with its fan, beside the month before."""
        from analytics.charts.month import month

        return month(self)

    def for_people(self) -> pl.DataFrame:
        """The columns that a report shows."""
        level = f"{self.outlook.level[0]:g}"
        shown = ["month", "spent", "total", f"total-lo-{level}", f"total-hi-{level}", "run_rate"]
        compared = ["before", "delta_pct"] if self.row["before"] is not None else []
        made = self.table.select(*shown, *compared).with_columns(pl.col("month").dt.strftime("%B %Y"))
        return made.rename({"before": "before_usd"}) if compared and self.unit == "USD" else made

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table."""
        return self.sentence(), self.plot(), self.for_people()

    def advice(self) -> list[str]:
        """To ask whether a month that grows much is meant to."""
        row = self.row
        if not row["before"] or row["total"] < (1 + MUCH) * row["before"]:
            return []
        more = words.amount(row["total"] - row["before"], self.unit)
        return [
            f"Decide whether {more} more than in {self._before():%B} is meant; if not, set a budget where it grows."
        ]

    def _before(self) -> datetime:
        first: datetime = self.table["month"][0]
        return first - DAY


def landing(frame: Frame, *, unit: str = "USD", seed: int = 0) -> Landing:
    """Say where the month that the last bucket is in will end.

    All series together are forecast to the end of the month by `budget.outlook`: its interval comes from simulated
    paths, whose sums have the spread that sums of forecast errors had in backtests.

    Args:
        frame: long frame of spend per bucket, `unique_id, ds, y`; `load.llm()`, for instance.
        unit: of the values, "USD" for money.
        seed: of the simulation; the same seed gives the same outcome.

    Raises:
        NoRows, TooShort, ColumnMissing, ParameterInvalid: what came in cannot be used.

    >>> hours = pl.datetime_range(datetime(2026, 2, 1), datetime(2026, 3, 15, 23), "1h", time_zone="UTC", eager=True)
    >>> made = landing(pl.DataFrame({"ds": hours, "y": 1.0}))
    >>> made.table.select("spent", "total", "before").row(0)
    (360.0, 744.0, 672.0)
    >>> made.sentence()
    'March has cost $360.00 so far and will end at $744.00, up 11 % on the $672.00 of February.'
    """
    data, kind = polars(frame)
    for name in ("ds", "y"):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    if data.is_empty():
        raise NoRows("the spend")
    dtype = data["ds"].dtype
    if not isinstance(dtype, pl.Datetime):
        raise ParameterInvalid("ds", f"expected datetimes, got {dtype}")
    total = data.group_by("ds").agg(pl.col("y").sum()).sort("ds")
    month = pl.col("ds").dt.month_start().dt.truncate("1d")
    months = (
        total.group_by(month.alias("month")).agg(pl.col("y").sum(), pl.col("ds").min().alias("first")).sort("month")
    )
    start = months["month"][-1]
    earlier = months.filter(pl.col("month") == start - _days(start)).filter(pl.col("first") < pl.col("month") + DAY)
    before = float(earlier["y"][0]) if len(earlier) else None
    if len(total) < LEAST:
        raise TooShort("the spend", f"the end of a month takes {LEAST} buckets to tell, and there are {len(total)}")
    made = outlook(total, max(before or 0.0, 0.0), seed=seed, unit=unit)
    wanted = ["spent", "total", *(name for name in made.table.columns if name.startswith("total-")), "run_rate"]
    expected = float(made.table["total"][0])
    table = made.table.select(pl.lit(start).alias("month"), *wanted).with_columns(
        pl.lit(before, pl.Float64).alias("before"),
        pl.lit(100 * (expected / before - 1) if before else None, pl.Float64).alias("delta_pct"),
    )
    return Landing(table, _path(total, start, whole=before is not None), made, unit, kind)


def _path(total: pl.DataFrame, start: datetime, *, whole: bool) -> pl.DataFrame:
    """Spend of this month and, where it is `whole`, of the one before, added up from its first day."""
    parts = [("this", start)] + ([("before", start - _days(start))] if whole else [])
    made = []
    for name, first in parts:
        rows = total.filter((pl.col("ds") >= first) & (pl.col("ds").dt.month_start().dt.truncate("1d") == first))
        day = (pl.col("ds") - first).dt.total_seconds() / DAY.total_seconds()
        made.append(
            rows.select("ds", day.alias("day"), pl.col("y").fill_null(0).cum_sum(), pl.lit(name).alias("month"))
        )
    return pl.concat(made)


def _days(start: datetime) -> timedelta:
    """The length of the month before the one that begins at `start`."""
    last = start - DAY
    return timedelta(days=last.day)


def _interval(value: float, low: float | None, high: float | None, level: float, unit: str) -> str:
    return words.amount(value, unit) if low == high else words.interval(value, low, high, level=level, unit=unit)
