"""The backtests by which the default engine was chosen: real series, several origins, each engine in turn."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from analytics.backtesting import backtest
from benchmarks.parts.figures import number

ENGINES = ("ensemble", "seasonal_naive", "theta")
SHOWN = ("mase", "rmsse", "wape", "scaled_crps", "msis", "coverage_80", "coverage_95", "bias", "cpu_s")


def show(data: Path, *, engines: tuple[str, ...] = ENGINES) -> None:
    """Print a Markdown leaderboard for each set of series."""
    for name, frame, horizon, windows, season in _sets(data):
        made = backtest(frame, horizon, engines=engines, windows=windows, season_length=season)
        print(f"\n{name}: {made.how().splitlines()[0]}\n", flush=True)
        print(f"| engine | {' | '.join(SHOWN)} |\n|---|{'---|' * len(SHOWN)}")
        for row in made.table.iter_rows(named=True):
            cells = (f"-{number(-row[c])}" if row[c] < 0 else number(row[c]) for c in SHOWN)
            print(f"| {row['engine']} | {' | '.join(cells)} |", flush=True)


def _sets(data: Path) -> Iterator[tuple[str, pl.DataFrame, int, int, int | tuple[int, ...] | None]]:
    lines = gzip.decompress((data / "forecasting/m4_hourly_train.csv.gz").read_bytes()).decode().splitlines()[1:]
    rows = [[float(cell) for cell in line.replace('"', "").split(",")[1:] if cell not in ("", "NA")] for line in lines]
    frames = [pl.DataFrame({"unique_id": k, "ds": range(len(row)), "y": row}) for k, row in enumerate(rows[::8])]
    yield f"M4 Hourly, training part, {len(frames)} series", pl.concat(frames), 48, 3, (24, 168)
    yield "ServeGen m-small by client", clients(data), 24, 4, None
    files = sorted((data / "anomaly/nab").rglob("*.csv"))
    clouds = (_hourly(one) for one in files if one.parent.name in ("realAWSCloudwatch", "realKnownCause"))
    found = [one for one in clouds if one is not None]
    if found:
        yield f"NAB, {len(found)} cloud metrics by the hour", pl.concat(found), 24, 4, None


def clients(data: Path) -> pl.DataFrame:
    """Requests per hour of each client; an hour without any is 0."""
    windows = pl.read_csv(data / "llm_usage/servegen_m_small_clients_10min.csv.gz")
    hour = (pl.col("t_s") // 3600).alias("ds")
    sums = windows.group_by(pl.col("client").alias("unique_id"), hour).agg(pl.col("requests").sum().alias("y"))
    grid = pl.DataFrame({"ds": pl.Series(range(336), dtype=pl.Int64)})
    whole = sums.select("unique_id").unique().join(grid, how="cross").join(sums, on=["unique_id", "ds"], how="left")
    return whole.with_columns(pl.col("y").fill_null(0.0)).sort("unique_id", "ds")


def _hourly(file: Path) -> pl.DataFrame | None:
    frame = pl.read_csv(file, try_parse_dates=True)
    time, value = frame.columns[:2]
    if not isinstance(frame[time].dtype, pl.Datetime):
        return None
    hourly = frame.group_by(pl.col(time).dt.truncate("1h").alias("ds")).agg(
        pl.col(value).cast(pl.Float64).mean().alias("y")
    )
    if len(hourly) < 300 or float(np.ptp(hourly["y"].to_numpy())) == 0:
        return None
    return hourly.sort("ds").select(pl.lit(file.stem).alias("unique_id"), pl.col("ds").cast(pl.Datetime("us")), "y")
