"""Importing reports: from the API and from saved pages, twice, and what a later report changes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collectors.billing.load import Imported, import_reports, import_saved
from store.connect import connect
from store.errors import FileUnusable, ParameterInvalid, SettingsError, SourceError, UnknownName
from store.settings import Settings, load
from tests.collectors.billing.provider_server import (
    ADMIN_KEY,
    ReportServer,
    anthropic_bucket,
    charge,
    completions,
    cost,
    messages,
    openai_bucket,
    serving,
)

DAY = datetime(2025, 11, 1, tzinfo=UTC)
UNTIL = DAY + timedelta(days=3)
USAGE, COSTS = "/v1/organization/usage/", "/v1/organization/costs"
MESSAGES, COST_REPORT = "/v1/organizations/usage_report/messages", "/v1/organizations/cost_report"


@pytest.fixture
def server() -> Iterator[ReportServer]:
    with serving() as reports:
        yield reports


def fetch(settings: Settings, query: str) -> list[Any]:
    with connect(settings) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def run(settings: Settings, server: ReportServer, name: str = "openai", **options: Any) -> Imported:
    options = {"base_url": server.url, "key": ADMIN_KEY} | options
    return import_reports(settings, name, DAY, UNTIL, **options)


def openai(server: ReportServer) -> None:
    server.buckets[f"{USAGE}completions"] = [
        openai_bucket(
            DAY,
            completions("gpt-4o-2024-08-06", 1000, 100, 7, input_cached_tokens=400, batch=False, project_id="proj_a"),
            completions("gpt-4o-2024-08-06", 500, 50, 2, input_cached_tokens=0, batch=True, project_id="proj_a"),
            completions("o3", 10, 20, 1),
        ),
        openai_bucket(DAY + timedelta(days=1)),
        openai_bucket(DAY + timedelta(days=2), completions("o3", 30, 40, 3)),
    ]
    embedded = {"object": "organization.usage.embeddings.result", "input_tokens": 99, "num_model_requests": 4}
    server.buckets[f"{USAGE}embeddings"] = [openai_bucket(DAY, embedded | {"model": "text-embedding-3-small"})]
    drawn = {"object": "organization.usage.images.result", "images": 5, "num_model_requests": 5, "model": "dall-e-3"}
    server.buckets[f"{USAGE}images"] = [openai_bucket(DAY, drawn)]
    server.buckets[COSTS] = [
        openai_bucket(
            DAY,
            cost("gpt-4o-2024-08-06, input", 0.0021, quantity=1100, project_id="proj_a"),
            cost("gpt-4o-2024-08-06, batch output", "0.0001", project_id="proj_a"),
            cost("web search tool calls", 0.01),
        ),
        openai_bucket(DAY + timedelta(days=1)),
    ]


def test_usage_and_costs_of_openai_land_apart(store: Settings, server: ReportServer) -> None:
    openai(server)
    assert run(store, server) == Imported(usage=5, duplicate=0, unsettled=0, billed=4)
    rows = fetch(
        store,
        """SELECT ts::date - date '2025-11-01', width_s, source, model, project, requests, input_tokens, cached_tokens,
                  output_tokens, cost_usd, usage_source, attrs
           FROM metrics.llm_usage ORDER BY 1, source, model""",
    )
    assert rows == [
        (0, 86400, "openai-usage", "gpt-4o-2024-08-06", "proj_a", 9, 1500, 400, 150, None, "reported", {"discounted_tokens": 550}),
        (0, 86400, "openai-usage", "o3", "unassigned", 1, 10, None, 20, None, "reported", None),
        (0, 86400, "openai-usage-embeddings", "text-embedding-3-small", "unassigned", 4, 99, None, 0, None, "reported", None),
        (0, 86400, "openai-usage-images", "dall-e-3", "unassigned", 5, None, None, None, None, "missing", {"images": 5}),
        (2, 86400, "openai-usage", "o3", "unassigned", 3, 30, None, 40, None, "reported", None),
    ]  # fmt: skip
    billed = fetch(
        store,
        """SELECT ts::date - date '2025-11-01', line_item, model, project, cost_usd, quantity, attrs
           FROM metrics.llm_billed_latest ORDER BY 1, line_item""",
    )
    assert billed == [
        (0, "gpt-4o-2024-08-06, batch output", "gpt-4o-2024-08-06", "proj_a", Decimal("0.0001"), None, {"tier": "batch"}),
        (0, "gpt-4o-2024-08-06, input", "gpt-4o-2024-08-06", "proj_a", Decimal("0.0021"), 1100, None),
        (0, "web search tool calls", "", "unassigned", Decimal("0.01"), None, None),
        (1, "nothing", "", "unassigned", 0, None, None),
    ]  # fmt: skip
    assert fetch(store, "SELECT sum(input_tokens), sum(cost_usd) FROM metrics.llm_usage_daily") == [(1639, None)]


def test_a_second_import_adds_no_usage_and_the_newest_costs_count(store: Settings, server: ReportServer) -> None:
    openai(server)
    run(store, server)
    first = fetch(store, "SELECT sum(cost_usd), count(*) FROM metrics.llm_billed_latest")
    assert run(store, server) == Imported(usage=0, duplicate=5, unsettled=0, billed=4)
    assert fetch(store, "SELECT sum(cost_usd), count(*) FROM metrics.llm_billed_latest") == first
    # A revised bill: one item is dearer, another is now called something else.
    server.buckets[COSTS][0]["results"] = [cost("gpt-4o-2024-08-06, input", 0.005), cost("gpt-4o, web search", 0.02)]
    run(store, server)
    assert fetch(store, "SELECT sum(cost_usd), count(*) FROM metrics.llm_billed_latest") == [(Decimal("0.025"), 3)]
    assert fetch(store, "SELECT count(DISTINCT reported_at) FROM metrics.llm_billed") == [(3,)]


def test_accounts_are_kept_apart(store: Settings, server: ReportServer) -> None:
    openai(server)
    run(store, server)
    run(store, server, account="eu")
    assert fetch(store, "SELECT sum(cost_usd) FROM metrics.llm_billed_latest") == [(Decimal("0.0244"),)]
    assert fetch(store, "SELECT sum(requests) FROM metrics.llm_usage WHERE source = 'openai-usage@eu'") == [(13,)]
    with pytest.raises(ParameterInvalid, match="account"):
        run(store, server, account="a b")


def test_usage_and_costs_of_anthropic(store: Settings, server: ReportServer) -> None:
    created = {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 253}
    server.buckets[MESSAGES] = [
        anthropic_bucket(
            DAY,
            messages("claude-sonnet-4-5", 5, 77, cache_read_input_tokens=128955, cache_creation=created),
            messages("claude-sonnet-4-5", 10, 1, service_tier="batch", server_tool_use={"web_search_requests": 2}),
        )
    ]
    server.buckets[COST_REPORT] = [
        anthropic_bucket(
            DAY,
            charge("claude-sonnet-4-5", "123.45", "Claude Sonnet 4.5 Usage - Input Tokens"),
            charge("claude-sonnet-4-5", "0.5", "Claude Sonnet 4.5 Usage - Input Tokens", service_tier="batch"),
            charge(None, "1000", "Web Search Usage", cost_type="web_search", service_tier=None),
        )
    ]
    assert run(store, server, "anthropic") == Imported(usage=1, duplicate=0, unsettled=0, billed=3)
    assert fetch(
        store,
        "SELECT source, requests, input_tokens, cached_tokens, cache_write_tokens, output_tokens, attrs FROM metrics.llm_usage",
    ) == [
        ("anthropic-usage", 0, 5 + 128955 + 1253 + 10, 128955, 1253, 78,
         {"cache_write_1h_tokens": 253, "web_searches": 2, "discounted_tokens": 11})
    ]  # fmt: skip
    assert fetch(
        store, "SELECT line_item, model, cost_usd, attrs FROM metrics.llm_billed_latest ORDER BY line_item"
    ) == [
        ("Claude Sonnet 4.5 Usage - Input Tokens", "claude-sonnet-4-5", Decimal("1.2345"), None),
        ("Claude Sonnet 4.5 Usage - Input Tokens (batch)", "claude-sonnet-4-5", Decimal("0.005"), {"tier": "batch"}),
        ("Web Search Usage", "", 10, None),
    ]
    paths = [path for path, _ in server.asked]
    assert paths == [MESSAGES, COST_REPORT]
    assert server.asked[0][1]["group_by[]"] == ["model", "workspace_id", "service_tier"]


def test_days_that_are_not_over_are_left_for_later(store: Settings, server: ReportServer) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    server.buckets[f"{USAGE}completions"] = [
        openai_bucket(today - timedelta(days=2), completions("o3", 1, 1, 1)),
        openai_bucket(today, completions("o3", 2, 2, 2)),
    ]
    options = {"base_url": server.url, "key": ADMIN_KEY}
    since, until = today - timedelta(days=3), today + timedelta(days=1)
    assert import_reports(store, "openai", since, until, **options) == Imported(1, 0, 1, 0)


def test_nothing_is_imported_where_a_later_page_fails(store: Settings, server: ReportServer) -> None:
    openai(server)
    server.buckets[COSTS][1]["results"] = [cost("gpt-4o, input", 1.0, currency="eur")]
    with pytest.raises(SourceError, match="the currency is eur"):
        run(store, server)
    assert fetch(store, "SELECT count(*) FROM metrics.llm_usage") == [(0,)]


def test_saved_pages(store: Settings, tmp_path: Path) -> None:
    page = {"object": "page", "has_more": False, "next_page": None}
    usage = page | {"data": [openai_bucket(DAY, completions("o3", 10, 20, 1))]}
    costs = page | {
        "data": [openai_bucket(DAY, cost("o3, output", 0.13080438)), openai_bucket(DAY + timedelta(days=1))]
    }
    path = tmp_path / "pages.json"
    path.write_text(json.dumps([usage, costs]))
    as_of = DAY + timedelta(days=5)
    assert import_saved(store, "openai", path, as_of=as_of) == Imported(1, 0, 0, 2)
    path.write_text(json.dumps(usage) + "\n" + json.dumps(costs) + "\n")
    assert import_saved(store, "openai", path, as_of=as_of) == Imported(0, 1, 0, 2)
    path.write_text(json.dumps(costs, indent=2))
    os.utime(path, (as_of.timestamp() + 60,) * 2)
    assert import_saved(store, "openai", path) == Imported(0, 0, 0, 2)
    assert fetch(store, "SELECT sum(cost_usd), count(*) FROM metrics.llm_billed_latest") == [(Decimal("0.13080438"), 2)]
    with pytest.raises(FileUnusable, match="page 1 is not one of anthropic's reports"):
        import_saved(store, "anthropic", path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ("{", "is not JSON"),
        ("[1]", "page 1 is not one"),
        ('{"object": "page", "data": []}', "has no usage"),
    ],
)
def test_files_that_hold_no_report(store: Settings, tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "pages.json"
    path.write_text(content)
    with pytest.raises(FileUnusable, match=reason):
        import_saved(store, "openai", path)


def test_without_a_key_or_with_an_unknown_provider(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="set GAUGEBOOK_OPENAI_ADMIN_KEY"):
        import_reports(store, "openai", DAY, UNTIL)
    with pytest.raises(UnknownName, match="did you mean 'openai'"):
        import_reports(store, "open-ai", DAY, UNTIL)
    monkeypatch.setenv("GAUGEBOOK_OPENAI_ADMIN_KEY", ADMIN_KEY)
    settings = load()
    assert settings.openai_admin_key is not None
    assert ADMIN_KEY not in repr(settings)
