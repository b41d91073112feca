"""Series per second and core on Dask and on Ray, beside as many local processes; and the floats."""

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
    # Locally as many processes at once as there are workers, each with all the series: cores share a memory.
    ways = {
        "one core": ("serial", 1),
        "local": ("serial", 1),
        "Dask": ("dask", workers),
        "Ray": ("ray", workers),
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory(prefix="gaugebook-bench-") as scratch:
        folder = scale_data.write(Path(scratch) / "series", series, POINTS)
        for _ in range(repeats):
            for name, (engine, count) in ways.items():
                begun = [start(engine, folder, count, HORIZON, chunk) for _ in range(workers if name == "local" else 1)]
                found[name] += [told(one) for one in begun]
                print(f"{name}: {found[name][-1]}", file=sys.stderr)
    speed = {name: series / statistics.median(one["s"] for one in runs) / ways[name][1] for name, runs in found.items()}
    spent = {name: statistics.median(one["cpu_s"] for one in runs) for name, runs in found.items()}
    alone, local = speed.pop("one core"), speed.pop("local")
    peers = {f"{workers} local processes": local, "one process alone": alone}
    figures = [
        Figure(f"{name}, a core, against local", "series/s", rate, peers, None, rate / local, SHARE)
        for name, rate in speed.items()
    ]
    figures += [
        Figure(f"{name}, CPU, against one process", "s", spent[name], {"one": spent["one core"]}, None, share, SHARE)
        for name in speed
        if (share := spent["one core"] / spent[name])
    ]
    digests = {one["digest"] for runs in found.values() for one in runs}
    figures.append(Figure("results that differ", "ways", len(digests) - 1, {}, None, len(digests) - 1, 0, at_most=True))
    return figures


def run(engine: str, folder: Path, workers: int, horizon: int, chunk: int) -> dict[str, Any]:
    """What `scale_run.py` measures of one way."""
    return told(start(engine, folder, workers, horizon, chunk))


def start(engine: str, folder: Path, workers: int, horizon: int, chunk: int) -> subprocess.Popen[str]:
    """A process that measures one way; Ray has an environment of its own."""
    python = str(environment("ray")) if engine == "ray" else sys.executable
    words: Sequence[object] = (python, PROGRAM, engine, folder, workers, horizon, chunk)
    kept = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True, env=kept)


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a process measured, when it is done."""
    printed, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found
