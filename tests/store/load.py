"""A program that appends numbered rows to a spool and delivers them, and says which numbers were acknowledged.

    python -m tests.store.load FIRST [PAUSE_S]

Settings come from the environment. Each line of its output is one number after the last that was acknowledged.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta

from collectors.sink import Batch, StoreSink
from store.settings import load
from tests.store.tallies import Told

TABLE = "metrics.llm_requests"
COLUMNS = ("ts", "request_id", "source", "input_tokens", "attrs")
START = datetime(2026, 1, 31, 23, tzinfo=UTC)
BATCH = 20
COLLECTOR = "load"


def rows(first: int, end: int) -> list[tuple[object, ...]]:
    """Rows `first` to `end`, one a second, each with its number."""
    return [(START + timedelta(seconds=n), f"r{n}", "test", n, {"n": n}) for n in range(first, end)]


def batch(first: int, end: int) -> Batch:
    return Batch(TABLE, COLUMNS, rows(first, end))


def main() -> None:
    first, pause_s = int(sys.argv[1]), float(sys.argv[2])
    told = Told()
    sink = StoreSink(load(), told, COLLECTOR, linger_s=0.02)
    while True:
        sink.write(batch(first, first + BATCH))
        first += BATCH
        if told["dropped disk"]:
            sys.exit("the spool took no more")
        os.write(1, b"%d\n" % first)
        time.sleep(pause_s)


if __name__ == "__main__":
    main()
