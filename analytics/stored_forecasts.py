"""How forecasts that were stored did against what came: error, bias and coverage, by series and by how far ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from analytics import words
from analytics.frames import Kind, polars
from analytics.tabled import Tabled
from store.errors import ColumnMissing, NoneYet

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from analytics.backtesting import Backtest
    from analytics.frames import Frame

NEEDED = (
    "run_id",
    "target",
    "unique_id",
    "ds",
    "lead_h",
    "y",
    "y_hat",
    "lo_80",
    "hi_80",
    "lo_95",
    "hi_95",
    "trained_until",
)
REPLAYED = "backtest"  # the target of forecasts that nobody stored
LEADS = ((1.0, "first hour"), (24.0, "first day"), (168.0, "first week"), (float("inf"), "later"))
JOB = 'add a job with `write = "forecasts"` to the schedule of `gaugebook tick`, so that some are stored.'
FEW = 24  # points below which a coverage says little
UNDER = 0.1  # by which a coverage may fall short of its level
BIASED = 0.1  # of the sum of values, from which on a bias is worth a word


@dataclass(frozen=True, repr=False)
class TrackRecord(Tabled):
    """How stored forecasts did.

    `table` has one row per target and series, the largest first: `target`, `series`, `runs`, `points` (forecasts whose
    hour has come), `came` (the mean of what came), `error` (mean absolute), `error_share` (the sum of errors in parts
    of the sum of values, 0 is perfect), `bias_share` (forecast less actual, likewise in parts) and `coverage_80`,
    `coverage_95`: the share of points within the interval, null where none was stored. `leads` has the same by target
    and by how far ahead. `latest` is the forecast that stood before each bucket began, beside what came: target,
    series, ds, y, y_hat, lo_80, hi_80.
    """

    table: pl.DataFrame
    leads: pl.DataFrame
    latest: pl.DataFrame
    runs: int
    kind: Kind = "polars"

    def sentence(self) -> str:
        """Error, bias and coverage over everything."""
        points = int(self.table["points"].sum())
        first = self.table.row(0, named=True)
        where = "In a backtest " if first["target"] == REPLAYED else ""
        said = f"{where}{self.runs} {words.plural('forecast', self.runs)} met {words.amount(points)} hours that came"
        text = f"{said}. {_named(first)} was off by {words.share(first['error_share'])}"
        if first["bias_share"] is not None:
            high = "high" if first["bias_share"] > 0 else "low"
            text += f", {words.share(abs(first['bias_share']))} too {high} in the mean"
        covered = [
            f"the {level} % interval held {words.share(first[f'coverage_{level}'])}"
            for level in (80, 95)
            if first[f"coverage_{level}"] is not None
        ]
        return f"{text}; {' and '.join(covered)}." if covered else f"{text}."

    def plot(self) -> Figure:
        """What came, and the forecast that stood before, of the largest series."""
        from analytics.charts.record import record

        return record(self)

    def for_people(self) -> pl.DataFrame:
        """The table; the target only where there are several."""
        return self.table.drop("target") if self.table["target"].n_unique() == 1 else self.table

    def report(self) -> tuple[str, Figure, pl.DataFrame]:
        """What a report shows: a sentence, the chart, the table by series."""
        return self.sentence(), self.plot(), self.for_people()

    def advice(self) -> list[str]:
        """Whom not to trust: a series whose interval holds too little, and one that is off to one side."""
        known = self.table.filter(pl.col("points") >= FEW)
        said = []
        narrow = known.filter(pl.col("coverage_80") < 0.8 - UNDER).sort("coverage_80").head(1)
        for row in narrow.iter_rows(named=True):
            held = words.share(row["coverage_80"])
            said.append(f"Take the intervals of {_named(row)} for too narrow: that of 80 % held {held} of what came.")
        share = pl.col("bias_share").abs()
        for row in known.filter(share >= BIASED).sort(share, descending=True).head(1).iter_rows(named=True):
            side = f"{words.share(abs(row['bias_share']))} too {'high' if row['bias_share'] > 0 else 'low'}"
            said.append(f"Look at what changed in {_named(row)}: forecasts are {side}.")
        return said

    def tables(self) -> list[pl.DataFrame]:
        """By series, and by how far ahead."""
        return [self.for_people(), self.leads]


def track_record(made: Frame | Backtest) -> TrackRecord:
    """Measure forecasts against what came.

    Args:
        made: stored ones, rows as `records.forecasts` gives them: run_id, target, unique_id, ds, lead_h (hours ahead),
            y (null: not known), y_hat, lo_80, hi_80, lo_95, hi_95, trained_until; or a backtest, of which the best
            engine's are taken.

    Raises:
        NoneYet: nothing was stored, or nothing that was forecast has come.
        ColumnMissing: a column is not there.

    >>> rows = {"run_id": "r", "target": "hourly cost_usd", "unique_id": "total", "ds": [1, 2], "lead_h": [1.0, 2.0],
    ...     "y": [4.0, 6.0], "y_hat": [5.0, 5.0], "lo_80": [4.5, 4.0], "hi_80": [5.5, 7.0], "lo_95": None,
    ...     "hi_95": None, "trained_until": 0}
    >>> made = track_record(pl.DataFrame(rows))
    >>> made.table.select("points", "error_share", "bias_share", "coverage_80").row(0)
    (2, 0.2, 0.0, 0.5)
    """
    from analytics.backtesting import Backtest

    data, kind = polars(_replayed(made) if isinstance(made, Backtest) else made)
    for name in NEEDED:
        if name not in data.columns:
            raise ColumnMissing(name, data.columns)
    bounds = [pl.col(name).cast(pl.Float64) for name in ("y", "y_hat", "lo_80", "hi_80", "lo_95", "hi_95")]
    data = data.with_columns(bounds).drop_nulls("y").rename({"unique_id": "series"})
    if data.is_empty():
        raise NoneYet("no forecast that was stored has met its hour", JOB)
    # Every hour counts once a run: several runs a day forecast the same hour from nearer and nearer.
    table = data.group_by("target", "series").agg(*_scores(pl.col("run_id").n_unique().alias("runs")))
    size = pl.col("came").abs() * pl.col("points")
    lead = pl.lit(LEADS[-1][1])
    for least, name in reversed(LEADS[:-1]):
        lead = pl.when(pl.col("lead_h") <= least).then(pl.lit(name)).otherwise(lead)
    order = {name: k for k, (_, name) in enumerate(LEADS)}
    leads = data.group_by("target", lead.alias("ahead")).agg(*_scores())
    leads = leads.sort("target", pl.col("ahead").replace_strict(order, return_dtype=pl.Int64))
    ahead = data.sort("trained_until", "run_id", descending=True)
    latest = ahead.unique(["target", "series", "ds"], keep="first", maintain_order=True).sort("target", "series", "ds")
    shown = latest.select("target", "series", "ds", "y", "y_hat", "lo_80", "hi_80")
    ranked = table.sort(size, "target", "series", descending=[True, False, False])
    return TrackRecord(ranked, leads.drop("came"), shown, int(data["run_id"].n_unique()), kind)


def _replayed(made: Backtest) -> pl.DataFrame:
    """The forecasts of a backtest's best engine as if they had been stored when they were made."""
    rows = made.forecasts.filter(pl.col("engine") == made.best)
    hours = (pl.col("ds") - pl.col("cutoff")).dt.total_seconds() / 3600 if rows["ds"].dtype.is_temporal() else None
    stored = {f"y_hat-{side}-{level}": f"{side}_{level}" for side in ("lo", "hi") for level in (80, 95)}
    bounds = [
        (pl.col(name) if name in rows.columns else pl.lit(None, pl.Float64)).alias(called)
        for name, called in stored.items()
    ]
    return rows.select(
        pl.col("cutoff").cast(pl.String).alias("run_id"),
        pl.lit(REPLAYED).alias("target"),
        pl.col("unique_id").cast(pl.String),
        "ds",
        (pl.col("ds") - pl.col("cutoff") if hours is None else hours).cast(pl.Float64).alias("lead_h"),
        "y",
        "y_hat",
        *bounds,
        pl.col("cutoff").alias("trained_until"),
    )


def _scores(*more: pl.Expr) -> tuple[pl.Expr, ...]:
    """Error, bias and coverage of a group."""
    error = pl.col("y_hat") - pl.col("y")
    size = pl.col("y").abs().sum()
    part = pl.when(size > 0)
    inside = [
        pl.col("y").is_between(pl.col(f"lo_{level}"), pl.col(f"hi_{level}")).mean().alias(f"coverage_{level}")
        for level in (80, 95)
    ]
    return (
        *more,
        pl.len().alias("points"),
        pl.col("y").mean().alias("came"),
        error.abs().mean().alias("error"),
        part.then(error.abs().sum() / size).alias("error_share"),
        part.then(error.sum() / size).alias("bias_share"),
        *inside,
    )


def _named(row: dict[str, Any]) -> str:
    """A series of a target as people say it."""
    what = str(row["target"]).removeprefix("hourly ").removeprefix("daily ")
    return str(row["series"]) if what == REPLAYED else f"{what} of {row['series']}"
