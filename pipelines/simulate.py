"""A simulator: sixty days of LLM requests and queue samples that look like a company's, and are nobody's.

Everything is drawn from one seed: daily and weekly seasons, growth, three incidents and a price change. The rows say
`source = 'simulated'`. Prices are those of the catalogue at the time of each request, except for the price change,
which is a contract of this company and nobody else's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from collectors.llm.prices import price
from collectors.llm.record import Request
from collectors.llm.usage import Usage

SOURCE = "simulated"
Floats = npt.NDArray[np.float64]
DAYS = 60
SEED = 20260101
REQUESTS_PER_DAY = 2200
GROWTH_PER_DAY = 1.009
QUEUE_SAMPLES_PER_HOUR = 12

QUEUE_COLUMNS = (
    "ts", "cluster", "vhost", "queue", "type", "state", "messages", "messages_ready", "messages_unacked", "consumers",
    "consumer_utilisation", "published_per_s", "delivered_per_s", "acked_per_s", "redelivered_per_s",
)  # fmt: skip


@dataclass(frozen=True)
class Workload:
    """One project of one team on one model, and how it uses it. Tokens are medians, speeds in seconds and tokens/s."""

    team: str
    project: str
    provider: str
    model: str
    share: float  # of all requests
    input_tokens: int
    output_tokens: int
    cached: float  # share of the input that comes from a cache
    ttft_s: float
    tokens_per_s: float
    weekend: float  # traffic of a weekend day, against a working day


WORKLOADS = (
    Workload("support", "chat-assistant", "openai", "gpt-4o-mini", 0.40, 1800, 260, 0.45, 0.35, 95, 0.75),
    Workload("support", "ticket-triage", "openai", "gpt-4.1-nano", 0.16, 900, 40, 0.30, 0.28, 130, 0.55),
    Workload("search", "answers", "openai", "gpt-4o", 0.13, 3200, 320, 0.35, 0.48, 70, 0.60),
    Workload("search", "query-rewriting", "openai", "gpt-4.1-mini", 0.14, 420, 60, 0.10, 0.30, 110, 0.60),
    Workload("engineering", "code-review", "anthropic", "claude-sonnet-4-0", 0.09, 7800, 900, 0.55, 0.85, 62, 0.12),
    Workload(
        "research", "document-analysis", "anthropic", "claude-3-5-haiku-latest", 0.08, 5200, 480, 0.05, 0.60, 75, 0.35
    ),
)


@dataclass(frozen=True)
class Incident:
    """Something that went wrong, `day` days and `hour` hours after the beginning, for `hours` hours."""

    name: str
    day: int
    hour: int
    hours: int

    def covers(self, day: int, hour: int) -> bool:
        """Whether it is going on in that hour."""
        return day == self.day and self.hour <= hour < self.hour + self.hours


RUNAWAY = Incident("a retry loop in code-review sends every request eight times", 38, 13, 5)
OUTAGE = Incident("the provider of gpt-4o answers 503 and is slow", 46, 9, 3)
STUCK = Incident("the consumers of the embeddings queue hang", 53, 14, 7)
# From this day on, this model costs this part of its list price.
PRICE_CHANGE = (45, "claude-sonnet-4-0", Decimal("0.85"), "contract 2")


def first_day(until: datetime, days: int = DAYS) -> datetime:
    """The midnight, UTC, that lies `days` whole days and the hours of the last one before `until`."""
    return until.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)


def llm_requests(until: datetime, days: int = DAYS, *, seed: int = SEED) -> Iterator[list[Request]]:
    """The requests of each day in turn, in the order of their time, up to `until`; one more list than `days`.

    The same seed and `until` give the same requests.
    """
    start = first_day(until, days)
    for day in range(days + 1):
        chance = np.random.default_rng([seed, day])
        drawn = [_requests_of(work, f"sim-{day:03d}-{n}", start, day, chance) for n, work in enumerate(WORKLOADS)]
        requests = (request for requests in drawn for request in requests if request.ts < until)
        yield sorted(requests, key=lambda request: request.ts)


def _requests_of(
    work: Workload, prefix: str, start: datetime, day: int, chance: np.random.Generator
) -> Iterator[Request]:
    midnight = start + timedelta(days=day)
    expected = REQUESTS_PER_DAY * work.share / 24 * _season(midnight, work.weekend) * GROWTH_PER_DAY**day
    counts = chance.poisson(expected * chance.lognormal(0, 0.12, 24))
    if work.project == "code-review":
        counts *= [8 if RUNAWAY.covers(day, hour) else 1 for hour in range(24)]
    for hour, count in enumerate(counts):
        for n, seconds in enumerate(chance.uniform(0, 3600, count)):
            outage = work.model == "gpt-4o" and OUTAGE.covers(day, hour)
            moment = midnight + timedelta(hours=hour, seconds=float(seconds))
            yield _request(work, f"{prefix}-{hour}-{n}", moment, day, chance, outage=outage)


def _request(
    work: Workload, name: str, moment: datetime, day: int, chance: np.random.Generator, *, outage: bool
) -> Request:
    who: dict[str, Any] = {
        "ts": moment, "request_id": name, "provider": work.provider, "model": work.model, "response_model": work.model,
        "team": work.team, "project": work.project, "environment": "production", "source": SOURCE, "streamed": True,
    }  # fmt: skip
    failing, slow = (0.35, 4.0) if outage else (0.006, 1.0)
    draw = chance.random()
    if draw < failing:
        status = 503 if outage else int(chance.choice([429, 500, 529]))
        kind = "rate_limit_exceeded" if status == 429 else "server_error"
        duration = float(chance.lognormal(-1, 0.5))
        return Request(**who, status="error", error_type=kind, http_status=status, duration_s=duration)
    asked = max(1, int(work.input_tokens * chance.lognormal(0, 0.5)))
    cached = int(asked * min(0.95, work.cached * chance.lognormal(0, 0.3)))
    produced = max(1, int(work.output_tokens * chance.lognormal(0, 0.6)))
    ttft = float(work.ttft_s * slow * chance.lognormal(0, 0.35))
    speed = float(work.tokens_per_s / slow * chance.lognormal(0, 0.2))
    cost, version = _cost(work, moment, day, asked, cached, produced)
    return Request(
        **who, status="cancelled" if draw < failing + 0.004 else "ok", http_status=200, ttfc_s=ttft * 0.6, ttft_s=ttft,
        duration_s=ttft + produced / speed, output_tokens_per_s=speed, input_tokens=asked, cached_tokens=cached,
        output_tokens=produced, reasoning_tokens=0, usage_source="reported", cost_usd=cost, price_version=version,
    )  # fmt: skip


def _cost(
    work: Workload, moment: datetime, day: int, asked: int, cached: int, produced: int
) -> tuple[Decimal | None, str | None]:
    usage = Usage(input_tokens=asked, cached_tokens=cached, output_tokens=produced)
    listed = price(provider=work.provider, model=work.model, ts=moment, usage=usage)
    since, model, part, contract = PRICE_CHANGE
    if work.model == model and day >= since and listed.cost_usd is not None:
        return listed.cost_usd * part, f"{listed.version}, {contract}"
    return listed.cost_usd, listed.version


def _season(midnight: datetime, weekend: float) -> Floats:
    """Traffic by hour, against the mean of a working day: low at night, two humps in the day, less at the weekend."""
    hours = np.arange(24.0)
    shape = 0.25 + np.exp(-(((hours - 10.5) / 2.8) ** 2)) + 0.85 * np.exp(-(((hours - 15.5) / 2.6) ** 2))
    season: Floats = (weekend if midnight.weekday() >= 5 else 1.0) * shape / shape.mean()
    return season


@dataclass(frozen=True)
class Queue:
    """A queue: messages that come in a working day's mean second, and what its consumers can do at most."""

    name: str
    arrivals_per_s: float
    capacity_per_s: float
    consumers: int


