"""How late the data are: what was recorded last, and which series have fallen silent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from analytics import words
from analytics.frames import Kind, polars
from analytics.spans import When, moment
from analytics.tabled import Tabled
from store.errors import ColumnMissing, NoRows

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.frames import Frame

LATE = timedelta(hours=2)  # since the end of the last hour on record: the hour in progress and a collector's pause
LONGER = 3.0  # times the longest pause that a series has made before
LEAST = timedelta(hours=6)
NAMES = {"llm_requests": "LLM requests", "llm_usage": "usage in buckets", "rabbitmq_queues": "queue samples"}


@dataclass(frozen=True, repr=False)
class Freshness(Tabled):
    """How late each source is.

    `table` has one row per source that has rows: `source`, `first` and `last` (end of its last hour), `behind_s`
    (seconds from there to the moment of the report) and `late`. `silent` has series that have stopped: `series`, `last`
    (end of their last bucket), `silent_s`, `pause_s` (the longest pause they made before).
    """

    table: pl.DataFrame
    silent: pl.DataFrame
    kind: Kind = "polars"

    def sentence(self) -> str:
        """Which source is late, and which series has stopped."""
        late = self.table.filter("late")
        if late.is_empty():
            names = " and ".join(NAMES.get(name, name) for name in self.table["source"])
            said = f"Data are up to date: {names} reach to within {words.seconds(self.table['behind_s'].max())}"  # type: ignore[arg-type]
        else:
            parts = [
                f"{NAMES.get(row['source'], row['source'])} end {words.seconds(row['behind_s'])} ago"
                for row in late.iter_rows(named=True)
            ]
            said = f"Data are late: {' and '.join(parts)}"
        if self.silent.is_empty():
            return f"{said}."
        row, count = self.silent.row(0, named=True), len(self.silent)
        more = f"; {count - 1} more series {'has' if count == 2 else 'have'} stopped" if count > 1 else ""
        return f"{said}; {row['series']} has been silent for {words.seconds(row['silent_s'])}{more}."

    def plot(self, *, most: int = 12) -> Figure:
        """How long ago the data of each source end, and those of the series that have stopped."""
        from analytics.charts.ranked import ranked

        told = [(NAMES.get(name, name), late) for name, late in self.table.select("source", "behind_s").iter_rows()]
        rows = sorted([*told, *self.silent.select("series", "silent_s").iter_rows()], key=lambda row: -row[1])
        names, ages = [name for name, _ in rows], [age for _, age in rows]
        return ranked(names, ages, title="How long ago data end", unit="seconds", alt=self.sentence(), most=most)

    def report(self) -> tuple[str, pl.DataFrame, pl.DataFrame | None]:
        """What a report shows: a sentence, the sources, the series that have stopped."""
        names = pl.col("source").replace(NAMES)
        return self.sentence(), self.table.with_columns(names).drop("late"), self.silent if len(self.silent) else None

    def advice(self) -> list[str]:
        """To start what collects, and to ask about what has stopped."""
        said = [
            f"Start what collects {NAMES.get(name, name)} again: `gaugebook doctor` says what it lacks."
            for name in self.table.filter("late")["source"]
        ]
        first = self.silent.head(1).select("series", "last").rows()
        return said + [f"Ask whether {name} was meant to stop at {words.moment(last)}." for name, last in first]

    def tables(self) -> list[pl.DataFrame]:
        """How far each source reaches, and who fell silent."""
        return [self.table, self.silent]


def freshness(spans: Frame, rows: Frame | None = None, *, of: str = "model", until: When = None) -> Freshness:
    """Say how late each source is, and which series have fallen silent.

    A series is silent if it has made no request for six hours, and for three times as long as it ever paused before,
    while others went on.

    Args:
        spans: rows of the query `data_spans`: source, first, last (hours, null where it has none).
        rows: wide rows as `load.metrics` gives them: bucket, requests and the column `of`.
        of: the column that names series.
        until: the moment that lateness is reckoned from. Default: now.

    Raises:
        NoRows: no source has any.
        ColumnMissing: a column is not there.

    >>> spans = pl.DataFrame({"source": ["llm_requests"], "first": [datetime(2026, 3, 2, tzinfo=UTC)],
    ...     "last": [datetime(2026, 3, 4, 10, tzinfo=UTC)]})
    >>> freshness(spans, until="2026-03-04T17:00Z").sentence()
    'Data are late: LLM requests end 6 h ago.'
    """
    sources, kind = polars(spans)
    now = datetime.now(UTC)
    present = moment(until, now, "until") or now
    known = sources.drop_nulls("last")
    if known.is_empty():
        raise NoRows("every source")
    end = pl.col("last") + timedelta(hours=1)
    behind = (pl.lit(present) - end).dt.total_seconds().cast(pl.Float64).clip(lower_bound=0)
    table = known.select(
        "source",
        "first",
        end.alias("last"),
        behind.alias("behind_s"),
        (behind > LATE.total_seconds()).alias("late"),
    )
    return Freshness(table.sort("behind_s", "source", descending=[True, False]), _silent(rows, of), kind)


def _silent(rows: Frame | None, of: str) -> pl.DataFrame:
    schema: dict[str, Any] = {
        "series": pl.String,
        "last": pl.Datetime("us", "UTC"),
        "silent_s": pl.Float64,
        "pause_s": pl.Float64,
    }
    if rows is None or rows.shape[0] == 0:
        return pl.DataFrame(schema=schema)
    data, _ = polars(rows)
    for name in ("bucket", "requests", of):
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    busy = data.filter(pl.col("requests") > 0).select(pl.col(of).cast(pl.String).alias("series"), "bucket").unique()
    end = busy["bucket"].max()
    gap = pl.col("bucket").sort().diff().max().dt.total_seconds().cast(pl.Float64)
    seen = busy.group_by("series").agg(pl.col("bucket").max().alias("at"), gap.alias("pause_s"))
    silent = (pl.lit(end) - pl.col("at")).dt.total_seconds().cast(pl.Float64)
    stopped = seen.with_columns(silent.alias("silent_s")).filter(
        (pl.col("silent_s") > LEAST.total_seconds()) & (pl.col("silent_s") > LONGER * pl.col("pause_s"))
    )
    made = stopped.select("series", (pl.col("at") + timedelta(hours=1)).alias("last"), "silent_s", "pause_s")
    return made.sort("silent_s", "series", descending=[True, False])
