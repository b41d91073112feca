"""Rollups: equal to a plain loop over the raw rows, on every back end, late rows included."""

from __future__ import annotations

import math
import random
import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from store.connect import connect
from store.rollup import refresh
from store.write import write
from tests.fix_postgres import waiting_hours

COLUMNS = (
    "ts", "request_id", "provider", "model", "team", "project", "source", "status", "usage_source",
    "ttft_s", "duration_s", "output_tokens_per_s", "input_tokens", "output_tokens", "cost_usd",
)  # fmt: skip
START = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)  # the clocks of Europe change in the night after


def awkward(count: int, seed: int, prefix: str = "r") -> list[tuple[object, ...]]:
    """Requests over four days with empty hours, errors with and without a latency, missing usage and prices."""
    chance = random.Random(seed)
    rows: list[tuple[object, ...]] = []
    for n in range(count):
        hour = chance.choice([h for h in range(96) if h % 7])
        status = chance.choices(["ok", "error", "cancelled"], [90, 7, 3])[0]
        usage = chance.choice(["reported", "reported", "missing"])
        rows.append((
            START + timedelta(hours=hour, seconds=chance.random() * 3600), f"{prefix}{n}", "openai", chance.choice(["a", "b"]), chance.choice(["x", "y"]), "p", "test",
            status, usage,
            chance.choice([None, 0.0, chance.lognormvariate(-1, 1)]), chance.lognormvariate(1, 2), chance.choice([None, 0.0, chance.uniform(5, 200)]),
            None if usage == "missing" else chance.randrange(5000), None if usage == "missing" else chance.randrange(900),
            None if usage == "missing" else round(chance.random(), 9),
        ))  # fmt: skip
    return rows


def by_loop(rows: list[tuple[object, ...]], hours: int) -> dict[tuple[object, ...], dict[str, float]]:
    """What the rollups should hold, the slow way."""
    groups: dict[tuple[object, ...], list[dict[str, object]]] = defaultdict(list)
    for row in rows:
        values = dict(zip(COLUMNS, row, strict=True))
        moment = values["ts"].replace(minute=0, second=0, microsecond=0)
        bucket = moment if hours == 1 else moment.replace(hour=0)
        groups[bucket, values["model"], values["team"]].append(values)
    result = {}
    for key, group in groups.items():
        ttft = [r["ttft_s"] for r in group if r["status"] != "error" and r["ttft_s"] is not None]
        duration = [r["duration_s"] for r in group if r["status"] == "ok"]
        tps = [r["output_tokens_per_s"] for r in group if r["status"] != "error" and r["output_tokens_per_s"]]
        result[key] = {
            "requests": len(group),
            "errors": sum(r["status"] == "error" for r in group),
            "cancelled": sum(r["status"] == "cancelled" for r in group),
            "unpriced": sum(r["status"] == "ok" and r["cost_usd"] is None for r in group),
            "unmetered": sum(r["status"] == "ok" and r["usage_source"] == "missing" for r in group),
            "input_tokens": sum(r["input_tokens"] or 0 for r in group),
            "cost_usd": sum(r["cost_usd"] or 0 for r in group),
            "ttft_count": len(ttft), "ttft_sum": sum(ttft), "ttft_max": max(ttft, default=0), "ttft_places": sum(map(place, ttft)),
            "duration_count": len(duration), "duration_sum": sum(duration), "duration_sumsq": sum(d * d for d in duration), "duration_places": sum(map(place, duration)),
            "tpot_count": len(tps), "tpot_sum": sum(1 / r for r in tps), "tps_sum": sum(tps), "tpot_places": sum(place(1 / r) for r in tps),
        }  # fmt: skip
    return result


def place(seconds: float) -> int:
    """Which of the 242 buckets a latency falls into, counted from 1."""
    position = math.log(max(seconds * 1000, 1)) / 14 * 240
    return 242 if position >= 240 else math.floor(position) + 2


SUMMARY = """
    SELECT bucket, model, team, requests, errors, cancelled, unpriced, unmetered, coalesce(input_tokens, 0), coalesce(cost_usd, 0)::float8,
           ttft_count, coalesce(ttft_sum, 0), coalesce(ttft_max, 0), {ttft}, duration_count, coalesce(duration_sum, 0), coalesce(duration_sumsq, 0), {duration},
           tpot_count, coalesce(tpot_sum, 0), coalesce(tps_sum, 0), {tpot}
    FROM metrics.llm_requests_{grain}
"""
NAMES = [
    "requests",
    "errors",
    "cancelled",
    "unpriced",
    "unmetered",
    "input_tokens",
    "cost_usd",
    "ttft_count",
    "ttft_sum",
    "ttft_max",
    "ttft_places",
    "duration_count",
    "duration_sum",
    "duration_sumsq",
    "duration_places",
    "tpot_count",
    "tpot_sum",
    "tps_sum",
    "tpot_places",
]


