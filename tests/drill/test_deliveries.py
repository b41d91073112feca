"""Ticks that are killed while they deliver: each letter and each call arrives, and the ledger never says more than that."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest
from aiosmtpd.controller import Controller

from pipelines import ledger
from pipelines.delivery.parcel import Parcel
from pipelines.delivery.wanted import Email, Webhook
from store.connect import connect
from tests.pipelines.ticker import job, start, tick
from tests.servers import free_port

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(1200),
]

KILLS = 20
SLOW_S = 0.3  # that a server takes at most before it accepts, and again before it says so
FAULTY = 0.15  # of what comes in is refused for the time being
FIRST = datetime(2026, 5, 1, 6, 1, tzinfo=UTC)
AGAIN = """
    UPDATE analytics.report_run
    SET deliveries = (SELECT jsonb_agg(one - 'retry_at') FROM jsonb_array_elements(deliveries) AS one)
    WHERE deliveries @> '[{"outcome": "waiting"}]'
"""


class Post:
    """What both servers have accepted, by the key of the delivery; `begun` is set when something comes in."""

    def __init__(self):
        self.accepted, self.begun, self.chance = Counter(), threading.Event(), random.Random(7)

    def pause(self):
        return self.chance.uniform(0, SLOW_S)

    async def handle_DATA(self, server, session, envelope):
        self.begun.set()
        await asyncio.sleep(self.pause())
        if self.chance.random() < FAULTY:
            return "451 try again later"
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.accepted[message["Message-ID"].removeprefix("<").removesuffix("@gaugebook>")] += 1
        await asyncio.sleep(self.pause())
        return "250 OK"

    def hear(self, asked):
        self.begun.set()
        time.sleep(self.pause())
        if self.chance.random() < FAULTY:
            return 503, b"try again later"
        assert json.loads(asked.body)["type"] == "report.ready"
        self.accepted[asked.headers["idempotency-key"]] += 1
        time.sleep(self.pause())
        return 200, b""


@pytest.fixture
def post(service):
    kept = Post()
    service.answers = kept.hear
    controller = Controller(kept, hostname="127.0.0.1", port=free_port())
    controller.start()
    email = Email(to="email", addresses=["a@example.com"], port=controller.port, pictures=False)
    kept.places = (email, Webhook(to="webhook", url=f"{service.url}/hook"))
    yield kept
    controller.stop()


def noted(settings, post):
    """Each delivery of each good run: its key, and its outcome in the ledger."""
    found = {}
    for run in ledger.history(settings, latest=10_000):
        if run.outcome == "ok":
            keys = [Parcel(run).key(json.dumps(place.model_dump(mode="json"))) for place in post.places]
            found |= {key: one["outcome"] for key, one in zip(keys, run.deliveries, strict=True)}
    return found


def honest(settings, post):
    """What the ledger calls delivered has been accepted; how many deliveries it still has to make."""
    outcomes = noted(settings, post)
    assert [key for key, outcome in outcomes.items() if outcome == "ok" and not post.accepted[key]] == []
    assert set(outcomes.values()) <= {"ok", "waiting"}
    return list(outcomes.values()).count("waiting")


def test_every_report_arrives_and_the_ledger_knows_it(store, post):
    chance = random.Random(20260501)
    jobs = [job(name, catch_up="all", deliver=post.places) for name in ("first", "second")]
    tick(store, FIRST, *jobs)
    hit = 0
    for day in range(1, KILLS + 1):
        post.begun.clear()
        host = start(store, FIRST + timedelta(days=day), *jobs)
        assert post.begun.wait(120), host.communicate(timeout=5)
        time.sleep(chance.uniform(0, 3 * SLOW_S))
        host.kill()
        host.communicate()
        hit += honest(store, post) > 0
    assert hit >= KILLS / 2, "the kills have hit nothing"

    for minute in range(1, 30):
        with connect(store) as connection:
            connection.execute(AGAIN)  # nobody waits for minutes here
        tick(store, FIRST + timedelta(days=KILLS, minutes=minute), *jobs)
        if not honest(store, post):
            break
    outcomes = noted(store, post)
    assert len(outcomes) == len(jobs) * len(post.places) * KILLS
    assert set(outcomes.values()) == {"ok"}
    assert set(post.accepted) == set(outcomes)
    twice = sum(count - 1 for count in post.accepted.values())
    print(f"{KILLS} kills, {hit} of them in the middle: {len(outcomes)} deliveries arrived, {twice} of them twice")
    assert twice <= KILLS * len(jobs)  # of each job that delivers, a kill hits one
