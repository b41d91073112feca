"""What the management API tells in JSON, as parts of a Reading. What is missing or makes no sense is left out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal
from urllib.parse import quote

from collectors.rabbitmq.ask import Ask, each, segment
from collectors.rabbitmq.names import Name, names, version
from collectors.rabbitmq.reading import Key, Link, Node, Queue

Json = dict[str, Any]

INT8 = 2**63 - 1
SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
MILLISECONDS = 10**11  # a timestamp beyond this is not in seconds

_QUEUE, _COUNTERS = names("management", "queue"), names("management", "queue.counters")
_NODE = names("management", "node")
_TOTALS, _CLUSTER = names("management", "totals"), names("management", "counters")
_SHARES = ("consumer_utilisation",)

DOTS = (".", "..")  # as a part of a path, written in whatever way, these mean something else
DEPTH_COLUMNS = "name,vhost,type,messages,messages_ready,messages_unacknowledged,consumers"
QUEUE_COLUMNS = ",".join(
    [
        *("name", "vhost", "node", "type", "state", "policy", "durable", "exclusive", "auto_delete", "arguments"),
        "effective_policy_definition",
        *(name.theirs for name in (*_QUEUE, *_COUNTERS)),
    ]
)
NODE_COLUMNS = ",".join(["name", "running", *(name.theirs for name in _NODE)])

# What limits a queue: of policy and argument the smaller holds, and of the two that name something the argument.
# rabbit_amqqueue_process.erl, res_min and res_arg.
_SMALLER = {
    "max_length": ("max-length", "x-max-length"),
    "max_length_bytes": ("max-length-bytes", "x-max-length-bytes"),
    "message_ttl_ms": ("message-ttl", "x-message-ttl"),
    "expires_ms": ("expires", "x-expires"),
}
_ARGUMENT = {
    "dead_letter_exchange": ("dead-letter-exchange", "x-dead-letter-exchange"),
    "dead_letter_routing_key": ("dead-letter-routing-key", "x-dead-letter-routing-key"),
}


def overview(ask: Ask) -> Json:
    """Raises SourceError, as the others here that take an `Ask`."""
    return ask.json("/api/overview", dict)


def nodes(ask: Ask) -> list[Node]:
    """The nodes; none where the user may not see them, or the broker cannot tell."""
    answer = each(lambda: ask.json(f"/api/nodes?columns={NODE_COLUMNS}", list))
    return [found for item in _objects(answer or []) if (found := node(item)) is not None]


def detail(ask: Ask, keys: Sequence[Key], *, stats: bool = True) -> list[Queue]:
    """These queues, one question each: at 10,000 queues a question takes 2 ms, and any list of them half a second.

    `stats` says whether the broker keeps statistics; see `queue`.
    """
    found = []
    for vhost, name in keys:
        if name in DOTS:
            found += _dots(ask, vhost, name, stats=stats)
            continue
        path = f"/api/queues/{segment(vhost)}/{segment(name)}?columns={QUEUE_COLUMNS}"
        answer = None if vhost in DOTS else ask.maybe(path, dict)
        if answer is not None and (one := queue(answer, stats=stats)) is not None:
            found.append(one)
    if any(each_.type == "stream" for each_ in found):
        lags = stream_lags(ask)
        for stream in found:
            if stream.key in lags:
                stream.extra["stream_lag"] = lags[stream.key]
    return found


def _dots(ask: Ask, vhost: str, name: str, *, stats: bool) -> list[Queue]:
    pattern = quote(f"^{re.escape(name)}$", safe="")
    path = f"/api/queues/{segment(vhost)}?page=1&page_size=10&use_regex=true&name={pattern}&columns={QUEUE_COLUMNS}"
    answer = None if vhost in DOTS else ask.maybe(path, dict)
    return queues((answer or {}).get("items") or [], stats=stats)


def stream_lags(ask: Ask) -> dict[Key, float]:
    """How many offsets the slowest consumer of each stream is behind; of consumers by the stream protocol alone.

    Empty where the plugin rabbitmq_stream_management is off.
    """
    answer = each(lambda: ask.maybe("/api/stream/consumers?columns=queue,offset_lag", list))
    lags: dict[Key, float] = {}
    for item in _objects(answer or []):
        of, lag = item.get("queue"), number(item.get("offset_lag"))
        if isinstance(of, dict) and lag is not None:
            key = text(of.get("vhost")) or "", text(of.get("name")) or ""
            lags[key] = max(lag, lags.get(key, 0.0))
    return lags


def links(ask: Ask) -> list[Link]:
    """Shovels and federation links; none where the plugins are off or the user may not see them."""
    shovels = each(lambda: ask.maybe("/api/shovels", list))
    federation = each(lambda: ask.maybe("/api/federation-links", list))
    return [
        *(_link("shovel", item, text(item.get("name")), item.get("state")) for item in _objects(shovels or [])),
        *(_link("federation", item, _federated(item), item.get("status")) for item in _objects(federation or [])),
    ]


def totals(overview: Json) -> dict[str, float]:
    """The sums that `/api/overview` tells."""
    return {name.ours: float(value) for name, value in _read(_TOTALS, overview)}


def counters(overview: Json) -> dict[str, int]:
    """The totals of the whole cluster that only grow. Empty where the broker keeps no statistics."""
    if not keeps_stats(overview):
        return {}
    # An operation that there never was is not listed.
    release = version(text(overview.get("rabbitmq_version")))
    zero = {row.ours: 0 for row in _CLUSTER if row.there(release) and row.theirs.partition(".")[0] in overview}
    return zero | {name.ours: round(value) for name, value in _read(_CLUSTER, overview)}


def keeps_stats(overview: Json) -> bool:
    """Whether the management plugin counts messages, which can be switched off."""
    return overview.get("disable_stats") is not True and overview.get("rates_mode") != "none"


def node(item: Json) -> Node | None:
    """One of `/api/nodes`; None where it has no name."""
    name = text(item.get("name"))
    if not name:
        return None
    values = {found.ours: value * found.factor for found, value in _read(_NODE, item)}
    return Node(name, item.get("running") is True, values)


def queue(item: Json, *, stats: bool = True) -> Queue | None:
    """One of `/api/queues`; None where it has no name.

    Where the broker keeps `stats`, and has some of this queue, an operation that is not listed was never done.
    """
    name, vhost = text(item.get("name")), text(item.get("vhost"))
    if name is None or vhost is None:
        return None
    found = Queue(vhost, name)
    for column, value in _read(_QUEUE, item):
        if column.ours in _SHARES:
            found.consumer_utilisation = value if 0 <= value <= 1 else None
        elif column.ours == "head_timestamp":
            found.head_timestamp = seconds(value)
        else:
            setattr(found, column.ours, round(value))
    for field in ("type", "state", "policy", "node"):
        setattr(found, field, text(item.get(field)) or None)
    for field in ("durable", "exclusive", "auto_delete"):
        said = item.get(field)
        setattr(found, field, said if isinstance(said, bool) else None)
    if stats and found.messages is not None:
        found.counters = {each_.ours: 0 for each_ in _COUNTERS}
        found.counters |= {counter.ours: round(value) for counter, value in _read(_COUNTERS, item)}
    _limits(found, item)
    return found


def queues(items: list[Any], *, stats: bool = True) -> list[Queue]:
    """Those of a list that are queues."""
    return [found for item in _objects(items) if (found := queue(item, stats=stats)) is not None]


def text(value: object) -> str | None:
    """A string as a database can keep it."""
    return value.replace("\0", "\ufffd").translate(SURROGATES) if isinstance(value, str) else None


def number(value: object) -> float | None:
    """A finite number that is not negative; a truth is 1 or 0, a list its length."""
    if isinstance(value, list):
        return float(len(value))
    if not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= INT8:
        return None
    return float(value) if abs(value) < 2**53 else value


def seconds(stamp: float) -> float | None:
    """The time that a publisher stamped on a message; None where it is none. Some stamp milliseconds."""
    return (stamp / 1000 if stamp >= MILLISECONDS else stamp) if stamp > 0 else None


def _limits(found: Queue, item: Json) -> None:
    policy, arguments = item.get("effective_policy_definition"), item.get("arguments")
    policy, arguments = (value if isinstance(value, dict) else {} for value in (policy, arguments))
    for field, (in_policy, in_arguments) in _SMALLER.items():
        given = [number(value) for value in (policy.get(in_policy), arguments.get(in_arguments))]
        limits = [round(value) for value in given if value is not None]
        setattr(found, field, min(limits, default=None))
    for field, (in_policy, in_arguments) in _ARGUMENT.items():
        said = text(arguments.get(in_arguments))
        setattr(found, field, text(policy.get(in_policy)) if said is None else said)


def _link(kind: Literal["shovel", "federation"], item: Json, name: str | None, state: object) -> Link:
    return Link(kind, name or "", text(item.get("vhost")) or "", text(state) or "unknown", text(item.get("node")))


def _federated(item: Json) -> str:
    of = "queue" if item.get("queue") else "exchange"
    return f"{text(item.get('upstream')) or '?'}: {of} {text(item.get(of)) or '?'}"


def _read(rows: list[Name], item: Json) -> Iterator[tuple[Name, float]]:
    for row in rows:
        value: Any = item
        for part in row.theirs.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if (read := number(value)) is not None:
            yield row, read


def _objects(values: list[Any]) -> list[Json]:
    return [value for value in values if isinstance(value, dict)]
