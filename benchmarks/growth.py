"""What a request costs in bytes and in seconds, raw, compressed and rolled up, and what that comes to in a month.

    python benchmarks/growth.py [--rows 100000 --rows 1000000 --rows 5000000] [--index-rows 3000000] [--json FILE]

The requests are those of benchmarks/parts/requests.sql: thirty days, six workloads, ids, token counts, prices and
attributes of the kind that the tap writes. Plain PostgreSQL on an embedded server of its own with fsync; TimescaleDB
where GAUGEBOOK_TEST_TIMESCALE_DSN names a server.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

sys.path[0] = str(Path(__file__).parents[1])  # otherwise `import store` would find benchmarks/store.py

from benchmarks.parts.figures import back_ends, folder, number
from benchmarks.parts.requests import DAYS, SINCE, fill
from pipelines.export import export
from store.connect import connect
from store.settings import Settings

PARQUET_ROWS = 1_000_000  # at most, to export: the bytes of a row hardly depend on how many there are
HOURS = 720  # of a month
# Requests a month, and in how many combinations of provider, model, team and project an hour of them comes.
MONTHS = {1_000_000: 50, 100_000_000: 200, 10_000_000_000: 1000}
INDEXES: dict[str, tuple[LiteralString, ...]] = {
    "primary key (ts, request_id)": ("ALTER TABLE indexed ADD PRIMARY KEY (ts, request_id)",),
    "primary key and BRIN on ts": (
        "ALTER TABLE indexed ADD PRIMARY KEY (ts, request_id)",
        "CREATE INDEX ON indexed USING brin (ts)",
    ),
    "BRIN on ts alone": ("CREATE INDEX ON indexed USING brin (ts)",),
}


@dataclass(frozen=True)
class Line:
    """One figure; the fields are those of the other benchmarks, and most have nothing to be held against."""

    what: str
    unit: str
    ours: float
    peers: dict[str, float]
    limit: float | None = None
    ratio: float | None = None
    reach: float | None = None
    ok: bool = True


def main() -> None:
    """Measure, print the tables of docs/operations/growth.md, write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help="requests in the thirty days; again for more sizes")
    parser.add_argument(
        "--index-rows", type=int, default=3_000_000, help="rows of the partition that indexes are tried on"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    lines: list[Line] = []
    with back_ends() as found:
        for rows in arguments.rows or (100_000, 1_000_000, 5_000_000):
            for name, settings in found.items():
                lines += measured(settings, rows, name)
                print(f"measured: {name}, {rows:,} requests", file=sys.stderr)
        lines += indexes(found["plain"], arguments.index_rows)
    lines += extrapolated(lines)
    show(lines)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(line) for line in lines], indent=1))


def measured(settings: Settings, rows: int, back_end: str) -> Iterator[Line]:
    """Bytes a row of one month of `rows` requests, and the seconds that rolling it up takes."""

    def line(what: str, unit: str, value: float) -> Line:
        return Line(f"{back_end}, {rows:,} requests: {what}", unit, value, {})

    with connect(settings, autocommit=True) as connection:
        fill(connection, rows)
        table, index, total = one(connection, RAW[back_end])
        yield line("raw, table", "bytes a request", table / rows)
        yield line("raw, key", "bytes a request", index / rows)
        yield line("raw", "bytes a request", total / rows)
        begun = time.perf_counter()
        connection.execute("CALL metrics.refresh_rollups()")
        yield line("first roll-up of all", "s", time.perf_counter() - begun)
        for grain in ("hourly", "daily"):
            size, count = rollup(connection, back_end, grain)
            yield line(f"{grain} rollup", "rows", count)
            yield line(f"{grain} rollup", "bytes a row", size / count)
        if back_end == "timescale":
            begun = time.perf_counter()
            compress(connection)
            yield line("compressing all", "s", time.perf_counter() - begun)
            yield line("column store", "bytes a request", one(connection, RAW[back_end])[2] / rows)
    if back_end == "plain" and rows <= PARQUET_ROWS:
        with folder() as home:
            file = home / "requests.parquet"
            export(settings, "llm_requests", file, {"since": SINCE, "until": SINCE + timedelta(days=DAYS + 1)})
            yield line("exported to Parquet (zstd)", "bytes a request", file.stat().st_size / rows)


RAW: dict[str, LiteralString] = {
    "plain": """
        SELECT sum(pg_table_size(relid))::bigint, sum(pg_indexes_size(relid))::bigint,
               sum(pg_total_relation_size(relid))::bigint
        FROM pg_partition_tree('metrics.llm_requests') WHERE isleaf""",
    "timescale": """
        SELECT table_bytes + toast_bytes, index_bytes, total_bytes
        FROM hypertable_detailed_size('metrics.llm_requests')""",
}


