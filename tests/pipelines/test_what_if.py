"""What another model would have cost: against a naive loop over the requests."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from collectors.llm.prices import price
from collectors.llm.pricing.book import PriceBook
from collectors.llm.pricing.rates import Tier
from collectors.llm.record import COLUMNS, TABLE, Request
from collectors.llm.usage import Usage
from pipelines.what_if import Chosen, Target, compare
from store.connect import connect
from store.rollup import refresh
from store.write import write

START, END = date(2026, 10, 30), date(2026, 11, 2)
SPAN = Chosen(START, END)


def usages():
    chance = random.Random(7)
    for number in range(300):
        read = chance.choice([0, 1, 90, 5_000, 100_000, 200_000, 200_001, 300_000])
        cached, made = chance.randint(0, read), chance.randint(0, 4_000)
        parts = {"web_searches": 2} if number % 50 == 0 else {"input_audio_tokens": 5} if number % 50 == 1 else {}
        yield Usage(read, cached, (read - cached) // 3, made, made // 2, **parts)


def requests():
    for number, usage in enumerate(usages()):
        yield Request(
            ts=datetime(2026, 10, 30, tzinfo=UTC) + timedelta(minutes=14 * number, microseconds=number),
            request_id=f"r{number}", provider="openai", model=("gpt-4o", "gpt-5")[number % 2], source="tap",
            team=("search", "ads")[number % 3 == 0], input_tokens=usage.input_tokens, cached_tokens=usage.cached_tokens,
            cache_write_tokens=usage.cache_write_tokens, output_tokens=usage.output_tokens,
            reasoning_tokens=usage.reasoning_tokens, usage_source="reported", cost_usd=Decimal(1),
            attrs={name: count for name in ("web_searches", "input_audio_tokens") if (count := getattr(usage, name))},
        )  # fmt: skip
    yield Request(
        ts=datetime(2026, 10, 31, tzinfo=UTC), request_id="none", provider="openai", model="gpt-4o", source="tap"
    )
    yield Request(
        ts=datetime(2026, 10, 31, tzinfo=UTC), request_id="failed", provider="openai", model="gpt-4o", source="tap",
        status="error",
    )  # fmt: skip
    yield Request(
        ts=datetime(2026, 10, 31, tzinfo=UTC), request_id="odd", provider="openai", model="gpt-4o", source="tap",
        input_tokens=1, cached_tokens=2, output_tokens=1, usage_source="reported",
    )  # fmt: skip


def fill(settings):
    with connect(settings) as connection:
        write(connection, TABLE, COLUMNS, [request.values() for request in requests()])
    refresh(settings)
    return settings


@pytest.fixture
def filled(store):
    return fill(store)


def naive(provider, model, *, team=None, **how):
    """(cost, how many have no price) of the requests one by one."""
    costs = [
        price(provider=provider, model=model, ts=request.ts, usage=usage, **how).cost_usd
        for request, usage in zip(requests(), usages(), strict=False)
        if team in (None, request.team)
    ]
    return sum(cost for cost in costs if cost is not None), costs.count(None)


TARGETS = [
    ("anthropic", "claude-sonnet-4-5", {}),  # long context
    ("anthropic", "claude-haiku-4-5", {"batch": True}),
    ("google", "gemini-2.5-flash", {}),  # audio
    ("deepseek", "deepseek-chat", {}),  # time of day
    ("perplexity", "sonar", {}),  # per request
    ("openai", "gpt-5", {"service_tier": "flex"}),
]


def test_exact_where_the_requests_are_kept(any_store):
    book, filled = PriceBook(), fill(any_store)
    for provider, model, how in TARGETS:
        tier = Tier.of(how.get("service_tier"), batch=how.get("batch", False))
        total = compare(filled, book, Target(provider, model, tier), SPAN).total
        cost, unpriced = naive(provider, model, **how)
        assert (total.would_cost_usd, total.unpriced) == (cost, unpriced), model
        assert (total.unmetered, total.inexact) == (2, 0)
        assert total.requests == total.cost_usd == 300 - unpriced


def test_of_whom_and_of_what(filled):
    target = Target("openai", "gpt-5-mini", Tier())
    some = compare(filled, PriceBook(), target, Chosen(START, END, team="search", model="gpt-4?"))
    assert some.used.keys() == {("openai", "gpt-4o")}
    team = compare(filled, PriceBook(), target, Chosen(START, END, team="search")).total
    assert team.would_cost_usd == naive("openai", "gpt-5-mini", team="search")[0]
    assert not compare(filled, PriceBook(), target, Chosen(START, END, model="gpt_4o")).used
    assert not compare(filled, PriceBook(), target, Chosen(START, END, project="none")).used
    assert not compare(filled, PriceBook(), target, Chosen(date(2026, 1, 1), date(2026, 1, 3))).used


def test_at_the_prices_of_another_day(filled):
    old = compare(filled, PriceBook(), Target("openai", "o3", Tier(), at=date(2025, 6, 9)), SPAN).total
    new = compare(filled, PriceBook(), Target("openai", "o3", Tier()), SPAN).total
    assert old.would_cost_usd > 2 * new.would_cost_usd


def test_of_days_whose_requests_are_gone_the_sums_are_left(filled):
    with connect(filled) as connection:
        connection.execute("UPDATE metrics.policies SET raw_until = '2026-11-01Z'")
    done = []
    total = compare(
        filled, PriceBook(), Target("openai", "gpt-5-mini", Tier()), SPAN, lambda *at: done.append(at)
    ).total
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert 0 < total.inexact < total.requests
    searches = [usage.web_searches for usage in usages()]
    fees = price(
        provider="openai", model="gpt-5-mini", ts=datetime(2026, 11, 1), usage=Usage(0, output_tokens=0, web_searches=1)
    )
    cost, _ = naive("openai", "gpt-5-mini")
    assert abs(total.would_cost_usd - cost) < fees.cost_usd * sum(filter(None, searches)) + Decimal("0.05")
