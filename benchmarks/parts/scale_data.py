"""The series of the scale benchmarks: hourly, a daily season, multiplicative noise, each of its own size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

GROUP = 50_000  # rows of a row group: workers read those that hold their series
FILE = 10_000  # series in a file


def write(folder: Path, series: int, points: int) -> Path:
    """Write that many series to Parquet files in a folder, sorted by name."""
    folder.mkdir()
    random = np.random.default_rng(0)
    t = np.arange(points)
    for low in range(0, series, FILE):
        count = min(FILE, series - low)
        size = 10 * random.lognormal(0, 1.5, (count, 1))
        wave = 1 + 0.6 * np.sin((t + random.integers(0, 24, (count, 1))) / 24 * 2 * np.pi)
        y = size * wave * random.lognormal(0, 0.25, (count, points))
        names = pl.Series([f"series-{low + k:07d}" for k in range(count)]).gather(np.repeat(np.arange(count), points))
        frame = pl.DataFrame({"unique_id": names, "ds": np.tile(t, count), "y": y.ravel()})
        frame.write_parquet(folder / f"{low:07d}.parquet", row_group_size=GROUP)
    return folder
