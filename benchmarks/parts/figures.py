"""What a measurement gives: figures beside their peers and their limit, and the servers to take them on."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.settings import Settings, load

TIMESCALE = "GAUGEBOOK_TEST_TIMESCALE_DSN"
_numbers = count()


@dataclass(frozen=True)
class Figure:
    """One line of the table. `ratio` is what is compared with `reach`: at least it, or at most it where `at_most`."""

    what: str
    unit: str
    ours: float
    peers: Mapping[str, float]
    limit: float | None
    ratio: float
    reach: float
    at_most: bool = field(default=False, repr=False)

    @property
    def ok(self) -> bool:
        return self.ratio <= self.reach if self.at_most else self.ratio >= self.reach


def show(figures: Sequence[Figure]) -> None:
    """Print `figures` as the Markdown table that docs/performance.md holds."""
    print("| what | unit | ours | peers | limit | ratio | to reach | |\n|---|---|---|---|---|---|---|---|")
    for figure in figures:
        peers = "; ".join(f"{peer} {number(value)}" for peer, value in figure.peers.items())
        limit = "" if figure.limit is None else number(figure.limit)
        sign = "<=" if figure.at_most else ">="
        print(
            f"| {figure.what} | {figure.unit} | {number(figure.ours)} | {peers} | {limit} "
            f"| {number(figure.ratio)} | {sign} {number(figure.reach)} | {'yes' if figure.ok else 'NO'} |"
        )


def save(figures: Sequence[Figure], file: Path) -> None:
    """Write `figures` as JSON."""
    lines = [{key: value for key, value in asdict(f).items() if key != "at_most"} | {"ok": f.ok} for f in figures]
    file.write_text(json.dumps(lines, indent=1))


def number(value: float) -> str:
    """Three figures that count.

    >>> number(68431.2), number(0.7312), number(12.345)
    ('68,400', '0.731', '12.3')
    """
    if value == 0:
        return "0"
    digits = 2 - int(f"{abs(value):e}".partition("e")[2])
    return f"{round(value, digits):,.{max(digits, 0)}f}"


def medians(
    ways: Mapping[str, Callable[[], object]], repeats: int, before: Callable[[], object] = lambda: None
) -> dict[str, float]:
    """Seconds that each of `ways` takes: the median of `repeats` runs, taken in turn, `before` called ahead of each."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            before()
            begun = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder that the user of a server can enter."""
    path = Path(tempfile.mkdtemp(prefix="gaugebook-bench-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def back_ends() -> Iterator[dict[str, Settings]]:
    """Fresh, migrated databases with fsync: "plain" on a server of its own, "timescale" where its DSN is given."""
    with folder() as home:
        server = EmbeddedServer(home, configuration={"shared_buffers": "512MB", "max_wal_size": "4GB"})
        server.start()
        found = {"plain": load(dsn=server.conninfo(), home=home)}
        administration = os.environ.get(TIMESCALE)
        name = f"gaugebook_bench_{os.getpid()}_{next(_numbers)}"
        try:
            if administration:
                with psycopg.connect(administration, autocommit=True) as connection:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                found["timescale"] = load(dsn=make_conninfo(administration, dbname=name), home=home)
            for settings in found.values():
                migrate(settings)
            yield found
        finally:
            if administration:
                with psycopg.connect(administration, autocommit=True) as connection:
                    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            server.stop()
