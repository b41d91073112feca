"""Reads OTLP in protobuf."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from collectors.otlp import view
from collectors.otlp.conventions import FIRST_CHUNK_EVENTS, PLACES
from collectors.otlp.item import MOST_ITEMS, Attributes, Item
from collectors.web.refusal import malformed, too_many

_LOOKED_AT = 4  # events of a span, from its first; the chunk that matters is at the beginning


def spans(body: bytes) -> Iterator[Item]:
    """The spans of an ExportTraceServiceRequest, one by one.

    Raises:
        Refusal: the body is no such message, or holds too many spans.
    """
    return _items(body, _span)


def log_records(body: bytes) -> Iterator[Item]:
    """The log records of an ExportLogsServiceRequest. Raises as `spans`."""
    return _items(body, _log_record)


def metrics(body: bytes) -> int:
    """How many metrics an ExportMetricsServiceRequest holds. Raises as `spans`."""
    return sum(1 for _ in _items(body, bytes))


def _items(body: bytes, read: Callable[[bytes], Any]) -> Iterator[Any]:
    left = MOST_ITEMS

    def counted(listed: Sequence[bytes]) -> Sequence[bytes]:
        nonlocal left
        left -= len(listed)
        if left < 0:
            raise too_many(MOST_ITEMS, "items")
        return listed

    try:
        for of_resource in counted(view.Request.FromString(body).resources):
            group = view.OfResource.FromString(of_resource)
            resource = _attributes(group.resource.attributes)
            for of_scope in counted(group.scopes):
                scoped = view.OfScope.FromString(of_scope)
                scope = scoped.scope.name
                for each in counted(scoped.items):
                    item = read(each)
                    if type(item) is Item:
                        item.resource, item.scope = resource, scope
                    yield item
    except DecodeError:
        raise malformed("the body is no OTLP message in protobuf") from None


def _span(data: bytes) -> Item:
    span = view.Span.FromString(data)
    attributes = _attributes(span.attributes)
    failed = span.status.code == 2
    first_event_ns = _look_at_events(span, attributes, failed=failed) if attributes and span.events else 0
    return Item(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_id.hex(),
        start_ns=span.start,
        end_ns=span.end,
        failed=failed,
        attributes=attributes,
        first_event_ns=first_event_ns,
    )


def _log_record(data: bytes) -> Item:
    record = view.LogRecord.FromString(data)
    at_ns = record.time or record.observed
    return Item(
        name=record.event_name,
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        parent_id="",
        start_ns=at_ns,
        end_ns=0,
        failed=False,
        attributes=_attributes(record.attributes),
        event=True,
    )


def _look_at_events(span: Any, attributes: Attributes, *, failed: bool) -> int:
    first_chunk_ns = 0
    for data in span.events[:_LOOKED_AT]:
        event = view.Event.FromString(data)
        if not first_chunk_ns and event.name in FIRST_CHUNK_EVENTS:
            first_chunk_ns = event.time
        elif failed and event.name == "exception":
            attributes |= _attributes(event.attributes) | attributes
    return first_chunk_ns


def _attributes(pairs: Any) -> Attributes:
    found: Attributes = {}
    ranks: dict[str, int] = {}
    for pair in pairs:
        place = PLACES.get(pair.key)
        if place is None:
            continue
        field, rank = place
        if rank < ranks.get(field, rank + 1) and (value := _value(pair.value)) not in (None, ""):
            found[field], ranks[field] = value, rank
    return found


def _value(value: Any) -> object:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    held = getattr(value, kind)
    if kind == "array":
        return [_value(each) for each in view.Array.FromString(held).values[:_LOOKED_AT] if not each.HasField("array")]
    return held
