"""Reading: five columns of many requests into a polars frame, each way in a process of its own."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from importlib import import_module
from pathlib import Path

from benchmarks.parts.figures import Figure, back_ends
from benchmarks.parts.requests import DAYS, SINCE, fill
from store.connect import connect, conninfo_for_reading, engine
from store.queries import named
from store.read import read
from store.settings import load

QUERY = "llm_points"
SPAN = {"since": SINCE, "until": SINCE + timedelta(days=DAYS + 1)}
MEMORY_MB = 400


def measure(*, rows: int, large: int, repeats: int) -> list[Figure]:
    """Rows a second of `large` rows against the limit, and the megabytes that the process needs at its peak."""
    del rows
    with back_ends() as found:
        settings = found["plain"]
        with connect(settings, autocommit=True) as connection:
            fill(connection, large)
            connection.execute("VACUUM metrics.llm_requests")
        target = conninfo_for_reading(settings)
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
        for turn in range(repeats):
            for name in WAYS:
                # The slow ones take half a minute and 3 GB: two runs tell enough.
                if turn < 2 or name in ("ours", "limit"):
                    runs[name].append(_run(name, target, large))
    speed = {name: large / statistics.median(seconds for seconds, _ in each) for name, each in runs.items()}
    memory = {name: statistics.median(peak for _, peak in each) for name, each in runs.items()}
    peers = [name for name in WAYS if name not in ("ours", "limit")]
    what = f"read {large:,} x 5 to polars"
    return [
        Figure(
            what, "rows/s", speed["ours"], {name: speed[name] for name in peers}, speed["limit"],
            ratio=speed["ours"] / speed["limit"], reach=0.85,
        ),
        Figure(
            f"{what}: peak memory of the process", "MB", memory["ours"], {name: memory[name] for name in peers},
            memory["limit"], ratio=memory["ours"], reach=MEMORY_MB, at_most=True,
        ),
    ]  # fmt: skip


def _run(name: str, target: str, rows: int) -> tuple[float, float]:
    """Seconds and peak megabytes of one way."""
    command = [sys.executable, "-m", "benchmarks.parts.read", name, target]
    root = Path(__file__).parents[2]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split()
    if int(said[0]) != rows:
        raise SystemExit(f"{name} read {said[0]} rows instead of {rows}")
    return float(said[1]), float(said[2])


def ours(target: str) -> int:
    """`store.read`."""
    return len(read(load(dsn=target), QUERY, **SPAN))


def limit(target: str) -> int:
    """ADBC straight to an Arrow table, which is no frame yet."""
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(target) as connection, connection.cursor() as cursor:
        cursor.execute(named(QUERY).bound(SPAN))
        return cursor.fetch_arrow_table().num_rows


def polars_over_adbc(target: str) -> int:
    """Polars over ADBC's DBAPI."""
    import polars as pl
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(target) as connection:
        return len(pl.read_database(named(QUERY).bound(SPAN), connection))


def pandas_over_sqlalchemy(target: str) -> int:
    """Pandas as most use it."""
    import pandas as pd
    from sqlalchemy import text

    with engine(load(dsn=target)).connect() as connection:
        return len(pd.read_sql(text(named(QUERY).bound(SPAN).replace(":", r"\:")), connection))


def polars_over_sqlalchemy(target: str) -> int:
    """Polars over the same engine."""
    import polars as pl
    from sqlalchemy import text

    with engine(load(dsn=target)).connect() as connection:
        return len(pl.read_database(text(named(QUERY).bound(SPAN).replace(":", r"\:")), connection))


def psycopg_rows(target: str) -> int:
    """Python objects, a row at a time."""
    import polars as pl

    with closing(connect(load(dsn=target))) as connection, connection.cursor(binary=True) as cursor:
        cursor.execute(named(QUERY).sql, SPAN)
        names = [column.name for column in cursor.description or ()]
        return len(pl.DataFrame(cursor.fetchall(), schema=names, orient="row"))


PACKAGES = {
    "ours": ("adbc_driver_postgresql", "polars", "pyarrow"),
    "pandas.read_sql over SQLAlchemy": ("pandas", "sqlalchemy", "psycopg"),
    "polars over SQLAlchemy": ("polars", "sqlalchemy", "psycopg"),
    "polars from psycopg's rows": ("polars", "psycopg"),
    "limit": ("adbc_driver_postgresql.dbapi", "pyarrow"),
    "polars over ADBC": ("adbc_driver_postgresql.dbapi", "polars", "pyarrow"),
}
WAYS: dict[str, Callable[[str], int]] = {
    "ours": ours,
    "limit": limit,
    "pandas.read_sql over SQLAlchemy": pandas_over_sqlalchemy,
    "polars over SQLAlchemy": polars_over_sqlalchemy,
    "polars from psycopg's rows": psycopg_rows,
    "polars over ADBC": polars_over_adbc,
}


def main() -> None:
    """One way: its rows, seconds and peak memory on one line. Imports are not timed, what they need is counted."""
    way, target = WAYS[sys.argv[1]], sys.argv[2]
    for package in PACKAGES[sys.argv[1]]:
        import_module(package)
    begun = time.perf_counter()
    rows = way(target)
    seconds = time.perf_counter() - begun
    # The high-water mark of the program itself; getrusage also knows that of the process that started it.
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert peak
    print(rows, seconds, int(peak[1]) / 1024)


if __name__ == "__main__":
    main()
