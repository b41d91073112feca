"""The simulator: the same twice, with the seasons, incidents and price change that it promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipelines import simulate
from pipelines.simulate import OUTAGE, PRICE_CHANGE, QUEUE_COLUMNS, RUNAWAY, STUCK, first_day

UNTIL = datetime(2026, 6, 30, 15, tzinfo=UTC)
START = first_day(UNTIL)


@pytest.fixture(scope="module")
def days():
    return list(simulate.llm_requests(UNTIL))


def test_the_same_again(days):
    assert next(simulate.llm_requests(UNTIL)) == days[0]
    assert next(simulate.llm_requests(UNTIL, seed=1)) != days[0]


def test_it_ends_when_told(days):
    assert len(days) == simulate.DAYS + 1
    assert max(request.ts for request in days[-1]) < UNTIL
    assert min(request.ts for request in days[0]) >= START
    ids = [request.request_id for day in days for request in day]
    assert len(ids) == len(set(ids))
    assert all(request.source == "simulated" for day in days for request in day)


def requests_of(days, day, hours, **wanted):
    begin = START + timedelta(days=day)
    span = [begin + timedelta(hours=hour) for hour in (hours.start, hours.stop)]
    return [
        r
        for r in days[day]
        if span[0] <= r.ts < span[1] and all(getattr(r, key) == value for key, value in wanted.items())
    ]


def test_less_at_night_less_at_the_weekend_and_growth(days):
    assert len(requests_of(days, 1, range(1, 5))) < 0.5 * len(requests_of(days, 1, range(9, 13)))
    by_weekday = {
        kind: [len(day) for n, day in enumerate(days[:28]) if ((START + timedelta(days=n)).weekday() >= 5) == kind]
        for kind in (True, False)
    }
    assert sum(by_weekday[True]) / len(by_weekday[True]) < 0.8 * sum(by_weekday[False]) / len(by_weekday[False])
    assert sum(map(len, days[49:56])) > 1.25 * sum(map(len, days[:7]))


def test_the_incidents_are_there(days):
    hours = range(RUNAWAY.hour, RUNAWAY.hour + RUNAWAY.hours)
    assert len(requests_of(days, RUNAWAY.day, hours, project="code-review")) > 4 * len(
        requests_of(days, RUNAWAY.day - 7, hours, project="code-review")
    )
    hours = range(OUTAGE.hour, OUTAGE.hour + OUTAGE.hours)
    during = requests_of(days, OUTAGE.day, hours, model="gpt-4o")
    assert sum(r.status == "error" for r in during) > 0.2 * len(during)
    depth = {
        row[0]: row[QUEUE_COLUMNS.index("messages")]
        for day in simulate.queue_samples(UNTIL)
        for row in day
        if row[3] == "llm.embeddings"
    }
    stuck = START + timedelta(days=STUCK.day, hours=STUCK.hour)
    assert depth[stuck + timedelta(hours=STUCK.hours)] > 50_000
    assert max(messages for moment, messages in depth.items() if moment < stuck) < 10_000


def test_the_price_changes_once_and_history_keeps_its_price(days):
    since, model, part, contract = PRICE_CHANGE
    for n, day in enumerate(days):
        for request in day:
            assert (contract in (request.price_version or "")) == (
                request.model == model and n >= since and request.cost_usd is not None
            )
    assert 0 < part < 1


def test_an_error_has_no_tokens_and_no_cost(days):
    for request in days[3]:
        assert (request.status == "error") == (request.output_tokens is None) == (request.cost_usd is None)
