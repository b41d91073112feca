"""Rollups: how fast they answer, and how fast they catch up, on both back ends."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import psycopg

from benchmarks.parts.figures import Figure, back_ends, medians
from benchmarks.parts.requests import DAYS, SINCE, fill
from store.connect import connect
from store.queries import named
from store.rollup import refresh
from store.settings import Settings

UNTIL = SINCE + timedelta(days=DAYS)
SPAN = {"since": SINCE, "until": UNTIL}
BY_MODEL = {**SPAN, "grain": "hourly", "by": ["model"]}
QUANTILES = [0.5, 0.95, 0.99]
LATE = {"of one hour": timedelta(hours=1), "over 25 days": timedelta(days=25)}

RAW_SERIES = b"""
SELECT date_trunc('hour', ts, 'UTC') AS ds, model, count(*), count(*) FILTER (WHERE status = 'error'),
       sum(input_tokens), sum(cached_tokens), sum(output_tokens), sum(reasoning_tokens), sum(cost_usd)
FROM metrics.llm_requests WHERE ts >= %(since)s AND ts < %(until)s GROUP BY 1, 2 ORDER BY 1, 2
"""
RAW_PERCENTILES = b"""
SELECT date_trunc('hour', ts, 'UTC') AS ds, model, count(*), count(*) FILTER (WHERE status = 'error'),
       percentile_cont(%(qs)s) WITHIN GROUP (ORDER BY ttft_s) FILTER (WHERE status <> 'error'),
       percentile_cont(%(qs)s) WITHIN GROUP (ORDER BY duration_s) FILTER (WHERE status = 'ok'),
       percentile_cont(%(qs)s) WITHIN GROUP (ORDER BY 1 / output_tokens_per_s) FILTER (WHERE status <> 'error')
FROM metrics.llm_requests WHERE ts >= %(since)s AND ts < %(until)s GROUP BY 1, 2 ORDER BY 1, 2
"""
OWN_AGGREGATE = b"""
SELECT bucket AS ds, model, sum(requests), sum(errors),
       sum(input_tokens), sum(cached_tokens), sum(output_tokens), sum(reasoning_tokens), sum(cost_usd)
FROM metrics.llm_requests_hourly_stored WHERE bucket >= %(since)s AND bucket < %(until)s GROUP BY 1, 2 ORDER BY 1, 2
"""
# Copies of requests that are there, at another time: an hour that is new, or one that is long rolled up.
TAKE = b"""
CREATE TEMP TABLE more AS
WITH there AS MATERIALIZED (SELECT * FROM metrics.llm_requests WHERE ts >= %(since)s AND ts < %(until)s),
     times AS (SELECT n FROM generate_series(1, 1 + %(rows)s / (SELECT count(*) FROM there)) AS n)
SELECT there.* FROM times, there ORDER BY random() LIMIT %(rows)s
"""
SHIFT = b"UPDATE more SET ts = ts + %s, request_id = %s || ctid::text"
GIVE = b"INSERT INTO metrics.llm_requests SELECT * FROM more"


def measure(*, rows: int, large: int, repeats: int) -> list[Figure]:
    """Answers over `large` requests of 30 days, and a refresh after 10,000 new and 100 late ones."""
    del rows
    with back_ends() as stores:
        found = {name: one_back_end(settings, large, repeats) for name, settings in stores.items()}
    plain, own = found["plain"], found.get("timescale", {}).get("own")
    raw = {"raw scan": plain["raw series"] * 1e3}
    ratio = plain["series"] / own if own else float("nan")
    what = f"30 days hourly by model over {large:,} requests, plain; limit TimescaleDB's own aggregate"
    figures = [Figure(what, "ms", plain["series"] * 1e3, raw, own and own * 1e3, ratio, 2, at_most=True)]
    for name, seconds in found.items():
        what = f"p50, p95, p99 of three latencies per hour and model, 30 days, {name}"
        peers = {"percentile_cont on raw": seconds["raw percentiles"] * 1e3}
        ratio = seconds["percentiles"] / seconds["raw percentiles"]
        figures.append(Figure(what, "ms", seconds["percentiles"] * 1e3, peers, None, ratio, 1 / 8, at_most=True))
    for name, seconds in found.items():
        for late in LATE:
            what = f"refresh after 10,000 new and 100 late rows {late}, {name}"
            peers = {"full rebuild": seconds["rebuild"]}
            ratio = seconds[late] / seconds["rebuild"]
            figures.append(Figure(what, "s", seconds[late], peers, None, ratio, 1 / 50, at_most=True))
    return figures


def one_back_end(settings: Settings, large: int, repeats: int) -> dict[str, float]:
    """Seconds of every way on one back end."""
    with connect(settings, autocommit=True) as connection:
        fill(connection, large)
        seconds = {"rebuild": timed(partial(refresh, settings))}
        connection.execute("VACUUM ANALYZE")
        ways: dict[str, Callable[[], object]] = {
            "series": partial(fetch, connection, named("llm_series").sql, BY_MODEL),
            "raw series": partial(fetch, connection, RAW_SERIES, SPAN),
            "percentiles": partial(fetch, connection, named("llm_latency").sql, {**BY_MODEL, "quantiles": QUANTILES}),
            "raw percentiles": partial(fetch, connection, RAW_PERCENTILES, {**SPAN, "qs": QUANTILES}),
        }
        if connection.execute("SELECT to_regclass('metrics.rollup_log')").fetchone() == (None,):
            ways["own"] = partial(fetch, connection, OWN_AGGREGATE, SPAN)
        seconds |= medians(ways, repeats)
        new = 0
        for late, span in LATE.items():
            taken = []
            for _ in range(repeats):
                new += 1
                arrive(connection, 10_000, timedelta(hours=2), timedelta(days=3, hours=2 * new), f"new{new}-")
                arrive(connection, 100, span, timedelta(milliseconds=new), f"late{new}-")
                taken.append(timed(partial(refresh, settings)))
            seconds[late] = statistics.median(taken)
    return seconds


def arrive(connection: psycopg.Connection, rows: int, span: timedelta, shift: timedelta, prefix: str) -> None:
    """Insert copies of `rows` requests of the `span` that ended three days before the end, moved by `shift`."""
    until = UNTIL - timedelta(days=3)
    with connection.transaction():
        connection.execute(TAKE, {"since": until - span, "until": until, "rows": rows})
        connection.execute(SHIFT, [shift, prefix])
        months = connection.execute("SELECT array_agg(DISTINCT date_trunc('month', ts)) FROM more").fetchone()
        connection.execute("CALL metrics.ensure_partitions('metrics.llm_requests', %s)", months)
        connection.execute(GIVE)
        connection.execute("DROP TABLE more")


def fetch(connection: psycopg.Connection, query: bytes, parameters: dict[str, object]) -> int:
    """Run a query and take its rows."""
    return len(connection.execute(query, parameters).fetchall())


def timed(action: Callable[[], object]) -> float:
    """Seconds that `action` takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun
