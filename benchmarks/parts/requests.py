"""Requests to measure with: thirty days that look like a company's, made in the database itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from store.queries import Query

SINCE = datetime(2026, 5, 1, tzinfo=UTC)
DAYS = 30.0
SEED = 0.5


def fill(connection: psycopg.Connection, rows: int) -> None:
    """Leave `metrics.llm_requests` with `rows` requests of benchmarks/parts/requests.sql, from `SINCE` for `DAYS`.

    `connection` commits by itself and is in UTC. The requests of one count are the same every time.
    """
    text = (Path(__file__).with_suffix(".sql")).read_text().strip().removesuffix(";")
    connection.execute("TRUNCATE metrics.llm_requests")
    months = [SINCE + timedelta(days=step) for step in range(0, int(DAYS) + 5, 14)]
    connection.execute("CALL metrics.ensure_partitions('metrics.llm_requests', %s)", [months])
    connection.execute("SELECT setseed(%s)", [SEED])
    connection.execute(Query("requests", text).sql, {"requests": rows, "since": SINCE, "days": DAYS})
    connection.execute("ANALYZE metrics.llm_requests")
