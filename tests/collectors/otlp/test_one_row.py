"""One call, one row: however often it is told, and by how many."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors.llm.record import COLUMNS, TABLE, Request
from store.connect import connect
from store.precedence import Precedence
from store.settings import Settings
from store.write import write
from tests.collectors.otlp.exports import CALL, event, logs, span, traces
from tests.fix_otlp import Receiver, rows

ID = {**CALL, "gen_ai.response.id": "chatcmpl-1"}
NO_USAGE = {key: value for key, value in ID.items() if "usage" not in key}
NOW = time.time_ns() - 60 * 10**9


def test_nested_spans_of_one_call(receiver: Receiver) -> None:
    agent = span({**CALL, "gen_ai.operation.name": "invoke_agent"}, start_ns=NOW, lasted_s=4)
    framework = span(ID, name="ChatOpenAI.chat", start_ns=NOW + 10**8, lasted_s=2, parent=agent)
    client = span(ID, name="openai.chat", start_ns=NOW + 2 * 10**8, lasted_s=1.5, parent=framework)
    http = span({"http.request.method": "POST"}, start_ns=NOW + 3 * 10**8, parent=client)
    receiver.post("traces", traces(http, client, framework, agent))
    (row,) = receiver.rows()
    assert row["request_id"] == "chatcmpl-1"
    assert row["duration_s"] == 1.5
    assert receiver.value("llm_otlp_spans_total", outcome="duplicate") == 1
    assert receiver.value("llm_otlp_spans_total", outcome="other") == 2


def test_nested_spans_that_come_apart(receiver: Receiver) -> None:
    framework = span(CALL, start_ns=NOW, lasted_s=2)  # without an id
    client = span(ID, start_ns=NOW + 10**8, lasted_s=1.5, parent=framework)
    receiver.post("traces", traces(client))
    receiver.post("traces", traces(framework))
    (row,) = receiver.rows()
    assert row["request_id"] == "chatcmpl-1"


def test_the_report_with_usage_is_kept(receiver: Receiver) -> None:
    framework = span(ID, start_ns=NOW, lasted_s=2)
    client = span(NO_USAGE, start_ns=NOW + 10**8, lasted_s=1.5, parent=framework)
    receiver.post("traces", traces(client, framework))
    (row,) = receiver.rows()
    assert row["input_tokens"] == 1000
    assert row["duration_s"] == 2.0


def test_each_attempt_is_a_row(receiver: Receiver) -> None:
    framework = span(CALL, start_ns=NOW, lasted_s=5)
    failed = span({**NO_USAGE, "gen_ai.response.id": "", "error.type": "429"}, start_ns=NOW, parent=framework)
    good = span(ID, start_ns=NOW + 2 * 10**9, parent=framework)
    receiver.post("traces", traces(failed, good, framework))
    assert [(row["status"], row["http_status"]) for row in receiver.rows()] == [("error", 429), ("ok", None)]


def test_a_number_that_a_server_uses_again_is_another_call(receiver: Receiver) -> None:
    receiver.post("traces", traces(span(ID, start_ns=NOW), span(ID, start_ns=NOW + 5 * 10**9)))
    receiver.post("traces", traces(span(ID, start_ns=NOW + 10 * 10**9)))
    assert len(receiver.rows()) == 3


def test_what_is_sent_again_is_there_once(receiver: Receiver) -> None:
    request = traces(*(span() for _ in range(20)))
    for _ in range(3):
        assert receiver.post("traces", request).status_code == 200
    assert len(receiver.rows()) == 20


def test_also_after_a_restart(receiver: Receiver) -> None:
    request = traces(span(ID), span())
    receiver.post("traces", request)
    receiver.close()
    again = Receiver(receiver.settings)
    again.post("traces", request)
    assert len(again.rows()) == 2


@pytest.mark.parametrize("first", ["span", "event"])
def test_a_span_and_its_event(receiver: Receiver, first: str) -> None:
    made = span(ID, start_ns=NOW, lasted_s=2)
    sent = {"span": ("traces", traces(made)), "event": ("logs", logs(event(ID, of=made)))}
    for which in sorted(sent, key=lambda which: which != first):
        assert receiver.post(*sent[which]).status_code == 200
    (row,) = receiver.rows()
    assert (row["source"], row["duration_s"], row["input_tokens"]) == ("otlp", 2.0, 1000)


def test_an_event_alone(receiver: Receiver) -> None:
    receiver.post("logs", logs(event(ID), event({"event.name": "something.else"})))
    (row,) = receiver.rows()
    assert (row["source"], row["request_id"]) == ("otlp_log", "chatcmpl-1")


@pytest.mark.parametrize("first", ["tap", "otlp"])
def test_the_tap_saw_it_too(any_store: Settings, tmp_path: Path, first: str) -> None:
    tapped = Request(
        ts=datetime.fromtimestamp(NOW / 1e9 + 0.02, UTC), request_id="chatcmpl-1", provider="openai", source="tap"
    )

    def tap() -> None:
        with connect(any_store) as connection:
            write(connection, TABLE, COLUMNS, [tapped.values()], precedence=Precedence.of(any_store))

    if first == "tap":
        tap()
    receiver = Receiver(any_store.model_copy(update={"spool": tmp_path / "spool"}))
    receiver.post("traces", traces(span(ID, start_ns=NOW)))
    receiver.close()
    if first == "otlp":
        tap()
    assert [row["source"] for row in rows(any_store)] == ["tap"]