def rollup(connection: psycopg.Connection, back_end: str, grain: str) -> tuple[int, int]:
    """Bytes with indexes, and rows, of what is stored of a rollup."""
    if back_end == "plain":
        where = sql.Identifier("metrics", f"llm_requests_{grain}_stored")
        size: sql.Composable = sql.SQL("pg_total_relation_size({}::regclass)").format(sql.Literal(where.as_string()))
    else:
        schema, name = one(
            connection,
            """SELECT materialization_hypertable_schema, materialization_hypertable_name
               FROM timescaledb_information.continuous_aggregates
               WHERE view_name = ANY (%(names)s)""",
            {"names": [f"llm_requests_{grain}", f"llm_requests_{grain}_stored"]},
        )
        where = sql.Identifier(schema, name)
        size = sql.SQL("hypertable_size({}::regclass)").format(sql.Literal(where.as_string()))
    found = connection.execute(sql.SQL("SELECT {}, count(*) FROM {}").format(size, where)).fetchone()
    assert found
    return found[0], found[1]


def compress(connection: psycopg.Connection) -> None:
    """All chunks of the raw table into the column store."""
    enabled = (
        "SELECT compression_enabled FROM timescaledb_information.hypertables WHERE hypertable_name = 'llm_requests'"
    )
    if not one(connection, enabled)[0]:
        connection.execute(
            "ALTER TABLE metrics.llm_requests SET (timescaledb.compress, timescaledb.compress_segmentby = 'model', "
            "timescaledb.compress_orderby = 'ts')"
        )
    connection.execute(
        "SELECT compress_chunk(chunk, if_not_compressed => true) FROM show_chunks('metrics.llm_requests') AS chunk"
    )


def indexes(settings: Settings, rows: int) -> Iterator[Line]:
    """Bytes of the indexes on time that one partition may have, and how long it takes to add up 24 hours with each."""
    with connect(settings, autocommit=True) as connection:
        fill(connection, rows)
        for name, statements in INDEXES.items():
            connection.execute("CREATE TABLE indexed (LIKE metrics.llm_requests INCLUDING DEFAULTS)")
            connection.execute("INSERT INTO indexed SELECT * FROM metrics.llm_requests")
            for statement in statements:
                connection.execute(statement)
            connection.execute("VACUUM (ANALYZE) indexed")
            size = one(connection, "SELECT pg_indexes_size('indexed')")[0]
            yield Line(f"{rows:,} rows, {name}: its size", "bytes a row", size / rows, {})
            for what, query in DAY.items():
                seconds = [timed(connection, query) for _ in range(7)]
                plan = json.dumps(one(connection, "EXPLAIN (FORMAT JSON) " + query, WHEN)[0])
                used = "BRIN" if "Bitmap" in plan else "B-tree" if "Index" in plan else "scan of all"
                yield Line(f"{rows:,} rows, {name}: {what} ({used})", "ms", 1000 * statistics.median(seconds), {})
            connection.execute("DROP TABLE indexed")


WHEN = {"since": SINCE + timedelta(days=14), "until": SINCE + timedelta(days=15)}
DAY: dict[str, LiteralString] = {
    "count of 24 h": "SELECT count(*) FROM indexed WHERE ts >= %(since)s AND ts < %(until)s",
    "cost of 24 h by model": (
        "SELECT model, sum(cost_usd) FROM indexed WHERE ts >= %(since)s AND ts < %(until)s GROUP BY model"
    ),
}


def timed(connection: psycopg.Connection, query: LiteralString) -> float:
    """Seconds that `query` takes."""
    begun = time.perf_counter()
    connection.execute(query, WHEN).fetchall()
    return time.perf_counter() - begun


def extrapolated(lines: Sequence[Line]) -> Iterator[Line]:
    """A month of more requests than were measured: bytes a request and a rollup row as in the largest that was."""
    for back_end in ("plain", "timescale"):
        of = [line for line in lines if line.what.startswith(f"{back_end},")]
        if not of:
            continue
        # The largest comes last; a figure that only smaller ones have is theirs.
        latest = {(line.what.partition(": ")[2], line.unit): line.ours for line in of}
        rows = int(of[-1].what.split()[1].replace(",", ""))
        for requests, combinations in MONTHS.items():
            month = f"{back_end}, {requests:,} requests a month in {combinations} combinations"
            yield Line(f"{month}: raw", "GB", requests * latest["raw", "bytes a request"] / 1e9, {})
            if back_end == "timescale":
                yield Line(
                    f"{month}: column store", "GB", requests * latest["column store", "bytes a request"] / 1e9, {}
                )
            for grain, buckets in (("hourly", HOURS), ("daily", HOURS // 24)):
                count = min(requests, buckets * combinations)
                yield Line(f"{month}: {grain} rollup", "GB", count * latest[f"{grain} rollup", "bytes a row"] / 1e9, {})
            # A refresh works out anew each hour that has changed: mostly the one that is going on.
            seconds = latest["first roll-up of all", "s"] / rows * requests / HOURS
            yield Line(f"{month}: refresh of one mean hour", "s", seconds, {})


def show(lines: Sequence[Line]) -> None:
    """Print the lines as a Markdown table."""
    print("| what | value | unit |\n|---|---|---|")
    for line in lines:
        print(f"| {line.what} | {number(line.ours)} | {line.unit} |", flush=True)


def one(connection: psycopg.Connection, query: LiteralString, parameters: object = None) -> tuple:
    """The one row of a query."""
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row


if __name__ == "__main__":
    main()
