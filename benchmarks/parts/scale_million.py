"""How many series a machine forecasts: measured on some, and what a million would take at that rate."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.parts import scale_data
from benchmarks.parts.figures import Figure
from benchmarks.parts.scale_cores import HORIZON, POINTS, run

MILLION = 1_000_000
MOST_MIB = 1024.0  # of the largest process


def measure(*, series: int, workers: int, chunk: int) -> list[Figure]:
    """The figures: rate and memory of a process pool over `series` of them, and hours for a million at that rate."""
    with tempfile.TemporaryDirectory(prefix="gaugebook-bench-") as scratch:
        folder = scale_data.write(Path(scratch) / "series", series, POINTS)
        found = run("processes", folder, workers, HORIZON, chunk)
    print(found, file=sys.stderr)
    rate = found["series"] / found["s"]
    hours = MILLION / rate / 3600
    name = f"{found['series']:,} series x {POINTS} points, h {HORIZON}, {workers} processes"
    return [
        Figure(name, "series/s", rate, {}, None, rate, 1500.0),
        Figure("memory of the largest process", "MiB", found["mib"], {}, None, found["mib"], MOST_MIB, at_most=True),
        Figure("a million at that rate, reckoned", "h", hours, {}, None, hours, MILLION / 1500 / 3600, at_most=True),
    ]
