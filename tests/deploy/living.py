"""A store of a small company up to this hour: calls, queues, budgets, and what the schedule has written back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np

from collectors.llm.budget import declare
from pipelines.simulate import WORKLOADS
from store.connect import connect
from store.roles import ensure, grant, group
from store.settings import Settings
from tests.analytics.seed import put
from tests.pipelines.seeded import written

DAYS = 24
COLUMNS = (
    *("ts", "request_id", "provider", "model", "team", "project", "source", "status", "error_type", "http_status"),
    *("streamed", "ttft_s", "duration_s", "output_tokens_per_s", "input_tokens", "cached_tokens", "output_tokens"),
    *("usage_source", "cost_usd"),
)
QUEUES = (
    *("ts", "cluster", "vhost", "queue", "type", "messages", "messages_ready", "messages_unacked", "consumers"),
    *("published_per_s", "delivered_per_s", "acked_per_s", "head_age_s"),
)
LIMIT = 20_000
ERRORS = (("rate_limit_exceeded", 429), ("server_error", 500), ("invalid_request", 400), ("APITimeoutError", None))


def fill(settings: Settings, *, clusters: Iterable[str], until: datetime | None = None) -> datetime:
    """Fill a store that is empty; the hour that the write-back stands for."""
    now = (until or datetime.now(UTC)).replace(minute=0, second=0, microsecond=0)
    put(settings, "metrics.llm_requests", COLUMNS, _requests(now))
    samples = [row for cluster in clusters for row in _queues(now, cluster)]
    if until is None:  # and one of this very minute
        just_now = datetime.now(UTC)
        samples += [
            (just_now, cluster, "/", "orders", "classic", 15_000, 15_000, 0, 2, 22.0, 21.99, 21.99, 750.0)
            for cluster in clusters
        ]
    put(settings, "metrics.rabbitmq_queues", QUEUES, samples)
    with connect(settings) as connection:
        connection.execute(
            "UPDATE metrics.rabbitmq_queues SET attrs = jsonb_build_object('max_length', %s::int) WHERE queue = 'orders'",
            [LIMIT],
        )
    declare.put(settings, "all teams", limit_usd=Decimal(3000), period="month")
    declare.put(settings, "search month", limit_usd=Decimal(250), period="month", team="search")
    declare.put(settings, "research day", limit_usd=Decimal(30), period="day", team="research")
    ensure(settings)
    grant(settings, group("grafana"), ["*"])
    written(settings, "forecasts", now, days=DAYS, horizons="24h,7d")
    written(settings, "anomalies", now, days=DAYS)
    written(settings, "change_points", now, days=DAYS)
    written(settings, "budgets", now, days=DAYS)
    written(settings, "queues", now, days=7)
    with connect(settings) as connection:  # which the tick notes, of the process that it started
        connection.execute("UPDATE analytics.report_run SET duration_s = 10")
    return now


def _requests(now: datetime) -> list[tuple[object, ...]]:
    """One call a workload and hour, as large as all its calls were; reviews of code run away for three hours of the last day."""
    random, rows = np.random.default_rng(11), []
    for hour in range(DAYS * 24):
        at = now - timedelta(hours=DAYS * 24 - hour)
        day = 1 + 0.6 * np.sin((at.hour - 8) / 24 * 2 * np.pi)
        for place, work in enumerate(WORKLOADS):
            size = 400 * work.share * day * random.lognormal(0, 0.15) * (1.5 if hour > DAYS * 18 and place == 2 else 1)
            size *= 9 if place == 4 and 17 <= DAYS * 24 - hour < 20 else 1
            given, made = int(work.input_tokens * size), int(work.output_tokens * size)
            cost = None if place == 5 and hour % 50 == 0 else round((given * 0.8 + made * 4) / 1e6, 6)
            rows.append(_call(at + timedelta(minutes=3 * place), f"{hour}-{place}", work, random, given, made, cost))
        for number in range(random.poisson(0.4)):
            work = WORKLOADS[int(random.integers(len(WORKLOADS)))]
            kind, status = ERRORS[int(random.integers(len(ERRORS)))]
            who = (work.provider, work.model, work.team, work.project, "test", "error", kind, status)
            rows.append((at + timedelta(minutes=40), f"{hour}-e{number}", *who, True, *([None] * 6), "missing", None))
    return rows


def _call(
    at: datetime, name: str, work: object, random: np.random.Generator, given: int, made: int, cost: float | None
) -> tuple[object, ...]:
    ttft, speed = work.ttft_s * random.lognormal(0, 0.3), work.tokens_per_s * random.lognormal(0, 0.2)
    who = (work.provider, work.model, work.team, work.project, "test", "ok", None, 200, True)
    tokens = (given, int(given * work.cached), made, "reported", cost)
    return (at, name, *who, float(ttft), float(ttft + 5), float(speed), *tokens)


def _queues(now: datetime, cluster: str) -> list[tuple[object, ...]]:
    """A queue that fills, one that breathes with the day, one that is empty; every quarter of an hour."""
    random, rows = np.random.default_rng(5), []
    for quarter in range(8 * 96):
        at = now - timedelta(minutes=15 * (8 * 96 - quarter))
        day = 1 + 0.7 * np.sin((at.hour - 8) / 24 * 2 * np.pi)
        filling = 9000 + 8 * quarter + int(random.integers(50))
        busy = int(400 * day * random.lognormal(0, 0.2))
        shapes = (("orders", filling, 22.0, 21.99), ("mail", busy, 9 * day, 9 * day), ("audit", 0, 0.5, 0.5))
        for name, depth, came, went in shapes:
            rows.append(
                (
                    at,
                    cluster,
                    "/",
                    name,
                    "classic",
                    depth,
                    depth,
                    0,
                    2,
                    float(came),
                    float(went),
                    float(went),
                    depth / 20,
                )
            )
    return rows
