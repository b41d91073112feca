"""One way to forecast a folder of series, in a process of its own: `scale_run.py ENGINE FOLDER WORKERS HORIZON CHUNK`.

Prints JSON: seconds of the run on workers that are up and have done one chunk each, CPU seconds of all its processes
meanwhile, seconds of what came before, memory of the largest process in MiB, and a digest of every float of the result.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])

from analytics.distributed import Run, forecast_many
from analytics.executors import ONE_THREAD, local_dask
from analytics.sources import Filed
from benchmarks.parts import scale_data


def main() -> None:
    """Start the workers, warm them, run, print."""
    engine, folder, workers, horizon, chunk = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch, _cluster(engine, workers) as scheduler:
        small = scale_data.write(Path(scratch) / "small", 20 * workers, 720)
        words = {"season_length": 24, "engine": engine, "scheduler": scheduler, "workers": workers}
        forecast_many(Filed(str(small)), horizon, **words, chunk=5)
        start_s = time.perf_counter() - begun
        home = Path(scratch) / "results"
        begun, before = time.perf_counter(), _cpu_s()
        run = forecast_many(Filed(folder), horizon, **words, chunk=chunk, folder=home)
        run_s, cpu_s = time.perf_counter() - begun, _cpu_s() - before
        digest = _digest(run)
    usage = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    told = {"s": run_s, "cpu_s": cpu_s, "start_s": start_s, "series": run.series, "digest": digest}
    print(json.dumps({**told, "mib": max(usage) / 1024}))


def _cpu_s() -> float:
    """CPU seconds of this process and all that it started and that still live."""
    import psutil

    own = psutil.Process()
    times = [one.cpu_times() for one in (own, *own.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def _digest(run: Run) -> str:
    seen = hashlib.sha256()
    for part in run.lazy().collect().iter_slices(1_000_000):
        for column in part.iter_columns():
            values = column.to_list() if column.dtype.is_temporal() or not column.dtype.is_numeric() else None
            seen.update(repr(values).encode() if values is not None else column.to_numpy().tobytes())
    return seen.hexdigest()


@contextmanager
def _cluster(engine: str, workers: int) -> Iterator[str]:
    if engine == "dask":
        with local_dask(workers) as cluster:
            yield cluster.scheduler_address
    elif engine == "ray":
        import ray

        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        ray.init(
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": ONE_THREAD},
        )
        yield ""
        ray.shutdown()
    else:
        yield ""


if __name__ == "__main__":
    main()
