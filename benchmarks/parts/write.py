r"""Writing: rows a second into `metrics.llm_requests`, beside the usual ways and PostgreSQL's own limit.

All write the same requests in batches of 10,000, of which 1 % are there already, into the same table with its key. The
rollups' triggers run once a statement, and the peers send a statement a row: they are measured without those triggers
too, and the better figure counts. The limit, `psql \copy` of a ready CSV file, has the triggers and no duplicates.
"""

from __future__ import annotations

import csv
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import psycopg
from psycopg import sql
from sqlalchemy import MetaData
from sqlalchemy import Table as AlchemyTable
from sqlalchemy.dialects.postgresql import insert

from benchmarks.parts.figures import Figure, back_ends, folder, medians
from collectors.llm.record import COLUMNS, TABLE
from pipelines.simulate import llm_requests
from store.connect import connect, engine
from store.settings import Settings
from store.write import Written, write, write_frame

BATCH = 10_000
TWICE = BATCH // 100
PEERS = 3  # batches that the peers write: they are slow, and their rate does not depend on how many
DAYS = 130
OF_LIMIT, OF_PEER = 0.65, 2.2
TYPES: dict[str, type[pl.DataType] | pl.DataType] = {
    "ts": pl.Datetime("us", "UTC"),
    "http_status": pl.Int16,
    "streamed": pl.Boolean,
    **dict.fromkeys(("ttfc_s", "ttft_s", "duration_s", "output_tokens_per_s"), pl.Float64),
    **dict.fromkeys(
        ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"), pl.Int64
    ),
    "cost_usd": pl.Decimal(38, 12),
}
Rows = list[tuple[object, ...]]


def measure(*, rows: int, large: int, repeats: int) -> list[Figure]:
    """Ours from a frame and from rows, on each back end."""
    del large
    requests = simulated(rows)
    batches = [*with_duplicates(requests)]
    schema = {name: TYPES.get(name, pl.String) for name in COLUMNS}
    frames = [pl.DataFrame(batch, schema, orient="row") for batch in batches]
    figures = []
    with back_ends() as found, folder() as place:
        file = place / "rows.csv"
        with file.open("w", newline="") as out:
            csv.writer(out).writerows(requests)
        for back_end, settings in found.items():
            figures += on(back_end, settings, requests, batches, frames, file, repeats)
    return figures


def on(
    back_end: str,
    settings: Settings,
    requests: Rows,
    batches: list[Rows],
    frames: list[pl.DataFrame],
    file: Path,
    repeats: int,
) -> list[Figure]:
    """The figures of one back end."""
    ways = {
        "frame": lambda: ours(settings, frames),
        "rows": lambda: ours(settings, batches),
        "limit": lambda: by_psql(settings, file),
    }
    few = batches[:PEERS]
    theirs = {
        "SQLAlchemy insert": lambda: by_sqlalchemy(settings, few),
        "SQLAlchemy insert, no triggers": lambda: without_triggers(settings, by_sqlalchemy, few),
        "psycopg executemany": lambda: by_executemany(settings, few),
        "psycopg executemany, no triggers": lambda: without_triggers(settings, by_executemany, few),
    }
    with connect(settings) as connection:  # the partitions are there for all, and the right rows
        for batch in batches:
            write(connection, TABLE, COLUMNS, batch)
        assert connection.execute("SELECT count(*) FROM metrics.llm_requests").fetchone() == (len(requests),)
    seconds = medians(ways, repeats, before=lambda: emptied(settings))
    speed = {name: len(requests) / taken for name, taken in seconds.items()}
    limit = speed["limit"]
    seconds = medians(theirs, repeats, before=lambda: emptied(settings))
    peers = {name: sum(map(len, few)) / taken for name, taken in seconds.items()}
    better = max(peers.values())

    def figure(given: str, against: str, ratio: float, reach: float) -> Figure:
        what = f"idempotent write of {given}, {back_end}, against {against}"
        return Figure(what, "rows/s", speed[given], peers, limit, ratio, reach)

    return [
        figure("frame", "the limit", speed["frame"] / limit, OF_LIMIT),
        figure("frame", "the better peer", speed["frame"] / better, OF_PEER),
        figure("rows", "the better peer", speed["rows"] / better, OF_PEER),
    ]


