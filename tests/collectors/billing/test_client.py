"""Fetching reports: pages, patience, and what is never sent or shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from collectors.billing.client import ATTEMPTS, LONGEST_WAIT_S, Reports, back_off_s
from collectors.billing.openai import OpenAI
from collectors.billing.provider import Ask, Reading
from store.errors import ParameterInvalid, SourceError
from tests.collectors.billing.provider_server import ADMIN_KEY, ReportServer, completions, openai_bucket, serving

DAY = datetime(2025, 11, 1, tzinfo=UTC)
COMPLETIONS = "/v1/organization/usage/completions"


@pytest.fixture
def server() -> Iterator[ReportServer]:
    with serving() as reports:
        reports.buckets[COMPLETIONS] = [
            openai_bucket(DAY.replace(day=day), completions("gpt-4o", day, 1, 1)) for day in range(1, 6)
        ]
        yield reports


def ask() -> Ask:
    return next(OpenAI().asks(DAY, DAY.replace(day=8)))


def fetch(server: ReportServer, key: str = ADMIN_KEY) -> tuple[list[Reading], list[float]]:
    waits: list[float] = []
    with Reports(OpenAI(), key, base_url=server.url, wait=waits.append) as reports:
        return list(reports.read(ask())), waits


def test_all_pages_are_read(server: ReportServer) -> None:
    readings, waits = fetch(server)
    assert [row.input_tokens for reading in readings for row in reading.usage] == [1, 2, 3, 4, 5]
    assert waits == []
    pages = [query.get("page") for _, query in server.asked]
    assert pages == [None, ["page_2"], ["page_4"]]
    for _, query in server.asked:
        assert query["group_by[]"] == ["project_id", "model", "batch", "service_tier"]
        assert query["bucket_width"] == ["1d"]
        assert query["limit"] == ["31"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_a_busy_server_is_asked_again_and_no_page_counts_twice(server: ReportServer, status: int) -> None:
    server.moods = [(status, {}), (status, {"retry-after": "7"}), (status, {"retry-after": "86400"})]
    readings, waits = fetch(server)
    assert [row.input_tokens for reading in readings for row in reading.usage] == [1, 2, 3, 4, 5]
    assert 0.25 <= waits[0] <= 0.5
    assert waits[1:] == [7, LONGEST_WAIT_S]


def test_it_gives_up_after_a_while(server: ReportServer) -> None:
    server.moods = [(503, {})] * 100
    with pytest.raises(SourceError, match="answers /v1/organization/usage/completions with status 503, 6 times"):
        fetch(server)
    assert len(server.asked) == ATTEMPTS


@pytest.mark.parametrize("status", [400, 404, 302])
def test_other_statuses_are_final(server: ReportServer, status: int) -> None:
    server.moods = [(status, {"location": "http://127.0.0.1:1/"})] * 100
    with pytest.raises(SourceError, match=f"status {status}"):
        fetch(server)
    assert len(server.asked) == 1


def test_a_key_that_is_refused_is_not_shown(server: ReportServer) -> None:
    with pytest.raises(SourceError) as caught:
        fetch(server, key="sk-proj-ordinary")
    assert "GAUGEBOOK_OPENAI_ADMIN_KEY must be an admin key" in str(caught.value)
    assert "sk-" not in str(caught.value)
    assert len(server.asked) == 1


def test_a_server_that_is_away_or_goes_round_in_circles(server: ReportServer) -> None:
    server.endless = True
    with pytest.raises(SourceError, match="says that there is more, and not where"):
        fetch(server)
    away = ReportServer(port=1)
    with pytest.raises(SourceError, match="does not answer: ConnectError, 6 times"):
        fetch(away)


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([{"object": "organization.usage.completions.result", "input_tokens": -1}], "'input_tokens' is not a count"),
        (
            [{"object": "organization.usage.completions.result", "input_tokens": "many"}],
            "'input_tokens' is not a count",
        ),
        ([{"object": "organization.costs.result", "amount": {"value": 1, "currency": "eur"}}], "is eur, not USD"),
        ([{"object": "organization.costs.result", "amount": {"value": "x", "currency": "usd"}}], "is not an amount"),
        (["nonsense"], "'results' is not a list of objects"),
    ],
)
def test_a_page_that_is_not_what_it_should_be(server: ReportServer, results: list[object], reason: str) -> None:
    server.buckets[COMPLETIONS] = [openai_bucket(DAY) | {"results": results}]
    with pytest.raises(SourceError, match=reason):
        fetch(server)


@pytest.mark.parametrize(
    "url", ["http://api.openai.com", "ftp://127.0.0.1", "https://me:pw@proxy", "nonsense", "http://["]
)
def test_the_key_goes_to_nobody_in_the_clear(url: str) -> None:
    with pytest.raises(ParameterInvalid, match="base-url"):
        Reports(OpenAI(), ADMIN_KEY, base_url=url)


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "sch\u00f6n"])
def test_what_cannot_be_a_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ParameterInvalid) as caught:
        Reports(OpenAI(), key)
    assert "must be one word of printable ASCII" in str(caught.value)
    assert not key or key not in str(caught.value)


def test_waiting_grows_up_to_a_minute() -> None:
    assert all(0.25 * 2**n <= back_off_s(n) <= 0.5 * 2**n for n in range(6))
    assert back_off_s(50) <= LONGEST_WAIT_S
