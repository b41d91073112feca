"""The client: rows in batches, each answered, whatever happens to the service meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Timer

import pytest

from collectors import client as module
from collectors.client import Client, LLMRequest, QueueSample
from store.errors import SourceError
from tests.fix_service import Serving
from tests.servers import free_port

START = datetime(2026, 10, 1, tzinfo=UTC)


def requests(count: int) -> list[LLMRequest]:
    return [
        LLMRequest(ts=START + timedelta(seconds=n), request_id=f"r{n}", cost_usd=Decimal("0.123456789"))
        for n in range(count)
    ]


def test_rows_go_in_batches_and_their_answers_are_put_together(
    door: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "BATCH", 10)
    with Client(door.url, door.token) as client:
        answer = client.llm_requests([*requests(24), {"request_id": "x"}, {"ts": START, "request_id": "r0"}])
        assert (answer.accepted, answer.duplicate, answer.rejected) == (24, 1, 1)
        assert [(told.row, told.outcome, told.field) for told in answer.rows] == [
            (24, "rejected", "ts"),
            (25, "duplicate", None),
        ]
        assert client.queues([QueueSample(ts=START, cluster="c", vhost="/", queue="q", messages=1)]).accepted == 1
        assert client.nodes([{"ts": START, "cluster": "c", "node": "n", "running": True}]).accepted == 1
        assert client.llm_usage([{"ts": START, "width_s": 60, "requests": 1}]).accepted == 1
    rows = door.rows()
    assert (len(rows), rows[0]["cost_usd"]) == (24, Decimal("0.123456789"))


def test_what_is_refused_is_said_at_once(door: Serving) -> None:
    with Client(door.url, "gbk_wrong") as client, pytest.raises(SourceError, match="gaugebook key add") as refused:
        client.llm_requests(requests(1))
    assert refused.value.kind == "denied"


def test_it_waits_for_a_service_that_is_away(door: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACK_OFF_S", 0.05)
    settings = door.settings
    door.close()
    with Client(door.url, door.token, tries=3) as client, pytest.raises(SourceError) as refused:
        client.llm_requests(requests(1))
    assert refused.value.kind == "down"
    started: list[Serving] = []
    again = Timer(1.0, lambda: started.append(Serving(settings, port=settings.service_port)))
    again.start()
    with Client(door.url, door.token, tries=12) as client:
        assert client.llm_requests(requests(3)).accepted == 3
    again.join()
    assert len(started[0].rows()) == 3


def test_nobody_is_there() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", "k", tries=1) as client, pytest.raises(SourceError) as refused:
        client.llm_requests(requests(1))
    assert refused.value.kind == "down"
