"""Reads OTLP in JSON.

Source:
    OTLP 1.x, "JSON Protobuf Encoding": lowerCamelCase names, ids in hex, 64-bit integers as text or numbers,
    enumerations as numbers (their names, which some exporters write, are read too), unknown fields are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic_core import from_json

from collectors.otlp.conventions import FIRST_CHUNK_EVENTS, PLACES
from collectors.otlp.item import MOST_ITEMS, Attributes, Item
from collectors.web.refusal import malformed, too_many

MOST_CONTAINERS = 500_000  # objects and arrays: each takes a hundred bytes of memory, and two of the body
_LOOKED_AT = 4
_FAILED = (2, "STATUS_CODE_ERROR")

Json = dict[str, Any]


def spans(body: bytes) -> Iterator[Item]:
    """The spans of an ExportTraceServiceRequest, one by one.

    Raises:
        Refusal: the body is no such message, or holds too many spans.
    """
    return _items(body, "resourceSpans", "scopeSpans", "spans", _span)


def log_records(body: bytes) -> Iterator[Item]:
    """The log records of an ExportLogsServiceRequest. Raises as `spans`."""
    return _items(body, "resourceLogs", "scopeLogs", "logRecords", _log_record)


def metrics(body: bytes) -> int:
    """How many metrics an ExportMetricsServiceRequest holds. Raises as `spans`."""
    return sum(1 for _ in _items(body, "resourceMetrics", "scopeMetrics", "metrics", dict))


def _items(body: bytes, resources: str, scopes: str, items: str, read: Callable[[Json], Any]) -> Iterator[Any]:
    if body.count(b"{") + body.count(b"[") > MOST_CONTAINERS:
        raise too_many(MOST_CONTAINERS, "JSON objects and arrays")
    try:
        request = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError:  # not JSON, not UTF-8, nested too deeply, a number without end
        raise malformed("the body is no JSON, or is nested too deeply") from None
    left = MOST_ITEMS
    for group in _objects(_object(request), resources):
        resource = _attributes(_object(group.get("resource")))
        for scoped in _objects(group, scopes):
            scope = _text(_object(scoped.get("scope")), "name")
            for each in _objects(scoped, items):
                left -= 1
                if left < 0:
                    raise too_many(MOST_ITEMS, "items")
                item = read(each)
                if type(item) is Item:
                    item.resource, item.scope = resource, scope
                yield item


def _span(span: Json) -> Item:
    attributes = _attributes(span)
    failed = _object(span.get("status")).get("code") in _FAILED
    return Item(
        name=_text(span, "name"),
        trace_id=_hex(span, "traceId"),
        span_id=_hex(span, "spanId"),
        parent_id=_hex(span, "parentSpanId"),
        start_ns=_nanoseconds(span, "startTimeUnixNano"),
        end_ns=_nanoseconds(span, "endTimeUnixNano"),
        failed=failed,
        attributes=attributes,
        first_event_ns=_look_at_events(span, attributes, failed=failed) if attributes else 0,
    )


def _log_record(record: Json) -> Item:
    return Item(
        name=_text(record, "eventName"),
        trace_id=_hex(record, "traceId"),
        span_id=_hex(record, "spanId"),
        parent_id="",
        start_ns=_nanoseconds(record, "timeUnixNano") or _nanoseconds(record, "observedTimeUnixNano"),
        end_ns=0,
        failed=False,
        attributes=_attributes(record),
        event=True,
    )


def _look_at_events(span: Json, attributes: Attributes, *, failed: bool) -> int:
    first_chunk_ns = 0
    for event in _objects(span, "events")[:_LOOKED_AT]:
        name = _text(event, "name")
        if not first_chunk_ns and name in FIRST_CHUNK_EVENTS:
            first_chunk_ns = _nanoseconds(event, "timeUnixNano")
        elif failed and name == "exception":
            attributes |= _attributes(event) | attributes
    return first_chunk_ns


def _attributes(holder: Json) -> Attributes:
    found: Attributes = {}
    ranks: dict[str, int] = {}
    for pair in _objects(holder, "attributes"):
        place = PLACES.get(_text(pair, "key"))
        if place is None:
            continue
        field, rank = place
        if rank < ranks.get(field, rank + 1) and (value := _value(_object(pair.get("value")))) not in (None, ""):
            found[field], ranks[field] = value, rank
    return found


def _value(value: Json) -> object:
    for kind, held in value.items():
        if held is None:
            continue
        match kind:
            case "stringValue":
                return _text(value, kind)
            case "boolValue" if isinstance(held, bool):
                return held
            case "intValue":
                return _whole(held)
            case "doubleValue":
                return _number(held)
            case "arrayValue":
                values = _objects(_object(held), "values")[:_LOOKED_AT]
                return [_value(each) for each in values if "arrayValue" not in each]
    return None


def _object(value: Any) -> Json:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise malformed("an object is expected where the body has something else")
    return value


def _objects(holder: Json, name: str) -> list[Json]:
    values = holder.get(name)
    if values is None:
        return []
    if not isinstance(values, list) or not all(type(value) is dict for value in values):
        raise malformed(f"{name!r} is no list of objects")
    return values


def _text(holder: Json, name: str) -> str:
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise malformed(f"{name!r} is no text")
    return value


def _hex(holder: Json, name: str) -> str:
    value = _text(holder, name)
    try:
        return bytes.fromhex(value).hex()
    except ValueError:
        raise malformed(f"{name!r} is not in hexadecimal") from None


def _nanoseconds(holder: Json, name: str) -> int:
    value = holder.get(name)
    moment = 0 if value is None else _whole(value)
    if not 0 <= moment < 1 << 64:
        raise malformed(f"{name!r} is no 64-bit time")
    return moment


def _whole(value: object) -> int:
    if type(value) is int and -(1 << 64) < value < 1 << 64:
        return value
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdecimal() and len(value) <= 20:
        return int(value)
    raise malformed("a number is expected where the body has something else")


def _number(value: object) -> float:
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise malformed("a number is expected where the body has something else")
