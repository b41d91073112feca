"""Freed memory stays with the process: what numpy gives back to the system it asks for again a moment later."""

from __future__ import annotations

import ctypes
from functools import cache

TRIM, MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of mallopt(3)
KEPT = 256 << 20  # bytes at the end of the heap that are not given back
MAPPED = 32 << 20  # the largest size that glibc lets come from the heap


@cache
def keep() -> bool:
    """Tell glibc once for this process; False where there is another allocator.

    A Dask worker gives back everything over 64 kB (`MALLOC_TRIM_THRESHOLD_`), and forecasts then take twice the CPU.

    >>> keep() in (True, False)
    True
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(TRIM, KEPT) and mallopt(MMAP, MAPPED))
