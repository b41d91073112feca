"""The series of the forecasting benchmark: M4 Hourly, production LLM traffic by client, and seasonal noise in bulk."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = 24


@dataclass(frozen=True)
class Task:
    """Histories and what came after each: `came` is (series, horizon)."""

    past: list[Floats]
    came: Floats

    @property
    def horizon(self) -> int:
        return self.came.shape[1]

    def sample(self, every: int) -> Task:
        """Every so many series."""
        return Task(self.past[::every], self.came[::every])

    def save(self, file: Path) -> None:
        """Write the histories for another process."""
        np.savez(file, values=np.concatenate(self.past), lengths=[len(one) for one in self.past], horizon=self.horizon)


def m4_hourly(data: Path, *, back: int = 0) -> Task:
    """M4 Hourly's training part without its last 48 hours (and `back` more), and those 48 hours."""
    lines = gzip.decompress((data / "forecasting/m4_hourly_train.csv.gz").read_bytes()).decode().splitlines()[1:]
    rows = [np.array([float(c) for c in line.replace('"', "").split(",")[1:] if c not in ("", "NA")]) for line in lines]
    rows = [row[: len(row) - back] for row in rows]
    return Task([row[:-48] for row in rows], np.stack([row[-48:] for row in rows]))


def clients(data: Path) -> Iterator[Task]:
    """Requests per hour of each client of one LLM service, 24 hours ahead from seven days of its second week."""
    windows = pl.read_csv(data / "llm_usage/servegen_m_small_clients_10min.csv.gz")
    hour = (pl.col("t_s") // 3600).alias("hour")
    sums = windows.group_by("client", hour).agg(pl.col("requests").sum().cast(pl.Float64))
    table = sums.pivot(on="hour", index="client", values="requests").sort("client").fill_null(0.0)
    whole = table.select(
        str(hour) if str(hour) in table.columns else pl.lit(0.0).alias(str(hour)) for hour in range(336)
    )
    values = whole.to_numpy()
    for cut in range(168, 313, DAY):
        yield Task(list(values[:, :cut]), values[:, cut : cut + DAY])


def bulk(series: int, points: int = 720, horizon: int = 48) -> Task:
    """Hourly series with a day, a week and multiplicative noise, each of its own height and phase."""
    random = np.random.default_rng(0)
    t = np.arange(points + horizon)
    day = 1 + 0.6 * np.sin(2 * np.pi * (t / DAY + random.random((series, 1))))
    week = np.where(t // DAY % 7 >= 5, 0.5, 1.0)
    whole = random.lognormal(3, 1, (series, 1)) * day * week * random.lognormal(0, 0.25, (series, len(t)))
    return Task(list(whole[:, :points]), whole[:, points:])


def long_frame(past: list[Floats]) -> pl.DataFrame:
    """Histories as a long frame of hours that all begin at once."""
    lengths = [len(one) for one in past]
    hours = np.concatenate([np.arange(n) for n in lengths])
    names = np.repeat([f"s{k:06d}" for k in range(len(past))], lengths)
    clock = pl.lit(START) + pl.duration(hours=pl.col("ds"))
    return pl.DataFrame({"unique_id": names, "ds": hours, "y": np.concatenate(past)}).with_columns(ds=clock)