def rolled_up(settings, grain: str) -> dict[tuple[object, ...], dict[str, float]]:
    places = {
        name: f"coalesce((SELECT sum({name}_hist[i] * i) FROM generate_subscripts({name}_hist, 1) AS i), 0)::bigint"
        for name in ("ttft", "duration", "tpot")
    }
    with connect(settings) as connection:
        rows = connection.execute(SUMMARY.format(grain=grain, **places).encode()).fetchall()
    assert len({row[:3] for row in rows}) == len(rows)
    return {row[:3]: dict(zip(NAMES, row[3:], strict=True)) for row in rows}


def same(settings, rows: list[tuple[object, ...]]) -> None:
    for grain, hours in (("hourly", 1), ("daily", 24)):
        expected = by_loop(rows, hours)
        found = rolled_up(settings, grain)
        assert found.keys() == expected.keys()
        for key, values in expected.items():
            assert found[key] == pytest.approx(values, rel=1e-9), (grain, key)


def test_equal_to_a_loop_and_to_itself_after_late_rows(any_store):
    first, late = awkward(3000, 1), awkward(40, 2, "late")
    with connect(any_store) as connection:
        write(connection, "metrics.llm_requests", COLUMNS, first)
        same(any_store, first)  # before any refresh
        refresh(any_store)
        same(any_store, first)
        write(connection, "metrics.llm_requests", COLUMNS, late)
        if waiting_hours(any_store):
            same(any_store, first + late)  # TimescaleDB shows late rows after a refresh, the plain back end at once
        refresh(any_store)
        refresh(any_store)
        same(any_store, first + late)


def test_a_change_and_a_deletion_reach_the_rollup(any_store):
    rows = awkward(500, 3)
    with connect(any_store) as connection:
        write(connection, "metrics.llm_requests", COLUMNS, rows)
        refresh(any_store)
        connection.execute("DELETE FROM metrics.llm_requests WHERE request_id < 'r2'")
        connection.execute("UPDATE metrics.llm_requests SET cost_usd = 7 WHERE request_id >= 'r8'")
        connection.commit()
        refresh(any_store)
    kept = [row if row[1] < "r8" else (*row[:-1], 7) for row in rows if row[1] >= "r2"]
    same(any_store, kept)


def test_writers_and_refreshers_at_once_lose_nothing(store):
    """Six writers into the same few hours while two refreshers run: the case that a log with one mark an hour gets wrong."""
    parts = [awkward(400, 10 + n, f"w{n}-") for n in range(6)]
    done = threading.Event()

    def write_part(part: list[tuple[object, ...]]) -> None:
        with connect(store) as connection:
            for i in range(0, len(part), 20):
                write(connection, "metrics.llm_requests", COLUMNS, part[i : i + 20])

    def keep_refreshing() -> None:
        while not done.is_set():
            refresh(store)

    writers = [threading.Thread(target=write_part, args=[part]) for part in parts]
    refreshers = [threading.Thread(target=keep_refreshing) for _ in range(2)]
    for thread in [*refreshers, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in refreshers:
        thread.join()
    everything = [row for part in parts for row in part]
    if waiting_hours(store) is not None:
        same(store, everything)  # TimescaleDB shows late rows after a refresh
    refresh(store)
    same(store, everything)
    assert not waiting_hours(store)


def test_usage_and_queues_roll_up_too(any_store):
    usage = [(START + timedelta(minutes=10 * n), 600, "s", n, n * 10, n * 2, "estimated") for n in range(300)]
    queues = [(START + timedelta(minutes=n), "c", "/", 'a "q"', n, n, 0, 2, float(n)) for n in range(180)]
    with connect(any_store) as connection:
        write(
            connection,
            "metrics.llm_usage",
            ("ts", "width_s", "source", "requests", "input_tokens", "output_tokens", "usage_source"),
            usage,
        )
        write(
            connection,
            "metrics.rabbitmq_queues",
            (
                "ts",
                "cluster",
                "vhost",
                "queue",
                "messages",
                "messages_ready",
                "messages_unacked",
                "consumers",
                "published_per_s",
            ),
            queues,
        )
        for _ in range(2):
            hours = connection.execute(
                "SELECT bucket, windows, requests, input_tokens FROM metrics.llm_usage_hourly ORDER BY 1"
            ).fetchall()
            assert hours[1] == (START + timedelta(hours=1), 6, sum(range(6, 12)), sum(range(60, 120, 10)))
            assert sum(row[2] for row in hours) == sum(range(300))
            days = connection.execute("SELECT sum(windows), sum(requests) FROM metrics.llm_usage_daily").fetchone()
            assert days == (300, sum(range(300)))
            row = connection.execute(
                "SELECT samples, avg_messages, min_messages, max_messages, last_messages, avg_published_per_s FROM metrics.rabbitmq_metrics_daily ORDER BY bucket LIMIT 1"
            ).fetchone()
            assert row == (180, 89.5, 0, 179, 179, 89.5)
            connection.commit()
            refresh(any_store)
