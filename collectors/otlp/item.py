"""A span or a log record as the receiver sees it, whichever way it was encoded."""

from __future__ import annotations

from dataclasses import dataclass, field

Attributes = dict[str, object]

MOST_ITEMS = 50_000  # spans, log records or metrics of one request; exporters send 512 by default


@dataclass(slots=True)
class Item:
    """What is read of a span or, where `event` is set, of a log record.

    Ids are lower-case hex and may be empty. Times are nanoseconds since 1970; 0: not given. `attributes` and `resource`
    have the fields of `conventions.FIELDS` and no others: prompts and completions never come this far.
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: Attributes
    resource: Attributes = field(default_factory=dict)
    scope: str = ""
    first_event_ns: int = 0
    event: bool = False
