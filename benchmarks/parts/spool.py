"""Rows through the spool, with an fsync of each batch, beside the writer alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from psycopg import sql

from benchmarks.parts.figures import Figure, back_ends, medians
from collectors.llm.record import COLUMNS, TABLE
from store.connect import connect
from store.deliver import Delivery
from store.precedence import Precedence
from store.settings import Settings
from store.spool import Spool
from store.tally import Waiting
from store.write import write

BATCH_ROWS = 10_000
REACH = 0.8
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
FILL = Path(__file__).with_name("requests.sql")

Batches = list[list[tuple[object, ...]]]


class Losses:
    """A tally that counts what a measurement must not have."""

    count = 0

    def watch(self, waiting: Callable[[], Waiting]) -> None: ...
    def wrote(self, *_: object) -> None: ...
    def rejected(self, *_: object) -> None:
        self.count += 1

    failed = dropped = damaged = rejected


def measure(*, rows: int, large: int, repeats: int) -> list[Figure]:
    """Rows/s from the first append to the last commit, on each back end."""
    del large
    logging.getLogger("store").setLevel(logging.ERROR)
    figures = []
    with back_ends() as found:
        for name, settings in found.items():
            batches = _batches(settings, rows)
            seconds = medians(
                {
                    "spool": lambda s=settings, b=batches: _through_the_spool(s, b),  # type: ignore[misc]
                    "writer": lambda s=settings, b=batches: _alone(s, b),  # type: ignore[misc]
                },
                repeats,
                before=lambda s=settings: _empty(s),  # type: ignore[misc]
            )
            ours, limit = rows / seconds["spool"], rows / seconds["writer"]
            what = f"write through the spool, fsync each batch ({name})"
            figures.append(Figure(what, "rows/s", ours, {}, limit, ours / limit, REACH))
    return figures


def _through_the_spool(settings: Settings, batches: Batches) -> None:
    losses = Losses()
    spool = Spool(settings.home / "spool", "bench", limit_bytes=1 << 30, fsync="each", tally=losses)
    delivery = Delivery(settings, spool, losses)
    for batch in batches:
        spool.append(TABLE, COLUMNS, batch)
    assert delivery.flush(600)
    assert delivery.close(1) == losses.count == 0


def _alone(settings: Settings, batches: Batches) -> None:
    precedence = Precedence.of(settings)
    with connect(settings, autocommit=True) as connection:
        for batch in batches:
            assert write(connection, TABLE, COLUMNS, batch, precedence=precedence).written == len(batch)


def _empty(settings: Settings) -> None:
    with connect(settings, autocommit=True) as connection:
        connection.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(*TABLE.split("."))))
        connection.execute("CHECKPOINT")


def _batches(settings: Settings, rows: int) -> Batches:
    """Requests like those of a company, as the tap would hand them over."""
    text = FILL.read_text()
    for name, value in (("requests", str(rows)), ("since", f"'{SINCE:%Y-%m-%d}'"), ("days", "30")):
        text = text.replace(f":{name}::", f"{value}::")
    with connect(settings) as connection:
        connection.execute("CALL metrics.ensure_partitions(%s::regclass, %s)", [TABLE, [SINCE, SINCE + timedelta(31)]])
        connection.execute(text.encode())
        wanted = sql.SQL("SELECT {} FROM {} ORDER BY ts").format(
            sql.SQL(", ").join(map(sql.Identifier, COLUMNS)), sql.Identifier(*TABLE.split("."))
        )
        made = connection.execute(wanted).fetchall()
        connection.rollback()
    made = [tuple(value.astimezone(UTC) if isinstance(value, datetime) else value for value in row) for row in made]
    return [made[start : start + BATCH_ROWS] for start in range(0, len(made), BATCH_ROWS)]
