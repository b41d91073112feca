"""Reconciling: requests in the store beside reports of a provider, per day and model."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner

from collectors.billing.causes import Cause
from collectors.billing.load import import_reports
from collectors.billing.reconcile import Reconciled, reconcile
from pipelines.cli import app
from store.connect import connect
from store.errors import NoRows, ParameterInvalid
from store.rollup import refresh
from store.settings import Settings
from store.write import write
from tests.collectors.billing.provider_server import (
    ADMIN_KEY,
    ReportServer,
    completions,
    cost,
    openai_bucket,
    serving,
)

DAY = datetime(2025, 11, 1, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
UNTIL = DAY + timedelta(days=3)
COLUMNS = ("ts", "request_id", "provider", "model", "response_model", "source", "status", "input_tokens", "output_tokens",
           "cost_usd", "usage_source", "attrs")  # fmt: skip


@pytest.fixture
def server() -> Iterator[ReportServer]:
    with serving() as reports:
        yield reports


def metered(settings: Settings, *rows: dict[str, Any]) -> None:
    default = {"provider": "openai", "source": "tap", "status": "ok", "usage_source": "reported", "ts": DAY}
    made = []
    for number, row in enumerate(rows):
        whole = default | {"request_id": f"r{number}"} | row
        made.append(tuple(whole.get(name) for name in COLUMNS))
    with connect(settings) as connection:
        outcome = write(connection, "metrics.llm_requests", COLUMNS, made)
        assert outcome.written == len(rows), outcome
    refresh(settings)


def calls(model: str, answered: str | None, cost_usd: str | None = None, **more: Any) -> dict[str, Any]:
    usd = None if cost_usd is None else Decimal(cost_usd)
    return {
        "model": model,
        "response_model": answered,
        "input_tokens": 100,
        "output_tokens": 10,
        "cost_usd": usd,
    } | more


def report(settings: Settings, server: ReportServer, usage: list[Any], costs: list[Any]) -> None:
    server.buckets = {"/v1/organization/usage/completions": usage, "/v1/organization/costs": costs}
    import_reports(settings, "openai", DAY - timedelta(days=2), UNTIL, base_url=server.url, key=ADMIN_KEY)


def shown(result: Reconciled) -> list[tuple[int, str, Decimal | None, Cause]]:
    return [(each.line.day.day, each.line.model, each.line.gap_usd, each.cause) for each in result.lines]


def test_a_report_beside_what_was_metered(any_store: Settings, server: ReportServer) -> None:
    metered(
        any_store,
        calls("gpt-4o", "gpt-4o-2024-08-06", "1.00"),
        calls("gpt-4o", "gpt-4o-2024-08-06", "1.00", ts=DAY + timedelta(hours=23, minutes=59)),
        calls("o3", None, "4.00"),
        calls("gpt-new", "gpt-new"),
        calls("gpt-4o", "gpt-4o-2024-08-06", "3.00", ts=NEXT),
        calls("gpt-4o", "gpt-4o-2024-08-06", "0", ts=NEXT, attrs={"cache_hit": True}),
        calls("claude-sonnet-4-5", None, "9.00", provider="anthropic"),
        calls(
            "o3", None, None, ts=NEXT + timedelta(days=1), input_tokens=None, output_tokens=None, usage_source="missing"
        ),
    )
    report(
        any_store,
        server,
        [
            openai_bucket(
                DAY,
                completions("gpt-4o-2024-08-06", 200, 20, 2),
                completions("o3-2025-04-16", 100, 10, 1),
                completions("gpt-new", 100, 10, 1),
                completions("gpt-4.1", 5000, 500, 5),
            ),
            openai_bucket(NEXT, completions("gpt-4o-2024-08-06", 100, 10, 1, batch=True)),
        ],
        [
            openai_bucket(
                DAY,
                cost("gpt-4o-2024-08-06, input", 1.5),
                cost("gpt-4o-2024-08-06, output", 0.5),
                cost("o3-2025-04-16, output", 3.0),
                cost("gpt-new, output", 0.7),
                cost("gpt-4.1, output", 7.0),
                cost("web search tool calls", 0.25),
            ),
            openai_bucket(NEXT, cost("gpt-4o-2024-08-06, batch input", 1.5)),
        ],
    )
    result = reconcile(any_store, "openai", DAY, UNTIL)
    assert shown(result) == [
        (1, "gpt-4.1", Decimal(7), Cause.NOT_METERED),
        (1, "gpt-4o-2024-08-06", Decimal(0), Cause.AGREES),
        (1, "gpt-new", Decimal("0.7"), Cause.UNPRICED),
        (1, "o3-2025-04-16", Decimal(-1), Cause.PRICE),
        (1, "web search tool calls", Decimal("0.25"), Cause.NOT_TOKENS),
        (2, "gpt-4o-2024-08-06", Decimal("-1.5"), Cause.DISCOUNT),
        (3, "o3-2025-04-16", None, Cause.NO_REPORT),
    ]
    assert (result.metered_usd, result.billed_usd, result.gap_usd) == (9, Decimal("14.45"), Decimal("5.45"))
    assert (result.days, result.days_without_report) == (3, 1)


def test_a_day_that_was_looked_at_and_costs_nothing(store: Settings, server: ReportServer) -> None:
    metered(store, calls("o3", None, "4.00"))
    report(store, server, [openai_bucket(DAY)], [openai_bucket(DAY)])
    assert shown(reconcile(store, "openai", DAY, NEXT)) == [(1, "o3", Decimal(-4), Cause.NOT_BILLED)]


def test_a_call_around_midnight_is_made_up_for_by_a_day_outside_the_span(store: Settings, server: ReportServer) -> None:
    metered(store, calls("o3", None, "4.00", ts=DAY - timedelta(seconds=1)), calls("o3", None, "6.00"))
    costs = [
        openai_bucket(DAY - timedelta(days=1), cost("o3, output", 0.01)),
        openai_bucket(DAY, cost("o3, output", 9.98)),
    ]
    report(store, server, [], costs)
    assert shown(reconcile(store, "openai", DAY, NEXT)) == [(1, "o3", Decimal("3.98"), Cause.DAY_BOUNDARY)]


def test_days_whose_requests_are_gone_come_from_the_rollups(store: Settings, server: ReportServer) -> None:
    metered(store, calls("gpt-4o", "gpt-4o-2024-08-06", "1.00"))
    report(store, server, [], [openai_bucket(DAY, cost("gpt-4o-2024-08-06, input", 1.0))])
    with connect(store) as connection:
        connection.execute("UPDATE metrics.policies SET raw_until = %s", [UNTIL])
    assert shown(reconcile(store, "openai", DAY, NEXT)) == [(1, "gpt-4o-2024-08-06", Decimal(0), Cause.AGREES)]


def test_spans_that_make_no_sense(store: Settings) -> None:
    with pytest.raises(NoRows):
        reconcile(store, "openai", DAY, UNTIL)
    with pytest.raises(ParameterInvalid):
        reconcile(store, "openai", DAY, DAY)
    with pytest.raises(ParameterInvalid):
        reconcile(store, "openai", DAY + timedelta(hours=1), UNTIL)


def test_the_commands(store: Settings, server: ReportServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.dsn is not None
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())
    monkeypatch.setenv("GAUGEBOOK_OPENAI_ADMIN_KEY", ADMIN_KEY)
    metered(store, calls("o3", None, "4.00"), calls("gpt-4o", None, "1.00"))
    server.buckets = {
        "/v1/organization/usage/completions": [openai_bucket(DAY, completions("o3", 100, 10, 1))],
        "/v1/organization/costs": [openai_bucket(DAY, cost("o3, output", 3), cost("gpt-4o, output", 1))],
    }
    days = ["--since", "2025-11-01", "--until", "2025-11-04"]
    made = CliRunner().invoke(app, ["import", "billing", "openai", *days, "--base-url", server.url])
    assert made.exit_code == 0, made.output
    assert "1 rows of usage imported, 0 were there; 2 items of cost" in made.output
    assert ADMIN_KEY not in made.output
    found = CliRunner().invoke(app, ["reconcile", "--provider", "openai", *days])
    assert found.exit_code == 0, found.output
    assert "same tokens at another price" in found.output
    assert "-1.0000" in found.output
    assert "gpt-4o" not in found.output
    assert "metered 5.0000, billed 4.0000, gap -1.0000; 1 of 2 lines agree; 0 of 1 days" in found.output
    assert "gpt-4o" in CliRunner().invoke(app, ["reconcile", "--provider", "openai", *days, "--all"]).output
