"""Rows over HTTP: what is accepted is stored once, and every other row is answered with its reason."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from collectors.service.rows import KINDS
from store.connect import connect
from store.settings import Settings
from tests.fix_service import REQUEST, Serving

FULL = {
    **REQUEST,
    "provider": "openai",
    "model": "gpt-4o",
    "team": "search",
    "input_tokens": 1000,
    "cached_tokens": 200,
    "output_tokens": 50,
    "ttft_s": 0.4,
    "duration_s": 1.5,
    "streamed": True,
    "attrs": {"region": "eu", "n": 3, "deep": [{"a": None}]},
}
OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "/v1/llm/usage": ({"ts": "2026-10-01T00:00:00+02:00", "width_s": 3600, "requests": 7}, "metrics.llm_usage"),
    "/v1/rabbitmq/queues": (
        {"ts": "2026-10-01T00:00:00Z", "cluster": "c", "vhost": "/", "queue": 'q "\\\n😀', "messages": 3},
        "metrics.rabbitmq_queues",
    ),
    "/v1/rabbitmq/nodes": (
        {"ts": "2026-10-01T00:00:00Z", "cluster": "c", "node": "n", "running": True},
        "metrics.rabbitmq_nodes",
    ),
}


def many(count: int) -> list[dict[str, object]]:
    start = datetime(2026, 10, 1, tzinfo=UTC)
    return [{"ts": (start + timedelta(seconds=n)).isoformat(), "request_id": f"r{n}"} for n in range(count)]


def test_a_row_is_stored_with_its_cost_and_what_it_leaves_out(door: Serving) -> None:
    answer = door.post([FULL])
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "duplicate": 0, "rejected": 0, "rows": []})
    (row,) = door.rows()
    assert {name: row[name] for name in FULL if name not in ("ts", "ttft_s", "duration_s")} == {
        name: value for name, value in FULL.items() if name not in ("ts", "ttft_s", "duration_s")
    }
    assert row["ts"] == datetime(2026, 10, 1, 12, tzinfo=UTC)
    assert (row["usage_source"], row["source"], row["project"], row["status"]) == (
        "reported",
        "api",
        "unassigned",
        "ok",
    )
    # 800 at $2.50, 200 cached at $1.25 and 50 at $10 a million
    assert row["cost_usd"] == Decimal("0.00275")


@pytest.mark.parametrize("path", OTHERS)
def test_the_other_tables(door: Serving, path: str) -> None:
    sent, table = OTHERS[path]
    assert door.post(sent, path).json()["accepted"] == 1
    (row,) = door.rows(table)
    assert {name: row[name] for name in sent if name != "ts"} == {
        name: value for name, value in sent.items() if name != "ts"
    }
    assert row["ts"] == datetime.fromisoformat(sent["ts"])


def test_every_column_can_be_sent(store: Settings) -> None:
    with connect(store) as connection:
        for kind in KINDS:
            columns = connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                [kind.table],
            ).fetchall()
            assert {name for (name,) in columns} == {*kind.columns}


def test_what_is_wrong_with_a_row_has_its_field_and_the_others_are_taken(door: Serving) -> None:
    wrong: list[tuple[object, str | None, str]] = [
        ({**REQUEST, "ts": "2026-10-01T12:00:00"}, "ts", "timezone"),
        ({**REQUEST, "ts": 1790000000}, "ts", "is no text such as"),
        ({**REQUEST, "ts": "2999-01-01T00:00:00Z"}, "ts", "out of range"),
        ({"ts": REQUEST["ts"]}, "request_id", "is needed"),
        ({**REQUEST, "request_id": "a\0b"}, "request_id", "NUL"),
        ({**REQUEST, "request_id": " "}, "request_id", "is empty"),
        ({**REQUEST, "model": "m" * 201}, "model", "longer than 200 bytes"),
        ({**REQUEST, "input_tokens": -1}, "input_tokens", "greater than or equal to 0"),
        ({**REQUEST, "input_tokens": "7"}, "input_tokens", "integer"),
        ({**REQUEST, "input_tokens": 2**63}, "input_tokens", "less than or equal to"),
        ({**REQUEST, "input_tokens": 1.5}, "input_tokens", "integer"),
        ({**REQUEST, "duration_s": -0.1}, "duration_s", "greater than or equal to 0"),
        ({**REQUEST, "cost_usd": 1e300}, "cost_usd", "too large"),
        ({**REQUEST, "status": "fine"}, "status", "'ok', 'error' or 'cancelled'"),
        ({**REQUEST, "attrs": {"x": "y" * 70_000}}, "attrs", "longer than 65,536"),
        ({**REQUEST, "attrs": {"x": "a\0"}}, "attrs", "NUL"),
        ({**REQUEST, "imput_tokens": 1}, "imput_tokens", "did you mean input_tokens?"),
        ({**REQUEST, "prompt": "secret"}, "prompt", "is no field"),
        (7, None, "no object"),
        (None, None, "no object"),
    ]
    sent = [*(row for row, _, _ in wrong), REQUEST]
    answer = door.post(sent)
    found = answer.json()
    assert (answer.status_code, found["accepted"], found["rejected"]) == (200, 1, len(wrong))
    for index, (told, (_, field, reason)) in enumerate(zip(found["rows"], wrong, strict=True)):
        assert (told["row"], told["outcome"], told.get("field")) == (index, "rejected", field), told
        assert reason in told["reason"]
    assert "secret" not in answer.text
    assert door.value("gaugebook_service_rows_total", route="/v1/llm/requests", outcome="rejected") == len(wrong)
    assert len(door.rows()) == 1


def test_where_no_row_is_good_it_is_422(door: Serving) -> None:
    answer = door.post([{}])
    assert (answer.status_code, answer.json()["rejected"]) == (422, 1)
    assert door.post([]).json() == {"accepted": 0, "duplicate": 0, "rejected": 0, "rows": []}


def test_what_was_sent_before_is_a_duplicate_and_stored_once(door: Serving) -> None:
    assert door.post([FULL, FULL]).json() == {
        "accepted": 1,
        "duplicate": 1,
        "rejected": 0,
        "rows": [{"row": 1, "outcome": "duplicate"}],
    }
    assert door.post([FULL]).json()["duplicate"] == 1
    assert len(door.rows()) == 1


def test_an_idempotency_key_is_answered_as_before(door: Serving) -> None:
    first = door.post([FULL], idempotency_key="a")
    again = door.post([FULL], idempotency_key="a")
    assert (again.status_code, again.json()) == (200, first.json())
    other = door.post([REQUEST], idempotency_key="a")
    assert (other.status_code, other.json()["title"]) == (422, "idempotency")
    assert door.post([FULL], idempotency_key="b").json()["duplicate"] == 1


def test_many_at_once_share_a_way_to_the_disk_and_each_has_its_answer(door: Serving) -> None:
    def send(number: int) -> tuple[int, int, int]:
        rows: list[object] = [{**REQUEST, "request_id": f"{number}-{n}"} for n in range(3)]
        answer = door.post([*rows, REQUEST, {}] if number % 2 else b"{")
        told = answer.json()
        return answer.status_code, told.get("accepted", 0) + told.get("duplicate", 0), told.get("rejected", 0)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(100)))
    assert answers == [(200, 4, 1) if number % 2 else (400, 0, 0) for number in range(100)]
    assert len(door.rows()) == 50 * 3 + 1


def test_lines_and_compression(door: Serving) -> None:
    lines = b"\n".join([*(json.dumps(row).encode() for row in many(3)), b"{", b""])
    answer = door.post(gzip.compress(lines), content_type="application/x-ndjson", content_encoding="gzip")
    assert answer.json()["accepted"] == 3
    (broken,) = answer.json()["rows"]
    assert (broken["row"], broken["outcome"]) == (3, "rejected")
    assert "no JSON" in broken["reason"]
    assert len(door.rows()) == 3


def test_ten_thousand_rows_and_no_more(door: Serving) -> None:
    refused = door.post(many(10_001))
    assert (refused.status_code, refused.json()["title"]) == (413, "too_many")
    assert door.post(many(10_000)).json()["accepted"] == 10_000
    assert len(door.rows()) == 10_000


@pytest.mark.parametrize(
    ("body", "headers", "status", "title"),
    [
        (b"{", {}, 400, "malformed"),
        (b"[" * 100_000, {}, 400, "malformed"),
        (b'[{"ts": NaN}]', {}, 400, "malformed"),
        (b"[" + b"9" * 10_000 + b"]", {}, 400, "malformed"),
        (b"\xff", {}, 400, "malformed"),
        (b"[]", {"idempotency_key": "k" * 201}, 400, "malformed"),
        (b"[]", {"content_type": "text/plain"}, 415, "content_type"),
        (b"[]", {"content_encoding": "br"}, 415, "encoding"),
        (gzip.compress(bytes(100 << 20)), {"content_encoding": "gzip"}, 413, "too_large"),
        (bytes(5 << 20), {}, 413, "too_large"),
    ],
)
def test_a_body_that_is_refused(
    door: Serving, body: bytes, headers: dict[str, str], status: int, title: str
) -> None:  # fmt: skip
    answer = door.post(body, **headers)
    assert (answer.status_code, answer.json()["title"]) == (status, title)
    assert answer.headers["content-type"] == "application/problem+json"
    assert door.post([REQUEST]).status_code == 200


def test_keys_open_what_they_are_for(door: Serving) -> None:
    llm = door.keys.add("llm", ["ingest:llm"], ["search", "shop"])
    one = door.keys.add("one", ["ingest:llm"], ["search"])
    for token in ("x", "gbk_" + "0" * 12 + "_" + "x" * 43, llm[:-1] + ("a" if llm[-1] != "a" else "b"), "é"):
        answer = door.client.post("/v1/llm/requests", headers=[(b"authorization", f"Bearer {token}".encode())])
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), token
    assert door.client.post("/v1/llm/requests", json=[REQUEST]).status_code == 401
    assert door.post([], "/v1/rabbitmq/nodes", token=llm).status_code == 403
    rows = [{**REQUEST, "request_id": str(n), "team": team} for n, team in enumerate(("search", "ads", None))]
    refused = door.post(rows, token=llm).json()["rows"]
    assert [(told["row"], told["field"]) for told in refused] == [(1, "team"), (2, "team")]
    assert door.post([REQUEST], token=one).json()["accepted"] == 1
    door.keys.remove("one")
    assert door.post([REQUEST], token=one).status_code == 401
    assert {row["team"] for row in door.rows()} == {"search"}


def test_what_can_be_asked_without_a_key(door: Serving) -> None:
    assert door.client.get("/healthz").text == "ok\n"
    assert door.client.get("/readyz").status_code == 200
    document = door.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {*document["paths"]} == {*(kind.path for kind in KINDS), "/healthz", "/readyz"}
    schemas = document["components"]["schemas"]
    assert {kind.model.__name__ for kind in KINDS} <= {*schemas}
    assert schemas["LLMRequest"]["required"] == ["ts", "request_id"]
    references = json.dumps(document).split('"$ref": "#/components/schemas/')[1:]
    assert {text.split('"')[0] for text in references} <= {*schemas}
    for path in ("/docs", "/redoc", "/v1/llm/nothing"):
        assert door.client.get(path).status_code == 404
