"""Where chunks of work run: in turn, in a pool of processes, or on Dask, Ray or Spark. All take the same function."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol, TypeVar

from analytics.packages import optional
from store.errors import ParameterInvalid, UnknownName

RETRIES = 2  # times that Dask and Ray try a chunk again whose worker went away
AHEAD = 4  # chunks handed out ahead of each worker: enough to keep it busy, few enough to stop soon
# What a worker is started with; one arena, since those of threads give their memory back whatever they are told.
ONE_THREAD = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}

In = TypeVar("In")
Out = TypeVar("Out")


class Executor(Protocol):
    """Apply a picklable function to every item, in any order, on at most `workers` workers.

    `scheduler` is the address of a cluster, empty for one on this machine, which ends with the iterator.
    """

    def __call__(
        self, work: Callable[[In], Out], items: Sequence[In], workers: int, scheduler: str, /
    ) -> Iterator[Out]: ...


def serial(work: Callable[[In], Out], items: Sequence[In], _workers: int, _scheduler: str) -> Iterator[Out]:
    """One after the other in this process.

    >>> sorted(serial(abs, [-1, 2], 1, ""))
    [1, 2]
    """
    yield from map(work, items)


def processes(work: Callable[[In], Out], items: Sequence[In], workers: int, scheduler: str) -> Iterator[Out]:
    """A pool of fresh processes on this machine: forked ones would inherit locks of threads that they do not have.

    Raises:
        ParameterInvalid: a scheduler was named, or the calling script starts its work without asking whether it is
            the main program.
    """
    import multiprocessing

    if scheduler:
        raise ParameterInvalid("scheduler", f"a process pool has none, got {scheduler!r}; use engine 'dask'")
    with _single_threaded(), ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        todo = iter(items)
        running = {pool.submit(work, item) for item in islice(todo, AHEAD * workers)}
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    running.update(pool.submit(work, item) for item in islice(todo, 1))
                    yield future.result()
        except BrokenProcessPool as error:
            reason = 'a worker process ended early: out of memory, or the script lacks if __name__ == "__main__":'
            raise ParameterInvalid("engine", reason) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def dask(work: Callable[[In], Out], items: Sequence[In], workers: int, scheduler: str) -> Iterator[Out]:
    """Dask's workers: those of the cluster at `scheduler` (tcp://host:8786), else single-threaded ones of our own."""
    distributed = optional("distributed", "engine 'dask'", "dask")
    with _dask_client(distributed, workers, scheduler) as client:
        todo = iter(items)
        first = list(islice(todo, AHEAD * max(1, sum(client.ncores().values()))))
        running = distributed.as_completed(
            [client.submit(work, item, pure=False, retries=RETRIES) for item in first], with_results=True
        )
        for _, made in running:
            for item in islice(todo, 1):
                running.add(client.submit(work, item, pure=False, retries=RETRIES))
            yield made


@contextmanager
def _dask_client(distributed: Any, workers: int, scheduler: str) -> Iterator[Any]:
    if scheduler:
        try:
            client = distributed.Client(scheduler, timeout="10s")
        except (OSError, ValueError) as error:
            reason = f"no Dask scheduler answers at {scheduler!r}: {str(error).splitlines()[0]}"
            raise ParameterInvalid("scheduler", reason) from error
        with client:
            yield client
        return
    with local_dask(workers) as cluster, distributed.Client(cluster) as client:
        yield client


@contextmanager
def local_dask(workers: int) -> Iterator[Any]:
    """A Dask cluster of single-threaded processes on this machine.

    What governs threads and memory has to be in the environment before a worker's interpreter starts.
    """
    import logging

    import dask as config

    distributed = optional("distributed", "engine 'dask'", "dask")
    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
    with (
        config.config.set(
            {"distributed.nanny.pre-spawn-environ": ONE_THREAD, "distributed.worker.profile.enabled": False}
        ),
        distributed.LocalCluster(**options, silence_logs=logging.ERROR) as cluster,
    ):
        yield cluster


def ray(work: Callable[[In], Out], items: Sequence[In], workers: int, scheduler: str) -> Iterator[Out]:
    """Ray's workers: those of the cluster at `scheduler` (ray://host:10001, or auto), else of one on this machine."""
    package = optional("ray", "engine 'ray'", "ray")
    own = not package.is_initialized()
    if own:
        where = {"address": scheduler} if scheduler else {"num_cpus": workers, "include_dashboard": False}
        try:
            package.init(**where, runtime_env={"env_vars": ONE_THREAD}, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError) as error:
            raise ParameterInvalid("scheduler", f"no Ray cluster answers: {str(error).splitlines()[0]}") from error
    try:
        remote = package.remote(num_cpus=1, max_retries=RETRIES)(_called)
        held = package.put(work)
        todo = iter(items)
        cores = max(1, int(package.cluster_resources().get("CPU", workers)))
        running = [remote.remote(held, item) for item in islice(todo, AHEAD * cores)]
        while running:
            done, running = package.wait(running)
            running += [remote.remote(held, item) for item in islice(todo, len(done))]
            yield from package.get(done)
    finally:
        if own:
            package.shutdown()


def spark(work: Callable[[In], Out], items: Sequence[In], workers: int, scheduler: str) -> Iterator[Out]:
    """Spark's executors: those of the master at `scheduler` (spark://host:7077), else local ones; one task an item."""
    sql = optional("pyspark.sql", "engine 'spark'", "spark")
    session = (
        sql.SparkSession.builder.master(scheduler or f"local[{workers}]")
        .appName("gaugebook")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
    )
    if not scheduler:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else its workers are whatever python3 comes first
    for name, value in ONE_THREAD.items():
        session = session.config(f"spark.executorEnv.{name}", value)
    found = session.getOrCreate()
    try:
        # One partition after the other would leave the rest idle: collect them all at once.
        yield from found.sparkContext.parallelize(items, len(items)).map(work).collect()
    finally:
        found.stop()


EXECUTORS: dict[str, Executor] = {
    "serial": serial,
    "processes": processes,
    "dask": dask,
    "ray": ray,
    "spark": spark,
}


def executor(name: str) -> Executor:
    """The executor of this name.

    Raises:
        UnknownName: there is none.

    >>> executor("serial") is serial
    True
    """
    if name not in EXECUTORS:
        raise UnknownName("place to run", name, EXECUTORS)
    return EXECUTORS[name]


def _called(work: Callable[[In], Out], item: In) -> Out:
    return work(item)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Children inherit the environment: each is to use the one core it stands for."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
