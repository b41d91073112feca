"""Bars of tqdm for those who wait: of loops and of queries, where they take more than two seconds."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

AFTER_S = 2.0
EVERY_S = 0.5  # between two looks at something that does not tell by itself how far it is

T = TypeVar("T")


def waiting(items: Iterable[T], what: str, unit: str = "series", total: int | None = None) -> Iterator[T]:
    """The items, one after the other; after two seconds a bar says how many of them are done, `total` of how many.

    It shows on a terminal and in a notebook, and wipes itself away in the end. Ctrl-C ends the loop where it stands.

    >>> list(waiting([1, 2], "count"))
    [1, 2]
    """
    begun, bar = time.monotonic(), None
    total = len(items) if isinstance(items, Sized) else total
    try:
        for done, item in enumerate(items):
            if bar is None and time.monotonic() - begun > AFTER_S and _watched():
                bar = _bar(desc=what, unit=f" {unit}", total=total, initial=done)
            yield item
            if bar is not None:
                bar.update()
    finally:
        if bar is not None:
            bar.close()


@contextmanager
def ticking(what: str, unit: str, count: Callable[[], int]) -> Iterator[None]:
    """Within it, after two seconds, a line with the seconds so far and what `count` says.

    >>> with ticking("query", "rows", lambda: 0):
    ...     pass
    """
    ended = threading.Event()

    def tick() -> None:
        if ended.wait(AFTER_S) or not _watched():
            return
        form = "{desc}: {n_fmt}{unit}, {elapsed}"
        bar = _bar(desc=what, unit=f" {unit}", bar_format=form)
        bar.start_t -= AFTER_S
        while not ended.wait(EVERY_S):
            bar.n = count()
            bar.refresh()
        bar.close()

    thread = threading.Thread(target=tick, name="gaugebook-waiting", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watched() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _bar(**options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises a package for prettier bars
        from tqdm.auto import tqdm

    return tqdm(leave=False, **options)
