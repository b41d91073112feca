"""Forecasts beside statsforecast: error, intervals, calibration of budgets, CPU, memory and throughput.

    python benchmarks/forecasting.py [--data FOLDER] [--only m4] [--json FILE]

M4 Hourly is validated on the last 48 hours of its training part, the clients of an LLM service on seven days of their
second week. Every way runs in a process of its own with one thread for linear algebra. AutoETS takes minutes on the
whole of M4 Hourly and runs on every tenth series; throughput of the peer is that of 100 series.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])

import numpy as np

from benchmarks.parts import budget_calibration, forecasting_data as data
from benchmarks.parts import forecasting_scores as scores
from benchmarks.parts.figures import Figure, save, show
from benchmarks.parts.metering_processes import environment

PARTS = ("m4", "clients", "budgets", "speed", "first")
RUN = Path(__file__).parent / "parts/forecasting_run.py"
FIRST = """
import time
begun = time.perf_counter()
import polars as pl
from analytics import forecast
hours = pl.datetime_range(pl.datetime(2026, 1, 1), pl.datetime(2026, 1, 21), "1h", time_zone="UTC", eager=True)
made = forecast(pl.DataFrame({"ds": hours, "y": [float(k % 24 + k % 7) for k in range(len(hours))]}), 24)
made.to_polars(), made.totals()
print(time.perf_counter() - begun)
"""


def main() -> None:
    """Measure, print the table, write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    place = Path(os.environ.get("GAUGEBOOK_DATA", Path(__file__).parents[2] / "shared/data"))
    parser.add_argument("--data", type=Path, default=place, metavar="FOLDER", help="public data sets")
    parser.add_argument("--only", choices=PARTS, action="append", help="leave the other parts out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="gaugebook-bench-") as scratch:
        for part in arguments.only or PARTS:
            figures += {"m4": m4, "clients": clients, "budgets": budgets, "speed": speed, "first": first}[part](
                arguments.data, Path(scratch)
            )
    show(figures)
    if arguments.json:
        save(figures, arguments.json)


def budgets(folder: Path, scratch: Path) -> list[Figure]:  # noqa: ARG001
    """Probabilities of exceeding a budget, and sums of a day, on traffic as spend."""
    return list(budget_calibration.figures(folder))


def m4(folder: Path, scratch: Path) -> list[Figure]:
    """Error, intervals, CPU and memory on M4 Hourly."""
    task = data.m4_hourly(folder)
    tenth = task.sample(10)
    ours, few = run("ours", task, scratch), run("ours", tenth, scratch)
    found = {"MSTL": (task, run("MSTL", task, scratch)), "AutoETS, a tenth": (tenth, run("AutoETS", tenth, scratch))}
    error_few = scores.owa(tenth.past, tenth.came, few["y_hat"])
    print(f"ours on the tenth: OWA {error_few:.3f}, {float(few['cpu_s']):.2f} CPU s")

    def peers(score: object) -> dict[str, float]:
        return {name: float(score(t, one)) for name, (t, one) in found.items()}  # type: ignore[operator]

    def error(t: data.Task, one: Mapping[str, np.ndarray]) -> float:
        return scores.owa(t.past, t.came, one["y_hat"])

    def interval(t: data.Task, one: Mapping[str, np.ndarray]) -> float:
        return scores.msis(t.past, t.came, one["y_hat-lo-95"], one["y_hat-hi-95"])

    figures = [
        most("M4 Hourly, last 48 h of train: OWA", "", error(task, ours), peers(error), 0.395),
        most("CPU", "s", float(ours["cpu_s"]), peers(lambda _, one: one["cpu_s"]), 5),
        most("memory of the process", "MiB", float(ours["mib"]), peers(lambda _, one: one["mib"]), 250),
        most("MSIS at 95 %", "", interval(task, ours), peers(interval), 6.14),
    ]
    for level, (low, high) in ((95, (0.93, 0.97)), (80, (0.77, 0.83))):

        def inside(t: data.Task, one: Mapping[str, np.ndarray], level: int = level) -> float:
            return scores.covered(t.came, one[f"y_hat-lo-{level}"], one[f"y_hat-hi-{level}"])

        figures.append(within(f"coverage of points at {level} %", inside(task, ours), peers(inside), low, high))
    more = [(one, run("ours", one, scratch)) for one in (data.m4_hourly(folder, back=back) for back in (96, 192))]
    return figures + _sums("M4 Hourly, three stretches of 48 h", [(task, ours), *more])


def clients(folder: Path, scratch: Path) -> list[Figure]:
    """WAPE of clients and of their sum, and the calibration of sums."""
    tasks = list(data.clients(folder))
    ways = {way: [run(way, task, scratch) for task in tasks] for way in ("ours", "sNaive", "sNaive+DynOptTheta")}
    came = [task.came for task in tasks]
    leaf = {way: scores.wape(came, [one["y_hat"] for one in found]) for way, found in ways.items()}
    summed = [one.sum(axis=0) for one in came]
    total = {way: scores.wape(summed, [one["y_hat"].sum(axis=0) for one in found]) for way, found in ways.items()}
    return [
        most("LLM clients, 24 h ahead: WAPE of clients", "", leaf.pop("ours"), leaf, 0.56),
        most("WAPE of their sum", "", total.pop("ours"), total, 0.18),
        *_sums("LLM clients", list(zip(tasks, ways["ours"], strict=True))),
    ]


def _sums(name: str, found: list[tuple[data.Task, Mapping[str, np.ndarray]]]) -> list[Figure]:
    came = np.concatenate([task.came.sum(axis=1) for task, _ in found])
    made = [one for _, one in found]
    pairs = [scores.calibration(task.past, task.came, one["sums"]) for task, one in found]
    error = scores.calibration_error(*(np.concatenate([pair[k] for pair in pairs]) for k in (0, 1)))
    figures = [most(f"{name}: calibration error of budget probabilities", "", error, {}, 0.03)]
    for level, (low, high) in ((80, (0.77, 0.83)), (95, (0.93, 0.97))):
        bounds = [scores.both(made, f"total-{side}-{level}") for side in ("lo", "hi")]
        # Adding bounds of points up as if their errors were independent: the roots of the sums of squares.
        points, half = (scores.both(made, "y_hat").sum(axis=1), _half(made, level))
        summed = {"points' intervals, as if independent": scores.covered(came, points - half, points + half)}
        figures.append(
            within(f"{name}: coverage of sums at {level} %", scores.covered(came, *bounds), summed, low, high)
        )
    return figures


def _half(made: list[Mapping[str, np.ndarray]], level: int) -> np.ndarray:
    width = (scores.both(made, f"y_hat-hi-{level}") - scores.both(made, f"y_hat-lo-{level}")) / 2
    return np.asarray(np.sqrt((width**2).sum(axis=1)))


def speed(_folder: Path, scratch: Path) -> list[Figure]:
    """Series a second with intervals, and the memory that it takes."""
    many, few = data.bulk(10_000), data.bulk(100)
    ours, peer = run("rows", many, scratch), run("sNaive+DynOptTheta", few, scratch)
    rate, theirs = len(many.past) / float(ours["wall_s"]), len(few.past) / float(peer["wall_s"])
    name = "10,000 series x 720 points, 48 ahead with intervals"
    return [
        Figure(name, "series/s", rate, {"sNaive+DynOptTheta": theirs}, None, rate, 1500),
        most(f"{name}: CPU", "s", float(ours["cpu_s"]), {"sNaive+DynOptTheta, 100": float(peer["cpu_s"])}, 2e4 / 1500),
        most(f"{name}: memory", "MiB", float(ours["mib"]), {}, 1024),
    ]


def first(_folder: Path, _scratch: Path) -> list[Figure]:
    """A first forecast in a new process, imports and all."""
    root = Path(__file__).parents[1]
    taken = []
    for _ in range(5):
        ended = subprocess.run([sys.executable, "-c", FIRST], cwd=root, stdout=subprocess.PIPE, text=True, check=True)
        taken.append(float(ended.stdout))
        time.sleep(0.2)
    return [most("a first forecast of one series, cold", "s", float(np.median(taken)), {}, 1)]


def run(way: str, task: data.Task, scratch: Path) -> Mapping[str, np.ndarray]:
    """What a way makes of a task."""
    python = Path(sys.executable) if way in ("ours", "rows") else environment("statsforecast")
    source, target = scratch / "in.npz", scratch / "out.npz"
    task.save(source)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    subprocess.run([python, RUN, way, source, target], env=os.environ | threads, check=True)
    return dict(np.load(target))


def most(what: str, unit: str, ours: float, peers: Mapping[str, float], reach: float) -> Figure:
    """A figure that should be at most `reach`."""
    return Figure(what, unit, ours, peers, None, ours, reach, at_most=True)


def within(what: str, ours: float, peers: Mapping[str, float], low: float, high: float) -> Figure:
    """A share that should lie between two: its distance from the middle is compared."""
    middle = (low + high) / 2
    return Figure(
        f"{what}, within {low:g} and {high:g}", "", ours, peers, None, abs(ours - middle), high - middle, at_most=True
    )


if __name__ == "__main__":
    main()
