"""Of several reports of one call in one batch, the one that says most: a framework reports, and the client below it."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.otlp.rows import Call
from collectors.otlp.seen import overlap, time_of


def one_each(calls: Sequence[Call]) -> list[Call]:
    """One report of each call, in the order they came.

    Two reports are of one call when they share the response id and overlap in time, or when one is the parent of the
    other. Of the former, one with usage is kept before one without; of the latter, the children, which show each
    attempt, unless only the parent has usage.
    """
    return _by_response(_by_parent(calls))


def _by_parent(calls: Sequence[Call]) -> list[Call]:
    below: dict[str, list[Call]] = {}
    for each in calls:
        if each.item.parent_id:
            below.setdefault(each.item.parent_id, []).append(each)
    if not below:
        return list(calls)
    gone: set[int] = set()
    for outer in calls:
        inner = below.get(outer.item.span_id) if not outer.item.event else None
        if not inner:
            continue
        if _has_usage(outer) and not any(map(_has_usage, inner)):
            gone.update(id(each) for each in inner if each.request.status == "ok")
        else:
            gone.add(id(outer))
    return [each for each in calls if id(each) not in gone]


def _by_response(calls: Sequence[Call]) -> list[Call]:
    best: list[Call] = []
    places: dict[str, int] = {}
    for each in calls:
        key = each.response_id or each.item.span_id
        place = places.get(key)
        if place is not None and overlap(time_of(best[place].item), time_of(each.item)):
            if _has_usage(each) and not _has_usage(best[place]):
                best[place] = each
            continue
        places[key] = len(best)
        best.append(each)
    return best


def _has_usage(call: Call) -> bool:
    return call.request.usage_source == "reported"
