r"""Rows per second into `metrics.llm_requests`, beside the usual ways and beside PostgreSQL's own limit.

    python benchmarks/store.py [--rows 100000] [--repeats 3] [--json FILE]

All of them write the same rows, in batches of 10,000, into the same partitioned table with its key and its rollup log,
on a server of its own in a temporary folder, with fsync. The limit is `psql \copy` of a ready CSV file.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # otherwise `import store` would find this very file

import psycopg.sql
from sqlalchemy import MetaData, Table
from sqlalchemy.dialects.postgresql import insert

from collectors.llm.record import COLUMNS
from pipelines.simulate import llm_requests
from store.connect import connect, engine
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.settings import Settings, load
from store.write import write

BATCH = 10_000
TABLE = "metrics.llm_requests"
REACH = 1.0  # of the better peer
Rows = list[tuple[object, ...]]


def main() -> None:
    """Measure, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gaugebook-bench-") as name:
        Path(name).chmod(0o755)
        server = EmbeddedServer(Path(name))
        server.start()
        try:
            settings = load(dsn=server.conninfo())
            migrate(settings)
            figures = measure(settings, simulated(arguments.rows), Path(name), arguments.repeats)
        finally:
            server.stop()
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    for figure in figures:
        peers = ", ".join(f"{peer} {value:,.0f}" for peer, value in figure["peers"].items())
        print(f"{figure['what']}: {figure['ours']:,.0f} {figure['unit']}; {peers}; limit {figure['limit']:,.0f}")
        print(f"ratio to the better peer {figure['ratio']:.2f}, to reach {figure['reach']}: {figure['ok']}")


def measure(settings: Settings, rows: Rows, folder: Path, repeats: int) -> list[dict]:
    """The medians of `repeats` runs of each way, taken in turn."""
    file = folder / "rows.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows(rows)
    ways: dict[str, Callable[[], None]] = {
        "ours": lambda: ours(settings, rows),
        "SQLAlchemy insert": lambda: by_sqlalchemy(settings, rows),
        "psycopg executemany": lambda: by_executemany(settings, rows),
        "limit": lambda: by_psql(settings, file),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            with connect(settings, autocommit=True) as connection:
                connection.execute("TRUNCATE metrics.llm_requests, metrics.rollup_log")
                connection.execute("CHECKPOINT")
            begun = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - begun)
            with connect(settings) as connection:
                assert connection.execute("SELECT count(*) FROM metrics.llm_requests").fetchone() == (len(rows),)
    speed = {name: len(rows) / statistics.median(taken) for name, taken in seconds.items()}
    peers = {name: speed[name] for name in ways if name not in ("ours", "limit")}
    ratio = speed["ours"] / max(peers.values())
    figure = {
        "what": f"idempotent write of {len(rows):,} requests",
        "unit": "rows/s",
        "ours": speed["ours"],
        "peers": peers,
        "limit": speed["limit"],
        "ratio": ratio,
        "reach": REACH,
        "ok": ratio >= REACH,
    }
    return [figure]


def simulated(count: int) -> Rows:
    """The first `count` requests of the simulator, without attrs."""
    rows = [request.values() for day in llm_requests(datetime(2026, 6, 1, tzinfo=UTC), 120) for request in day]
    if len(rows) < count:
        raise SystemExit(f"error: the simulator gives {len(rows):,} rows at most")
    return rows[:count]


def batches(rows: Rows) -> list[Rows]:
    """`rows` in batches."""
    return [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]


def ours(settings: Settings, rows: Rows) -> None:
    """`store.write`."""
    with connect(settings) as connection:
        for batch in batches(rows):
            write(connection, TABLE, COLUMNS, batch)


def by_sqlalchemy(settings: Settings, rows: Rows) -> None:
    """A Core insert with ON CONFLICT DO NOTHING."""
    database = engine(settings)
    table = Table("llm_requests", MetaData(), schema="metrics", autoload_with=database)
    statement = insert(table).on_conflict_do_nothing()
    for batch in batches(rows):
        with database.begin() as connection:
            connection.execute(statement, [dict(zip(COLUMNS, row, strict=True)) for row in batch])


def by_executemany(settings: Settings, rows: Rows) -> None:
    """The same through psycopg's pipelined executemany."""
    places = psycopg.sql.SQL(", ").join([psycopg.sql.Placeholder()] * len(COLUMNS))
    names = psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, COLUMNS))
    statement = psycopg.sql.SQL("INSERT INTO metrics.llm_requests ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
        names, places
    )
    with connect(settings) as connection, connection.cursor() as cursor:
        for batch in batches(rows):
            cursor.executemany(statement, batch)
            connection.commit()


def by_psql(settings: Settings, file: Path) -> None:
    r"""`\copy` of a ready file."""
    assert settings.dsn
    copy = f"\\copy metrics.llm_requests ({', '.join(COLUMNS)}) FROM '{file}' WITH (FORMAT csv)"
    program = EmbeddedServer(file.parent)._bin(None) / "psql"
    subprocess.run([program, "-X", "-q", settings.dsn.get_secret_value(), "-c", copy], check=True)


if __name__ == "__main__":
    main()
