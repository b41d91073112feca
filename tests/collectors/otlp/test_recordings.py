"""What two real instrumentations have sent, through the whole receiver."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from store.connect import connect
from tests.collectors.otlp.exports import JSON, PROTOBUF
from tests.fix_otlp import Receiver

FILES = [("traces.pb", PROTOBUF), ("traces.json", JSON)]
PROMPT = "Tell me a joke"


@pytest.mark.parametrize(("file", "content_type", "encoding"), [(*FILES[0], "gzip"), (*FILES[1], "")])
def test_every_call_is_a_row(receiver: Receiver, recordings: Path, file: str, content_type: str, encoding: str) -> None:
    answer = receiver.post("traces", (recordings / file).read_bytes(), content_type, encoding)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == content_type
    assert answer.content in (b"", b"{}")
    told = [
        (row["request_id"][:12], row["provider"], row["response_model"], row["input_tokens"], row["output_tokens"])
        for row in receiver.rows()
    ]
    assert told == [
        ("chatcmpl-908", "openai", "gpt-3.5-turbo-0125", 15, 19),
        ("chatcmpl-9AG", "openai", "gpt-3.5-turbo-0125", None, None),
        ("8b1e7bf8-28c", "deepseek", "deepseek-chat", 32, 324),  # the span says openai; its address is right
        ("msg_01MXWxhW", "anthropic", "claude-3-haiku-20240307", 17, 174),
        ("msg_01TPXhkP", "anthropic", "claude-3-opus-20240229", 17, 220),
    ]


def test_the_other_columns(receiver: Receiver, recordings: Path) -> None:
    receiver.post("traces", (recordings / "traces.pb").read_bytes())
    plain, streamed, *_, opus = receiver.rows()
    assert plain["source"] == "otlp"
    assert plain["team"] == "tests"
    assert plain["streamed"] is False
    assert plain["ttfc_s"] is None
    assert plain["duration_s"] == pytest.approx(0.010731613)
    assert plain["attrs"]["service"] == "replay"
    assert streamed["usage_source"] == "missing"
    assert streamed["cost_usd"] is None
    assert streamed["ttfc_s"] == pytest.approx(0.005733834)  # its first event is a chunk, whatever is in it
    assert streamed["ttft_s"] is None
    assert opus["cost_usd"] == Decimal(17 * 15 + 220 * 75) / 10**6


def test_both_encodings_give_the_same_rows_once(receiver: Receiver, recordings: Path) -> None:
    for file, content_type in FILES * 2:
        assert receiver.post("traces", (recordings / file).read_bytes(), content_type).status_code == 200
    assert len(receiver.rows()) == 5
    assert receiver.value("llm_otlp_spans_total", outcome="kept") == 5
    assert receiver.value("llm_otlp_spans_total", outcome="duplicate") == 15


def test_metrics_are_taken_and_counted(receiver: Receiver, recordings: Path) -> None:
    for file, content_type in (("metrics.pb", PROTOBUF), ("metrics.json", JSON)):
        assert receiver.post("metrics", (recordings / file).read_bytes(), content_type).status_code == 200
    assert receiver.value("llm_otlp_metrics_total", outcome="other") == 16
    assert receiver.rows() == []


def test_prompts_and_answers_are_kept_nowhere(receiver: Receiver, recordings: Path, tmp_path: Path) -> None:
    assert PROMPT.encode() in (recordings / "traces.pb").read_bytes()
    receiver.post("traces", (recordings / "traces.pb").read_bytes())
    receiver.rows()
    spooled = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert PROMPT.encode() not in spooled
    with connect(receiver.settings) as connection:
        (stored,) = connection.execute("SELECT string_agg(t::text, '') FROM metrics.llm_requests t").fetchone()
    assert PROMPT not in stored
    assert "joke" not in stored
