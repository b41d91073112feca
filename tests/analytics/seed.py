"""Rows for the tests of analytics: small, seeded, written through the real store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from store.connect import connect
from store.rollup import refresh
from store.settings import Settings
from store.write import write

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
REQUESTS = (
    *("ts", "request_id", "provider", "model", "team", "project", "source", "status", "ttft_s", "duration_s"),
    *("input_tokens", "output_tokens", "usage_source", "cost_usd"),
)
USAGE = ("ts", "width_s", "provider", "model", "source", "requests", "input_tokens", "output_tokens")
QUEUES = (
    *("ts", "cluster", "vhost", "queue", "messages", "messages_ready", "messages_unacked", "consumers"),
    *("published_per_s", "delivered_per_s", "acked_per_s"),
)
NASTY = 'a "q" \\ <script>alert(1)</script>'


def request(k, hour, *, team="search", model="gpt-4o", cost=0.5, status="ok", minute=0, ttft=0.2):
    at = START + hour * HOUR + timedelta(minutes=minute)
    good = status == "ok"
    usage = (100, 20, "reported") if good else (None, None, "missing")
    return (at, f"r{k}", "openai", model, team, "p", "test", status, ttft if good else None, 1.0, *usage, cost)


def put(settings: Settings, table: str, columns, rows) -> None:
    with connect(settings) as connection:
        write(connection, table, columns, rows)
    refresh(settings)


def put_requests(settings: Settings, rows) -> None:
    put(settings, "metrics.llm_requests", REQUESTS, rows)


def busy_requests(hours: int, seed: int = 0):
    """A daily season, three models (one without a price), two teams (one with a name to beware of)."""
    random = np.random.default_rng(seed)
    rows = []
    for hour in range(hours):
        for _ in range(random.poisson(4 * (1 + 0.7 * np.sin(hour / 24 * 2 * np.pi)))):
            model = ("gpt-4o", "o3", "home-made")[random.integers(3)]
            cost = None if model == "home-made" else float(round(random.lognormal(-3, 0.5), 6))
            team = ("search", NASTY)[random.integers(2)]
            minute = int(random.integers(60))
            rows.append(request(len(rows), hour, team=team, model=model, cost=cost, minute=minute))
    return rows


def busy_usage(hours: int):
    return [
        (START + k * HOUR, 3600, "ali", "m-small", "test", 1000 + 500 * (k % 24), 100_000, 20_000) for k in range(hours)
    ]


def busy_queues(hours: int, names=("orders", NASTY)):
    rows = []
    for hour in range(hours):
        for name in names:
            depth = int(50 * (1.5 + np.sin(hour / 24 * 2 * np.pi))) + hour % 3
            rows.append((START + hour * HOUR, "rabbit", "/", name, depth, depth, 0, 2, 5.0, 6.0, 6.0))
    return rows


def hours(count: int, start: datetime = START) -> pl.Series:
    return pl.datetime_range(start, start + (count - 1) * HOUR, "1h", time_zone="UTC", eager=True)


def seasonal(count: int, *, noise=0.1, level=10.0, seed=0, unique_id="s") -> pl.DataFrame:
    """A positive hourly series with a daily season and multiplicative noise."""
    random = np.random.default_rng(seed)
    t = np.arange(count)
    y = level * (1 + 0.5 * np.sin(t / 24 * 2 * np.pi)) * random.lognormal(0, noise, count)
    return pl.DataFrame({"unique_id": unique_id, "ds": hours(count), "y": y})