def simulated(count: int) -> Rows:
    """The first `count` requests of the simulator."""
    rows = [request.values() for day in llm_requests(datetime(2026, 6, 1, tzinfo=UTC), DAYS) for request in day]
    if len(rows) < count:
        raise SystemExit(f"error: the simulator gives {len(rows):,} rows at most")
    return rows[:count]


def with_duplicates(rows: Rows) -> Iterator[Rows]:
    """`rows` in batches of `BATCH`, each with `TWICE` rows of earlier ones (the first: of its own) in between."""
    chance = random.Random(1)  # noqa: S311
    new = BATCH - TWICE
    for start in range(0, len(rows), new):
        batch = rows[start : start + new]
        batch += chance.sample(rows[:start] or batch, TWICE)
        chance.shuffle(batch)
        yield batch


def emptied(settings: Settings) -> None:
    """Empty the table and the log of its hours, where there is one."""
    with connect(settings, autocommit=True) as connection:
        connection.execute("TRUNCATE metrics.llm_requests")
        if connection.execute("SELECT to_regclass('metrics.rollup_log')").fetchone() != (None,):
            connection.execute("TRUNCATE metrics.rollup_log")
        connection.execute("CHECKPOINT")


def ours(settings: Settings, batches: list[Rows] | list[pl.DataFrame]) -> None:
    """`store.write`."""
    outcome = Written()
    with connect(settings) as connection:
        for batch in batches:
            if isinstance(batch, pl.DataFrame):
                outcome += write_frame(connection, TABLE, batch)
            else:
                outcome += write(connection, TABLE, COLUMNS, batch)
    assert outcome.duplicate == TWICE * len(batches)
    assert not outcome.rejected


def by_sqlalchemy(settings: Settings, batches: list[Rows]) -> None:
    """A Core insert with ON CONFLICT DO NOTHING."""
    database = engine(settings)
    table = AlchemyTable("llm_requests", MetaData(), schema="metrics", autoload_with=database)
    statement = insert(table).on_conflict_do_nothing()
    for batch in batches:
        with database.begin() as connection:
            connection.execute(statement, [dict(zip(COLUMNS, row, strict=True)) for row in batch])
    database.dispose()


def by_executemany(settings: Settings, batches: list[Rows]) -> None:
    """The same through psycopg's pipelined executemany."""
    places = sql.SQL(", ").join([sql.Placeholder()] * len(COLUMNS))
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    statement = sql.SQL("INSERT INTO metrics.llm_requests ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
        names, places
    )
    with connect(settings) as connection, connection.cursor() as cursor:
        for batch in batches:
            cursor.executemany(statement, batch)
            connection.commit()


def by_psql(settings: Settings, file: Path) -> None:
    r"""`\copy` of a ready file."""
    program = shutil.which("psql")
    if program is None or settings.dsn is None:
        raise SystemExit("error: psql is not on PATH; apt-get install postgresql-client")
    command = f"\\copy {TABLE} ({', '.join(COLUMNS)}) FROM '{file}' CSV"
    subprocess.run([program, settings.dsn.get_secret_value(), "-qc", command], check=True)


def without_triggers(settings: Settings, way: object, batches: list[Rows]) -> None:
    """`way` while the triggers of the table rest."""
    with resting(settings):
        way(settings, batches)  # type: ignore[operator]


@contextmanager
def resting(settings: Settings) -> Iterator[None]:
    """The triggers of the table are off."""
    with connect(settings, autocommit=True) as connection:
        switch(connection, "DISABLE")
        try:
            yield
        finally:
            switch(connection, "ENABLE")


def switch(connection: psycopg.Connection, state: str) -> None:
    """DISABLE or ENABLE them."""
    connection.execute(sql.SQL("ALTER TABLE metrics.llm_requests {} TRIGGER USER").format(sql.SQL(state)))
