"""Who is told what becomes of rows on their way: the seam between the spool and a collector's metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

REASONS = (
    "spool_full",  # the oldest made room for others
    "disk",  # it took no more
    "damaged",  # they cannot be read any more
    "memory_full",  # as spool_full, where there is no spool
    "closed",  # the process ended, and there is no spool
    "unkept",  # the database refused them and the dead letters cannot be written
)


@dataclass(frozen=True)
class Waiting:
    """What waits for the database: rows, their bytes on disk, the age of the oldest in seconds.

    `limit` is how many bytes may wait; 0 where rows are kept in memory, which counts them.
    """

    rows: int = 0
    size: int = 0
    oldest_s: float = 0.0
    limit: int = 0


class Tally(Protocol):
    """Counts. Called from whatever thread it happens in; must not raise."""

    def watch(self, waiting: Callable[[], Waiting]) -> None:
        """`waiting` tells what waits, whenever it is called."""
        ...

    def wrote(self, table: str, rows: int) -> None:
        """`rows` are new in `table`."""
        ...

    def rejected(self, table: str, rows: int) -> None:
        """`table` takes `rows` never as they are; they are kept as dead letters."""
        ...

    def failed(self) -> None:
        """A batch could not be written; it waits."""
        ...

    def dropped(self, rows: int, reason: str) -> None:
        """`rows` are lost; `reason` is one of `REASONS`."""
        ...

    def damaged(self, kind: str) -> None:
        """A record of the spool cannot be read: torn or corrupt."""
        ...
