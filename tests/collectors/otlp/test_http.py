"""How the receiver speaks HTTP: what OTLP asks of a server."""

from __future__ import annotations

import json
import zlib

import httpx2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.collectors.otlp.exports import CALL, JSON, PROTOBUF, encoded, event, logs, metrics, span, traces
from tests.fix_otlp import Receiver

GOOD = traces(span())
WRONG = span({**CALL, "gen_ai.usage.output_tokens": -3})


def test_each_signal_in_each_encoding(receiver: Receiver) -> None:
    for content_type in (PROTOBUF, JSON, "application/json; charset=utf-8"):
        plain = content_type.partition(";")[0]
        for signal, request in (
            ("traces", traces(span())),
            ("metrics", metrics("x")),
            ("logs", logs(event(CALL, of=span()))),
        ):
            answer = receiver.post(signal, encoded(request, plain), content_type)
            assert (answer.status_code, answer.headers["content-type"]) == (200, plain)
            assert answer.content == (b"" if plain == PROTOBUF else b"{}")


def test_encodings(receiver: Receiver) -> None:
    body = encoded(GOOD, PROTOBUF)
    raw = zlib.compressobj(wbits=-15)
    assert receiver.post("traces", body, encoding="gzip").status_code == 200
    for sent in (zlib.compress(body), raw.compress(body) + raw.flush()):
        assert receiver.post("traces", sent, **{"content-encoding": "deflate"}).status_code == 200
    refused = receiver.post("traces", body, **{"content-encoding": "br"})
    assert refused.status_code == 415
    assert refused.headers["accept-encoding"] == "gzip, deflate"


def test_an_empty_request_is_fine(receiver: Receiver) -> None:
    assert receiver.post("traces", b"").status_code == 200
    assert receiver.post("traces", b"{}", JSON).status_code == 200


def test_partial_success(receiver: Receiver) -> None:
    answer = receiver.post("traces", traces(span(), WRONG))
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, told.rejected_spans) == (200, 1)
    assert "output_tokens is no number of tokens" in told.error_message
    answer = receiver.post("traces", traces(span(), WRONG), JSON)
    assert json.loads(answer.content)["partialSuccess"]["rejectedSpans"] == "1"
    assert receiver.value("llm_otlp_spans_total", outcome="refused") == 2
    assert len(receiver.rows()) == 2


def test_a_request_without_any_good_call_is_refused(receiver: Receiver) -> None:
    answer = receiver.post("traces", traces(WRONG), JSON)
    assert answer.status_code == 400
    assert answer.json()["code"] == 3
    assert "-3" not in answer.json()["message"]


def test_other_content_types(receiver: Receiver) -> None:
    for content_type in ("text/plain", "", "application/protobuf", "application/json, text/plain"):
        assert receiver.post("traces", encoded(GOOD, PROTOBUF), content_type).status_code == 415


def test_a_status_in_protobuf(receiver: Receiver) -> None:
    answer = receiver.post("traces", b"\xff\xff")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == PROTOBUF
    code, length = answer.content[1], answer.content[3]
    assert (code, len(answer.content)) == (3, 4 + length)
    assert answer.content[4:].decode() == "the body is no OTLP message in protobuf"


def test_other_methods_and_paths(receiver: Receiver) -> None:
    assert receiver.client.get("/v1/traces").status_code == 405
    assert receiver.client.post("/v1/profiles").status_code == 404
    assert receiver.client.get("/healthz").text == "ok\n"


def test_a_body_that_is_too_large(receiver: Receiver) -> None:
    large = b" " * (receiver.settings.otlp_body_mb << 20) + b"{}"
    assert receiver.post("traces", large, JSON).status_code == 413
    assert receiver.post("traces", large, JSON, "gzip").status_code == 413
    assert receiver.value("llm_otlp_refused_total", reason="too_large") == 2


def test_a_body_of_unknown_length(receiver: Receiver) -> None:
    body = encoded(GOOD, PROTOBUF)
    headers = {"content-type": PROTOBUF}
    answer = receiver.client.post("/v1/traces", content=iter([body[:50], body[50:]]), headers=headers)
    assert answer.status_code == 200
    endless = (b"{" * 2**20 for _ in range(100))
    try:
        answer = receiver.client.post("/v1/traces", content=endless, headers={"content-type": JSON})
    except httpx2.TransportError:  # it hung up before all of it was sent
        pass
    else:
        assert answer.status_code == 413
    assert receiver.value("llm_otlp_refused_total", reason="too_large") == 1


def test_what_prometheus_sees(receiver: Receiver) -> None:
    receiver.post("traces", GOOD)
    page = httpx2.get(f"http://127.0.0.1:{receiver.settings.metrics_port}/metrics", trust_env=False).text
    for line in (
        'llm_otlp_spans_total{outcome="kept"} 1.0',
        'llm_otlp_requests_total{signal="traces",status="200"} 1.0',
        "llm_otlp_in_flight_bytes 0.0",
        "llm_otlp_in_flight_rows",
        'gaugebook_collector_last_success_timestamp_seconds{collector="otlp"}',
    ):
        assert line in page
    assert receiver.value("llm_otlp_received_bytes_total", signal="traces") == len(encoded(GOOD, PROTOBUF))
