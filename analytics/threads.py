"""Work on parts of a batch on every core: NumPy lets go of the interpreter while it counts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")

_most: ContextVar[int] = ContextVar("most", default=0)  # threads at once; 0: as many as there are cores


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """No more threads than these within: a worker of a cluster is one core of many.

    >>> with at_most(1):
    ...     in_threads(abs, [-1, 2])
    [1, 2]
    """
    before = _most.set(threads)
    try:
        yield
    finally:
        _most.reset(before)


def in_threads(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """`work` of each part, in order; the results are those of a loop.

    >>> in_threads(abs, [-1, 2])
    [1, 2]
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(len(parts), _most.get() or cores)
    if workers < 2:
        return [work(part) for part in parts]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, parts))
