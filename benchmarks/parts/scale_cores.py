"""Series per second and core on Dask and on Ray, beside one core without either; and whether floats are the same."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.parts import scale_data
from benchmarks.parts.figures import Figure
from benchmarks.parts.metering_processes import ROOT, environment

PROGRAM = ROOT / "benchmarks/parts/scale_run.py"
HORIZON, POINTS = 48, 720
SHARE = 0.9  # of a core's speed that a place to run may leave


def measure(*, series: int, repeats: int, workers: int, chunk: int) -> list[Figure]:
    """The figures: each way in turn, `repeats` times, medians of its seconds."""
    ways = {"one core": ("serial", 1), "Dask": ("dask", workers), "Ray": ("ray", workers)}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory(prefix="gaugebook-bench-") as scratch:
        folder = scale_data.write(Path(scratch) / "series", series, POINTS)
        for _ in range(repeats):
            for name, (engine, count) in ways.items():
                found[name].append(run(engine, folder, count, HORIZON, chunk))
                print(f"{name}: {found[name][-1]}", file=sys.stderr)
    speed = {name: series / statistics.median(one["s"] for one in runs) / ways[name][1] for name, runs in found.items()}
    spent = {name: statistics.median(one["cpu_s"] for one in runs) for name, runs in found.items()}
    local = speed.pop("one core")
    digests = {one["digest"] for runs in found.values() for one in runs}
    figures = [
        Figure(f"{name}, a core, against local", "series/s", rate, {"one core": local}, None, rate / local, SHARE)
        for name, rate in speed.items()
    ]
    figures += [
        Figure(f"{name}, CPU, against local", "s", spent[name], {"one core": spent["one core"]}, None, share, SHARE)
        for name in speed
        if (share := spent["one core"] / spent[name])
    ]
    figures.append(Figure("results that differ", "ways", len(digests) - 1, {}, None, len(digests) - 1, 0, at_most=True))
    return figures


def run(engine: str, folder: Path, workers: int, horizon: int, chunk: int) -> dict[str, Any]:
    """What `scale_run.py` measures of one way; Ray has an environment of its own."""
    python = str(environment("ray")) if engine == "ray" else sys.executable
    words: Sequence[object] = (python, PROGRAM, engine, folder, workers, horizon, chunk)
    kept = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(list(map(str, words)), stdout=subprocess.PIPE, text=True, check=True, env=kept)
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return told
