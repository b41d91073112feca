"""A store with sixteen days of three teams, queues of which one fills up, and two budgets; and jobs that look at it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import numpy as np

from collectors.llm.budget import declare
from pipelines import ledger
from pipelines.jobs import Asked, job
from pipelines.jobs.keep import keep
from pipelines.ledger import Run
from pipelines.schedule import Job
from store.connect import connect
from store.queries import named
from store.settings import Settings
from tests.analytics.seed import HOUR, QUEUES, START, put, put_requests, request

DAYS = 16
END = START + timedelta(days=DAYS)  # 2026-03-18
SPIKE = END - 30 * HOUR  # one hour of search costs twenty times as much
SHIFT = END - timedelta(days=5)  # ads costs half as much again from here on
TEAMS = {"search": 2.0, "ads": 1.0, "lab": 0.25}
LIMIT = 10_000  # messages that "orders" may hold; it grows by 60 an hour, to 9,000


def fill(settings: Settings) -> None:
    random = np.random.default_rng(7)
    rows = []
    for hour in range(DAYS * 24):
        at = START + hour * HOUR
        for team, level in TEAMS.items():
            cost = level * (1 + 0.5 * np.sin(hour / 24 * 2 * np.pi)) * random.uniform(0.9, 1.1)
            cost *= 20 if team == "search" and at == SPIKE else 1.5 if team == "ads" and at >= SHIFT else 1
            rows.append(request(len(rows), hour, team=team, cost=float(round(cost, 6)), model=f"model-{team}"))
    put_requests(settings, rows)
    samples = []
    for hour in range((DAYS - 7) * 24, DAYS * 24):
        at, age = START + hour * HOUR, DAYS * 24 - hour
        depth = 9_000 - 60 * min(age - 1, 100)
        samples.append((at, "east", "/", "orders", depth, depth, 0, 2, 3.0, 3.0 - 60 / 3600, 3.0 - 60 / 3600))
        samples.append((at, "east", "/", "quiet", 0, 0, 0, 1, 0.5, 0.5, 0.5))
    put(settings, "metrics.rabbitmq_queues", QUEUES, samples)
    with connect(settings) as connection:
        connection.execute(
            "UPDATE metrics.rabbitmq_queues SET attrs = jsonb_build_object('max_length', %s::int) WHERE queue = 'orders'",
            [LIMIT],
        )
    declare.put(settings, "everything", limit_usd=Decimal(2500), period="month")
    declare.put(settings, "search month", limit_usd=Decimal(1000), period="month", team="search")
    declare.put(settings, "idle", limit_usd=Decimal(5), period="day", team="nobody")


def begun(settings: Settings, name: str, slot: datetime, attempt: int = 1) -> Asked:
    """A run of a job that the ledger knows, and takes any other of it for dead."""
    with connect(settings) as connection:
        connection.execute(named("report_interrupted").sql, {"job": name, "now": slot, "most": 10})
        run = Run(uuid4(), name, slot, {}, slot, None, "running", None, "", job=name, attempt=attempt)
        ledger.begin(connection, run)
    return Asked(settings, run.run_id, slot)


def written(settings: Settings, name: str, slot: datetime, *, attempt: int = 1, keep_days: int = 400, **values: object):
    """What a job writes for a slot, in this process: its run, and how many rows went into each table."""
    asked = begun(settings, name, slot, attempt)
    counts = keep(asked, job(name)(asked, **values), keep_days=keep_days)
    assert ledger.finished(settings, ledger.run_of(settings, str(asked.run_id)))
    return asked.run_id, counts


def rows(settings: Settings, table: str, order: str = "1"):
    """All rows of a table."""
    with connect(settings) as connection:
        cursor = connection.execute(f"SELECT * FROM analytics.{table} ORDER BY {order}")
        return [dict(zip([column.name for column in cursor.description], row, strict=True)) for row in cursor]


def writer(name: str, cron: str = "0 * * * *", parameters: dict[str, object] | None = None, **more: object) -> Job:
    """A write-back job of the schedule, called after what it writes."""
    return Job(name, name, cron, parameters or {}, kind="write", entry=name, **more)
