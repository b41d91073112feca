"""OTLP requests by the official messages, in both encodings."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PROTOBUF, JSON = "application/x-protobuf", "application/json"
Attributes = Mapping[str, Any]
CALL: Attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 300,
}


def value(given: Any) -> AnyValue:
    if isinstance(given, bool):
        return AnyValue(bool_value=given)
    if isinstance(given, int):
        return AnyValue(int_value=given)
    if isinstance(given, float):
        return AnyValue(double_value=given)
    if isinstance(given, list):
        answer = AnyValue()
        answer.array_value.values.extend(map(value, given))
        return answer
    return AnyValue(string_value=given)


def pairs(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=key, value=value(given)) for key, given in attributes.items()]


def span(
    attributes: Attributes = CALL,
    *,
    name: str = "chat gpt-4o",
    start_ns: int | None = None,
    lasted_s: float = 1.0,
    parent: Span | None = None,
    failed: bool = False,
) -> Span:
    start = time.time_ns() - 10**9 if start_ns is None else start_ns
    made = Span(
        trace_id=parent.trace_id if parent else secrets.token_bytes(16),
        span_id=secrets.token_bytes(8),
        parent_span_id=parent.span_id if parent else b"",
        name=name,
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start,
        end_time_unix_nano=start + int(lasted_s * 1e9),
        attributes=pairs(attributes),
    )
    made.status.code = 2 if failed else 1
    return made


def traces(*spans: Span, resource: Attributes | None = None, scope: str = "test") -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs(resource or {"service.name": "tests"}))
    scoped = group.scope_spans.add()
    scoped.scope.name = scope
    scoped.spans.extend(spans)
    return request


def event(attributes: Attributes, *, of: Span | None = None, at_ns: int | None = None) -> LogRecord:
    return LogRecord(
        time_unix_nano=at_ns or (of.end_time_unix_nano if of else time.time_ns()),
        event_name="gen_ai.client.inference.operation.details",
        trace_id=of.trace_id if of else b"",
        span_id=of.span_id if of else b"",
        attributes=pairs(attributes),
    )


def logs(*records: LogRecord) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scoped = request.resource_logs.add().scope_logs.add()
    scoped.log_records.extend(records)
    return request


def metrics(*names: str) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    scoped = request.resource_metrics.add().scope_metrics.add()
    for name in names:
        scoped.metrics.add(name=name).gauge.data_points.add(as_int=1)
    return request


def encoded(request: Message, content_type: str) -> bytes:
    if content_type == PROTOBUF:
        return request.SerializeToString()
    return json.dumps(_hex_ids(MessageToDict(request))).encode()


def _hex_ids(node: Any) -> Any:
    """OTLP's JSON has ids in hex where protobuf's has base64."""
    if isinstance(node, Sequence) and not isinstance(node, str):
        return [_hex_ids(each) for each in node]
    if not isinstance(node, dict):
        return node
    ids = ("traceId", "spanId", "parentSpanId")
    return {key: base64.b64decode(each).hex() if key in ids else _hex_ids(each) for key, each in node.items()}