QUEUES = (
    Queue("llm.requests", 3.0, 7.6, 8),
    Queue("llm.embeddings", 6.0, 15.5, 6),
    Queue("reports.nightly", 0.8, 2.1, 2),
    Queue("webhooks", 1.5, 5.0, 4),
)


def queue_samples(until: datetime, days: int = DAYS, *, seed: int = SEED) -> Iterator[list[tuple[object, ...]]]:
    """The samples of each day in turn, up to `until`, as rows of `QUEUE_COLUMNS`; one more list than `days`.

    Each queue is a fluid that the season feeds and the capacity drains.
    """
    backlog = dict.fromkeys(QUEUES, 0.0)
    step = timedelta(hours=1) / QUEUE_SAMPLES_PER_HOUR
    for day in range(days + 1):
        midnight = first_day(until, days) + timedelta(days=day)
        chance = np.random.default_rng([seed + 1, day])
        season = _season(midnight, 0.6)
        rows: list[tuple[object, ...]] = []
        for n in range(min(24 * QUEUE_SAMPLES_PER_HOUR, (until - midnight) // step)):
            hour = n // QUEUE_SAMPLES_PER_HOUR
            for queue in QUEUES:
                stuck = queue.name == "llm.embeddings" and STUCK.covers(day, hour)
                arriving = float(queue.arrivals_per_s * season[hour] * 1.004**day * chance.lognormal(0, 0.15))
                able = 0.0 if stuck else float(queue.capacity_per_s * chance.lognormal(0, 0.05))
                acked = min(able, arriving + backlog[queue] / step.total_seconds())
                backlog[queue] = max(0.0, backlog[queue] + (arriving - acked) * step.total_seconds())
                ready, unacked = int(backlog[queue]), int(chance.poisson(acked * 2))
                rows.append((
                    midnight + n * step, "simulated", "/", queue.name, "quorum", "running", ready + unacked, ready,
                    unacked, queue.consumers, min(1.0, acked / queue.capacity_per_s), arriving, acked, acked, 0.0,
                ))  # fmt: skip
        yield rows
