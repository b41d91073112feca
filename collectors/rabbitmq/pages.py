"""The pages of RabbitMQ's Prometheus plugin, as parts of a Reading: what it says of the node, and of each queue."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from collectors import text
from collectors.rabbitmq import api
from collectors.rabbitmq.names import Of, names
from collectors.rabbitmq.reading import Key, Queue
from store.errors import SourceError

PREFIX, DETAILED = "rabbitmq_", "rabbitmq_detailed_"
BUILD, IDENTITY = "rabbitmq_build_info", "rabbitmq_identity_info"

Columns = dict[tuple[Of, str], dict[Key, float]]

_NODE, _TOTALS, _COUNTERS = names("native", "node"), names("native", "totals"), names("native", "counters")
_PAGE = {PREFIX + row.theirs for row in (*_NODE, *_TOTALS, *_COUNTERS)} | {BUILD, IDENTITY}
_STRAIGHT = re.compile(r'vhost="([^"\\]*)",queue="([^"\\]*)"')
_RAW = re.compile(r'vhost="(.*)",queue="(.*)"')


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page of one node says of itself, and the sums over it. `at_s`: when, on the monotonic clock."""

    node: str
    cluster: str
    version: str | None
    erlang: str | None
    at_s: float
    values: dict[str, float]
    totals: dict[str, float]
    counters: dict[str, int]
    skipped: int


def shown(written: str, at_s: float, where: str) -> Shown:
    """What a page of `/metrics` says, which was shown at `at_s` by the plugin at `where`.

    Raises:
        SourceError: it is not a page of RabbitMQ's.
    """
    page = text.read(written, _PAGE)
    build, identity = _info(page, BUILD), _info(page, IDENTITY)
    if not build and not identity:
        raise SourceError(where, "its /metrics is not that of RabbitMQ's Prometheus plugin")
    counters: dict[str, int] = {}
    for row in _COUNTERS:
        value = page.total(PREFIX + row.theirs)
        if value is not None and math.isfinite(value):
            counters[row.ours] = counters.get(row.ours, 0) + round(value)
    for row in _COUNTERS:
        if PREFIX + row.theirs in page.damaged:  # a sum without one of its parts would be a fall, and then a jump
            counters.pop(row.ours, None)
    return Shown(
        identity.get("rabbitmq_node") or where,
        identity.get("rabbitmq_cluster") or identity.get("rabbitmq_node") or "unknown",
        build.get("rabbitmq_version"),
        build.get("erlang_version"),
        at_s,
        _sums(page, "node"),
        _sums(page, "totals"),
        counters,
        page.skipped,
    )


def depths(page: str, *, raw: bool = False) -> tuple[list[Queue], int]:
    r"""The queues of a page of `/metrics/detailed` or `/metrics/per-object`, and how many samples could not be read.

    `raw`: the values of the labels are as they are, not escaped, as in old releases; see `names.escapes`.

    >>> depths('rabbitmq_detailed_queue_messages{vhost="/",queue="a"} 3\n')[0][0].messages
    3
    """
    columns, skipped = by_queue(page, ("queue",), raw=raw)
    return [_queue(key, columns) for key in _keys(columns)], skipped


def details(page: str, wanted: set[Key], *, raw: bool = False) -> list[Queue]:
    """All that a page tells of the queues that are `wanted`."""
    columns, _ = by_queue(page, ("queue", "queue.counters", "queue.extra"), raw=raw)
    return [_queue(key, columns) for key in _keys(columns) if key in wanted]


def by_queue(page: str, of: tuple[Of, ...], *, raw: bool) -> tuple[Columns, int]:
    """Of each thing that a page tells of queues, what it is for each of them; and how many samples could not be read.

    What comes in parts is added up. What is shown twice, and differs, is NaN: one of the two is not what it seems.
    """
    rows = {prefix + row.theirs: row for row in names("native", *of) for prefix in (PREFIX, DETAILED)}
    read = text.read(page, rows)
    keys: dict[str, Key | None] = {}
    columns: Columns = {}
    skipped = read.skipped
    for theirs, samples in read.samples.items():
        row = rows[theirs]
        parts = row.of == "queue.counters"
        column = columns.setdefault((row.of, row.ours), {})
        for written, value in samples:
            if written in keys:
                key = keys[written]
            else:
                key = keys[written] = key_of(written, raw=raw)
            if key is None:
                skipped += 1
            elif not isfinite(value):
                continue
            elif key not in column:
                column[key] = value
            elif parts:
                column[key] += value
            elif column[key] != value:
                column[key] = math.nan
                skipped += 1
    return columns, skipped


def raft(members: list[dict[str, float]]) -> dict[str, float]:
    """One queue's values from those of its members, which each node shows of its own.

    `raft_lag`: entries between the newest that any member has written and the oldest that all have acted on.

    >>> raft([{"raft_written": 9, "raft_applied": 8}, {"raft_written": 5, "raft_applied": 5}])["raft_lag"]
    4
    """
    found: dict[str, float] = {}
    for member in members:
        for name, value in member.items():
            found[name] = max(value, found.get(name, value))
    behind = [member[name] for member in members for name in ("raft_written", "raft_applied") if name in member]
    if behind:
        found["raft_lag"] = max(behind) - min(behind)
    return found


def key_of(written: str, *, raw: bool) -> Key | None:
    r"""The vhost and queue in the labels of a sample; None where they cannot be told for certain.

    >>> key_of(r'vhost="/",queue="c:\\new"', raw=False), key_of(r'vhost="/",queue="c:\new"', raw=True)
    (('/', 'c:\\new'), ('/', 'c:\\new'))
    """
    straight = _STRAIGHT.fullmatch(written)
    if straight is not None:
        return _key(straight[1], straight[2])
    if not raw:
        found = text.labels(written) or {}
        vhost, queue = found.get("vhost"), found.get("queue")
        return None if vhost is None or queue is None else _key(vhost, queue)
    # The names stand there as they are. Where they hold what divides labels or samples, that divides nothing for sure.
    one = _RAW.fullmatch(written)
    if one is None or written.count('",queue="') != 1 or '",' in one[2] or "{vhost=" in one[2]:
        return None
    return _key(one[1], one[2])


def _key(vhost: str, queue: str) -> Key:
    return (vhost.replace("\0", "\ufffd"), queue.replace("\0", "\ufffd")) if "\0" in vhost + queue else (vhost, queue)


def _keys(columns: Columns) -> Iterable[Key]:
    """Of all queues in any column, in the order of the page."""
    return {key: None for column in columns.values() for key in column}


def _queue(key: Key, columns: Columns) -> Queue:
    queue = Queue(*key)
    for (of, ours), column in columns.items():
        value = column.get(key)
        if value is None or value < 0 or math.isnan(value):
            continue
        if of == "queue.counters":
            queue.counters[ours] = int(value)
        elif of == "queue.extra":
            queue.extra[ours] = value
        elif ours == "consumer_utilisation":
            queue.consumer_utilisation = value if value <= 1 else None
        elif ours == "head_timestamp":
            queue.head_timestamp = api.seconds(value)
        else:
            setattr(queue, ours, int(value))
    return queue


def _sums(page: text.Page, of: Of) -> dict[str, float]:
    sums = {row.ours: page.total(PREFIX + row.theirs) for row in names("native", of)}
    return {ours: value for ours, value in sums.items() if value is not None and math.isfinite(value)}


def _info(page: text.Page, name: str) -> dict[str, str]:
    found = (text.labels(written) for written, _ in page.samples.get(name, ()))
    return next((labels for labels in found if labels), {})
