"""What the receiver answers, in the encoding that it was spoken to.

Source:
    OTLP 1.x, "OTLP/HTTP Response": 200 with an Export…ServiceResponse, whose partial_success tells of refused items;
    any other status with a google.rpc.Status. Only 429, 502, 503 and 504 are sent again by exporters.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collectors.web.refusal import Refusal

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_CODES = {400: 3, 408: 4, 413: 3, 415: 3, 503: 14}  # of google.rpc: invalid argument, deadline exceeded, unavailable
_UNKNOWN = 2
_REJECTED = {
    "traces": (ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response."""

    status: int
    body: bytes
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)


def taken(signal: str, content_type: str, *, refused: int = 0, why: str = "") -> Answer:
    """The request is taken, but for `refused` of its items."""
    kind, field_name, json_name = _REJECTED[signal]
    if content_type == JSON:
        partial = {"partialSuccess": {json_name: str(refused), "errorMessage": why}} if refused else {}
        return Answer(200, json.dumps(partial).encode(), JSON)
    response = kind()
    if refused:
        setattr(response.partial_success, field_name, refused)
        response.partial_success.error_message = why
    return Answer(200, response.SerializeToString(), PROTOBUF)


def refused(refusal: Refusal, content_type: str) -> Answer:
    """The request is not taken."""
    code = _CODES.get(refusal.status, _UNKNOWN)
    headers = {}
    if refusal.retry_after_s is not None:
        headers["retry-after"] = str(refusal.retry_after_s)
    if refusal.accept_encoding is not None:
        headers["accept-encoding"] = refusal.accept_encoding
    if content_type == PROTOBUF:
        return Answer(refusal.status, _status(code, refusal.text), PROTOBUF, headers)
    return Answer(refusal.status, json.dumps({"code": code, "message": refusal.text}).encode(), JSON, headers)


def _status(code: int, message: str) -> bytes:
    """A google.rpc.Status: code = 1, message = 2; a package for it alone would be too much."""
    text = message.encode()[:127]  # a length that is one byte
    return bytes([0x08, code, 0x12, len(text)]) + text
