"""One way to forecast in a process of its own: histories from an .npz, forecasts, CPU seconds and memory into another.

    python benchmarks/parts/forecasting_run.py WAY IN.npz OUT.npz

Ways: `ours` and `rows` (without what only we have) run with Gaugebook, the rest with statsforecast alone.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np

DAY, WEEK = 24, 168
PATHS = 500


def main() -> None:
    """Run, and write what came out."""
    way, source, target = sys.argv[1], sys.argv[2], sys.argv[3]
    given = np.load(source)
    past = np.split(given["values"], np.cumsum(given["lengths"])[:-1])
    made = (ours if way in ("ours", "rows") else peer)(way, past, int(given["horizon"]))
    np.savez(target, **made)


def memory() -> float:
    """The most that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(way: str, past: list[np.ndarray], horizon: int) -> dict[str, object]:
    """The public function with its defaults."""
    sys.path[0] = str(Path(__file__).parents[2])
    from analytics import forecast
    from benchmarks.parts.forecasting_data import long_frame

    frame = long_frame(past)
    del past
    begun, used = time.perf_counter(), time.process_time()
    made = forecast(frame, horizon)
    table = made.to_polars()
    out: dict[str, object] = {"cpu_s": time.process_time() - used, "wall_s": time.perf_counter() - begun}
    out |= {name: table[name].to_numpy().reshape(-1, horizon) for name in table.columns[2:]}
    out["mib"] = memory()
    if way == "ours":
        totals = made.totals()
        out |= {name: totals[name].to_numpy() for name in totals.columns[1:]}
        out["sums"] = made.paths(PATHS).sum(axis=2)
    return out


def peer(way: str, past: list[np.ndarray], horizon: int) -> dict[str, object]:
    """statsforecast; compiled before the clock runs."""
    import pandas as pd
    from statsforecast import StatsForecast
    from statsforecast.models import MSTL, AutoETS, DynamicOptimizedTheta, SeasonalNaive

    ways = {
        "MSTL": [MSTL([DAY, WEEK])],
        "AutoETS": [AutoETS(DAY)],
        "sNaive": [SeasonalNaive(DAY)],
        "sNaive+DynOptTheta": [SeasonalNaive(DAY), DynamicOptimizedTheta(DAY)],
    }

    def run(series: list[np.ndarray]) -> pd.DataFrame:
        lengths = [len(one) for one in series]
        hours = np.concatenate([np.arange(n) for n in lengths])
        names = np.repeat([f"s{k:06d}" for k in range(len(series))], lengths)
        frame = pd.DataFrame({"unique_id": names, "ds": hours, "y": np.concatenate(series)})
        return StatsForecast(ways[way], freq=1, n_jobs=1).forecast(df=frame, h=horizon, level=[80, 95])

    run(past[:2])
    begun, used = time.perf_counter(), time.process_time()
    table = run(past)
    out: dict[str, object] = {"cpu_s": time.process_time() - used, "wall_s": time.perf_counter() - begun}
    out["mib"] = memory()
    models = [name for name in table.columns[2:] if "-lo-" not in name and "-hi-" not in name]
    out["y_hat"] = table[models].mean(axis=1).to_numpy().reshape(-1, horizon)
    for bound in ("lo-80", "hi-80", "lo-95", "hi-95"):
        columns = [f"{model}-{bound}" for model in models]
        out[f"y_hat-{bound}"] = table[columns].mean(axis=1).to_numpy().reshape(-1, horizon)
    return out


if __name__ == "__main__":
    main()
