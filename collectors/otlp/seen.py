"""What was kept lately, so that one call that is told of twice becomes one row."""

from __future__ import annotations

from collections import OrderedDict

from collectors.otlp.item import Item

CAPACITY = 50_000  # calls, of each kind of trace that is kept of them: about 10 MB
EVENT_SLACK_NS = 120 * 10**9  # an event may be as much later than its span


class Seen:
    """The calls of the last while: by the id of their response, and by the span around them.

    Some servers number their responses anew every day, so that an id alone proves nothing: two reports of one call
    overlap in time as well.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._responses: OrderedDict[str, tuple[int, int]] = OrderedDict()
        self._parents: OrderedDict[str, None] = OrderedDict()

    def add(self, item: Item, response_id: str | None) -> None:
        """Remember a call that has been kept. An event is not: its span knows more, and the store replaces it."""
        if item.event:
            return
        key = response_id or item.span_id
        if key:
            self._responses[key] = time_of(item)
            self._responses.move_to_end(key)
            if len(self._responses) > self._capacity:
                self._responses.popitem(last=False)
        if item.parent_id:
            self._parents[item.parent_id] = None
            if len(self._parents) > self._capacity:
                self._parents.popitem(last=False)

    def holds(self, item: Item, response_id: str | None) -> bool:
        """Whether `item` tells of a call that was kept: the same one, or one that happened inside it."""
        if item.span_id and not item.event and item.span_id in self._parents:
            return True
        former = self._responses.get(response_id or item.span_id)
        return former is not None and overlap(former, time_of(item))


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two spans of time have a moment in common.

    >>> overlap((1, 3), (2, 5)), overlap((1, 3), (4, 5))
    (True, False)
    """
    return one[0] <= other[1] and other[0] <= one[1]


def time_of(item: Item) -> tuple[int, int]:
    """From when to when (ns) the call may have lasted."""
    if item.event:
        return item.start_ns - EVENT_SLACK_NS, item.start_ns
    return item.start_ns, max(item.start_ns, item.end_ns)
