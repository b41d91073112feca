"""Exports of LiteLLM, Langfuse and Helicone: the same row as any other request, and no word of a prompt."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from psycopg.rows import dict_row

from collectors.files.langfuse import usage
from collectors.files.load import Imported, load_llm
from store.connect import connect
from store.errors import ColumnMissing
from store.settings import Settings
from store.write import write

CANARY = "canary-7f3a"
START = datetime(2025, 10, 1, 12, tzinfo=UTC)
HASH = "ab" * 32


def spend(**more: Any) -> dict[str, Any]:
    """A row of LiteLLM_SpendLogs as the proxy writes it."""
    return {
        "request_id": "chatcmpl-1",
        "call_type": "acompletion",
        "api_key": HASH,
        "spend": 0.00022500000000000002,
        "total_tokens": 30,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "startTime": "2025-10-01 12:00:00",
        "completionStartTime": "2025-10-01 12:00:00.400",
        "endTime": "2025-10-01 12:00:02.000",
        "model": "openai/gpt-4o",
        "model_group": "support-assistant",
        "custom_llm_provider": "openai",
        "team_id": "t-1",
        "cache_hit": "False",
        "status": "success",
        "end_user": "",
        "metadata": {
            "status": "success",
            "user_api_key_alias": "ci",
            "user_api_key_team_alias": "search",
            "usage_object": {
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 6},
            },
            "spend_logs_metadata": {"note": CANARY},
        },
        "messages": [{"role": "user", "content": CANARY}],
        "response": {"choices": [{"message": {"content": CANARY}}]},
        "proxy_server_request": {"messages": [{"content": CANARY}]},
        "request_tags": [CANARY],
    } | more


def observation(**more: Any) -> dict[str, Any]:
    """A generation as Langfuse exports it."""
    return {
        "id": "obs-1",
        "traceId": "t-1",
        "type": "GENERATION",
        "name": CANARY,
        "startTime": "2025-10-01T12:00:00.000Z",
        "completionStartTime": "2025-10-01T12:00:00.300Z",
        "endTime": "2025-10-01T12:00:02.000Z",
        "model": "claude-sonnet-4-5",
        "level": "DEFAULT",
        "statusMessage": CANARY,
        "environment": "production",
        "usageDetails": {"input": 5, "cache_read_input_tokens": 128955, "output": 1253, "total": 130213},
        "costDetails": {"input": 0.1, "total": 0.5},
        "input": {"messages": [{"content": CANARY}]},
        "output": CANARY,
        "metadata": {"note": CANARY},
    } | more


def helicone(**more: Any) -> dict[str, Any]:
    """A request as Helicone exports it."""
    return {
        "response_id": "e2f8",
        "response_created_at": "2025-10-01T12:00:02.000Z",
        "response_status": 200,
        "response_model": "gpt-4o-2024-08-06",
        "request_id": "b3c1",
        "request_created_at": "2025-10-01T12:00:00.000Z",
        "request_body": {"messages": [{"content": CANARY}]},
        "response_body": {"id": "chatcmpl-9", "choices": [{"message": {"content": CANARY}}]},
        "request_path": "https://api.openai.com/v1/chat/completions",
        "request_properties": {"Team": "search", "Project": "web", "Note": CANARY},
        "request_model": "gpt-4o",
        "provider": "OPENAI",
        "delay_ms": 2000,
        "time_to_first_token": 300,
        "prompt_tokens": 100,
        "prompt_cache_read_tokens": 40,
        "prompt_cache_write_tokens": 0,
        "completion_tokens": 20,
        "cost": 0.0123,
        "cache_reference_id": "00000000-0000-0000-0000-000000000000",
    } | more


def stored(settings: Settings) -> list[dict[str, Any]]:
    with connect(settings) as connection, connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT * FROM metrics.llm_requests ORDER BY ts, request_id").fetchall()


def one(settings: Settings, tmp_path: Path, preset: str, row: dict[str, Any]) -> dict[str, Any]:
    path = tmp_path / "export.jsonl"
    path.write_text(json.dumps(row) + "\n")
    imported = load_llm(settings, path, preset=preset)
    assert imported == Imported(1, 1, 0, 0), imported
    (found,) = stored(settings)
    assert CANARY not in repr(found)
    return found


def expected(row: dict[str, Any], **columns: Any) -> None:
    assert {name: row[name] for name in columns} == columns


def test_litellm(store: Settings, tmp_path: Path) -> None:
    expected(
        one(store, tmp_path, "litellm-spend", spend()),
        ts=START, request_id="chatcmpl-1", provider="openai", model="gpt-4o", operation="chat", source="litellm",
        team="search", project="ci", status="ok", streamed=True, ttfc_s=0.4, ttft_s=None, duration_s=2.0,
        input_tokens=10, output_tokens=20, cached_tokens=4, reasoning_tokens=6, usage_source="reported",
        cost_usd=Decimal("0.00022500000000000002"), price_version="litellm",
        attrs={"key": "abababab", "model_group": "support-assistant"},
    )  # fmt: skip


def test_a_call_of_litellm_that_failed(store: Settings, tmp_path: Path) -> None:
    error = {"error_code": "429", "error_class": "RateLimitError", "error_message": CANARY}
    failed = spend(
        status="failure", prompt_tokens=0, completion_tokens=0, spend=0, metadata={"error_information": error}
    )
    expected(
        one(store, tmp_path, "litellm-spend", failed),
        status="error", error_type="RateLimitError", http_status=429, input_tokens=None, output_tokens=None,
        usage_source="missing", cost_usd=None, team="t-1", project="unassigned",
    )  # fmt: skip


def test_a_spend_of_nothing_is_a_price_that_litellm_does_not_know(store: Settings, tmp_path: Path) -> None:
    found = one(
        store, tmp_path, "litellm-spend", spend(spend=0, model="no-such-model", custom_llm_provider="hosted_vllm")
    )
    expected(found, cost_usd=None, price_version=None, provider="vllm")


def test_an_answer_from_litellms_own_cache_costs_nothing(store: Settings, tmp_path: Path) -> None:
    found = one(store, tmp_path, "litellm-spend", spend(spend=0, cache_hit="True"))
    expected(found, cost_usd=0, price_version="litellm")
    assert found["attrs"]["cache_hit"] is True


def test_langfuse(store: Settings, tmp_path: Path) -> None:
    expected(
        one(store, tmp_path, "langfuse", observation()),
        ts=START, request_id="obs-1", provider="anthropic", model="claude-sonnet-4-5", source="langfuse", status="ok",
        environment="production", streamed=True, ttfc_s=0.3, ttft_s=None, duration_s=2.0, input_tokens=128960,
        cached_tokens=128955, output_tokens=1253, cost_usd=Decimal("0.5"), price_version="langfuse", attrs=None,
    )  # fmt: skip


def test_langfuse_in_the_names_of_its_blob_storage(store: Settings, tmp_path: Path) -> None:
    row = {
        "id": "obs-2", "type": "EMBEDDING", "start_time": "2025-10-01 12:00:00.000000", "end_time": "2025-10-01 12:00:01",
        "provided_model_name": "text-embedding-3-small", "usage_details": {"input": 7}, "total_cost": 0.25, "level": "ERROR",
        "metadata": {"attributes": {"gen_ai.response.id": "resp-7", "gen_ai.provider.name": "openai"}},
    }  # fmt: skip
    expected(
        one(store, tmp_path, "langfuse", row),
        ts=START, request_id="resp-7", provider="openai", operation="embeddings", status="error", error_type="error",
        input_tokens=7, output_tokens=0, cost_usd=Decimal("0.25"), duration_s=1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("details", "sender", "given", "cached", "written", "made", "reasoning"),
    [
        ({"input": 5, "cache_read_input_tokens": 128955, "output": 1253, "total": 130213}, None, 128960, 128955, None, 1253, None),
        ({"input": 128960, "cache_read_input_tokens": 128955, "output": 1253, "total": 130213}, None, 128960, 128955, None, 1253, None),
        ({"input": 128960, "cache_read_input_tokens": 128955, "output": 1253, "total": 259168}, 128960, 128960, 128955, None, 1253, None),
        ({"input": 128960, "cache_read_input_tokens": 128955, "output": 1253, "total": 259168}, 257915, 257915, 128955, None, 1253, None),
        ({"input": 70, "input_cached_tokens": 30, "output": 5, "output_reasoning_tokens": 15, "total": 120}, None, 100, 30, None, 20, 15),
        ({"input": 100, "input_cached_tokens": 30, "output": 20, "output_reasoning_tokens": 15, "total": 120}, None, 100, 30, None, 20, 15),
        ({"input": 4, "cache_creation_input_tokens": 1000, "input_cache_read": 6, "output": 1}, None, 1010, 6, 1000, 1, None),
        ({"input_tokens": 100, "output_tokens": 50}, None, 100, None, None, 50, None),
        ({"promptTokens": 50, "completionTokens": 5, "totalTokens": 55}, None, 50, None, None, 5, None),
        ({}, None, None, None, None, None, None),
        ({"input": -1, "output": "x"}, None, None, None, None, None, None),
    ],
)  # fmt: skip
def test_no_token_counts_twice(
    details: dict[str, Any], sender: int | None, given: int, cached: int, written: int, made: int, reasoning: int
) -> None:
    found = usage(details, sender)
    names = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    assert tuple(found.get(name) for name in names) == (given, cached, written, made, reasoning)


def test_only_generations_are_requests(store: Settings, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    rows = [
        observation(),
        observation(id="s", type="SPAN"),
        observation(id="e", type="EVENT"),
        observation(id="t", type="TOOL"),
    ]
    path.write_text(json.dumps(rows, indent=2))
    assert load_llm(store, path, preset="langfuse") == Imported(4, 1, 0, 0, skipped=3)
    assert load_llm(store, path, preset="langfuse") == Imported(4, 0, 1, 0, skipped=3)


def test_helicone(store: Settings, tmp_path: Path) -> None:
    expected(
        one(store, tmp_path, "helicone", helicone()),
        ts=START, request_id="chatcmpl-9", provider="openai", model="gpt-4o", response_model="gpt-4o-2024-08-06",
        source="helicone", team="search", project="web", status="ok", http_status=200, streamed=True, ttfc_s=0.3,
        ttft_s=None, duration_s=2.0, input_tokens=100, cached_tokens=40, output_tokens=20, cost_usd=Decimal("0.0123"),
        price_version="helicone", attrs=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "columns"),
    [
        ({"response_status": 429, "prompt_tokens": 0, "completion_tokens": 0, "cost": 0},
         {"status": "error", "http_status": 429, "error_type": "http_429", "input_tokens": None, "usage_source": "missing"}),
        ({"response_status": -3}, {"status": "cancelled", "http_status": None}),
        ({"response_status": -1, "prompt_tokens": -1, "completion_tokens": -1},
         {"status": "error", "error_type": "no_answer", "input_tokens": None}),
        ({"provider": "ANTHROPIC", "request_model": "claude-sonnet-4-5", "prompt_tokens": 100, "prompt_cache_read_tokens": 40},
         {"provider": "anthropic", "input_tokens": 140}),
        ({"cache_reference_id": "77aa", "cost": 0}, {"cost_usd": 0, "attrs": {"cache_hit": True}}),
        ({"response_body": "", "cost": 0, "request_model": "no-such"}, {"request_id": "b3c1", "cost_usd": None}),
    ],
)  # fmt: skip
def test_other_requests_of_helicone(
    store: Settings, tmp_path: Path, given: dict[str, Any], columns: dict[str, Any]
) -> None:
    expected(one(store, tmp_path, "helicone", helicone(**given)), **columns)


@pytest.mark.parametrize(
    ("preset", "row"), [("litellm-spend", spend()), ("langfuse", observation()), ("helicone", helicone())]
)
def test_a_csv_says_the_same_as_json(store: Settings, tmp_path: Path, preset: str, row: dict[str, Any]) -> None:
    whole = one(store, tmp_path, preset, row)
    path = tmp_path / "export.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(
            {name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in row.items()}
        )
    assert load_llm(store, path, preset=preset) == Imported(1, 0, 1, 0)
    assert stored(store) == [whole]


def test_a_request_that_the_tap_has_metered_stays_one(store: Settings, tmp_path: Path) -> None:
    columns = ("ts", "request_id", "provider", "source", "ttft_s")
    with connect(store) as connection:
        write(
            connection,
            "metrics.llm_requests",
            columns,
            [(START + timedelta(seconds=1), "chatcmpl-1", "openai", "tap", 0.5)],
        )
    path = tmp_path / "export.jsonl"
    path.write_text(json.dumps(spend()) + "\n" + json.dumps(spend(request_id="chatcmpl-2")) + "\n")
    assert load_llm(store, path, preset="litellm-spend") == Imported(2, 1, 1, 0)
    assert [row["source"] for row in stored(store)] == ["litellm", "tap"]


def test_rows_in_error_say_why_and_not_what_was_asked(store: Settings, tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    bad = [spend(startTime="soon"), spend(request_id="x" * 300), spend(startTime=None)]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*bad, spend()]))
    imported = load_llm(store, path, preset="litellm-spend")
    assert (imported.written, imported.rejected) == (1, 3)
    assert [str(problem).partition(" is ")[0] for problem in imported.problems[:2]] == [
        "line 1: ts: 'soon'",
        "line 2: request_id:",
    ]
    assert CANARY not in repr(imported)


@pytest.mark.parametrize("preset", ["litellm-spend", "langfuse", "helicone"])
def test_a_file_of_something_else(store: Settings, tmp_path: Path, preset: str) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ColumnMissing):
        load_llm(store, path, preset=preset)
