"""From a reading to rows of `metrics.rabbitmq_*`. What the broker does not tell is None."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from collectors.rabbitmq.reading import Check, Key, Node, Queue, Reading

INT4, INT8 = 2**31 - 1, 2**63 - 1
FUTURE_S = 60.0  # publishers' clocks may be ahead of ours by so much
MILLISECONDS = 10**11  # a timestamp beyond this is not in seconds
SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
REST = ""  # the queue of the row that adds up those of a vhost without a row; AMQP gives no queue this name

Row = dict[str, Any]
Rated = Mapping[str, float]

TOTALS = ("connections", "channels", "consumers", "queues", "exchanges")
MESSAGES = ("messages", "messages_ready", "messages_unacked")
OVERVIEW_RATED = ("published", "delivered", "acked")
QUEUE_RATED = ("published", "delivered", "acked", "redelivered")
NODE_INT8 = ("memory_bytes", "memory_limit_bytes", "disk_free_bytes", "disk_free_limit_bytes")
NODE_INT4 = (
    *("fd_used", "fd_total", "sockets_used", "sockets_total", "processes_used", "processes_total", "run_queue"),
)
NODE_FLAGS = ("memory_alarm", "disk_alarm")
ABOUT = (
    *("node", "durable", "exclusive", "auto_delete", "max_length", "max_length_bytes", "message_ttl_ms", "expires_ms"),
    *("dead_letter_exchange", "dead_letter_routing_key"),
)


def overview_row(reading: Reading, rates: Rated, checks: Sequence[Check] = ()) -> Row:
    """The row of `metrics.rabbitmq_overview`. `attrs` has the totals, counters and rates without a column."""
    columns = {*TOTALS, *MESSAGES}
    attrs: Row = {"source": reading.source}
    attrs |= {name: _number(value) for name, value in reading.totals.items() if name not in columns}
    for name, value in reading.counters.items():
        if name not in OVERVIEW_RATED:
            attrs[f"{name}_total"] = value
            attrs[f"{name}_per_s"] = rates.get(name)
    if checks:
        attrs["checks"] = {check.name: text(check.reason) or check.state for check in checks}
    if reading.links:
        attrs["links"] = [
            {"kind": link.kind, "name": text(link.name), "vhost": text(link.vhost), "state": text(link.state)}
            for link in reading.links
        ]
    return {
        "ts": reading.ts,
        "cluster": cluster(reading),
        "rabbitmq_version": text(reading.version),
        "erlang_version": text(reading.erlang),
        **{name: count(reading.totals.get(name), INT4) for name in TOTALS},
        **{name: count(reading.totals.get(name)) for name in MESSAGES},
        **_rated(reading.counters, rates, OVERVIEW_RATED),
        "attrs": _told(attrs),
    }


def node_rows(reading: Reading) -> list[Row]:
    """Rows of `metrics.rabbitmq_nodes`; values that have no column, such as `partitions`, are in `attrs`."""
    rows = {name: _node_row(reading, name, node) for node in reading.nodes if (name := text(node.name))}
    return list(rows.values())


def queue_rows(reading: Reading, queues: Iterable[Queue], rates: Mapping[Key, Rated]) -> list[Row]:
    """Rows of `metrics.rabbitmq_queues`, one for each of `queues`."""
    name = cluster(reading)
    rows = [queue_row(reading.ts, name, queue, rates.get(queue.key, {})) for queue in queues]
    # Two names may have become one on the way; a sample has one row of each.
    return list({(row["vhost"], row["queue"]): row for row in rows if row["queue"]}.values())


def rest_rows(reading: Reading, queues: Iterable[Queue]) -> list[Row]:
    """Rows of `metrics.rabbitmq_queues` whose queue is `REST`: each adds up those of `queues` that are in one vhost.

    How many they are is in `attrs`. A sum is over what is known, and None where nothing is.
    """
    by_vhost: dict[str, list[Queue]] = {}
    for queue in queues:
        by_vhost.setdefault(queue.vhost, []).append(queue)
    name = cluster(reading)
    return [
        queue_row(
            reading.ts,
            name,
            Queue(
                vhost,
                REST,
                messages=_sum([each.messages for each in rest]),
                ready=_sum([each.ready for each in rest]),
                unacked=_sum([each.unacked for each in rest]),
                consumers=_sum([each.consumers for each in rest]),
                message_bytes=_sum([each.message_bytes for each in rest]),
                memory_bytes=_sum([each.memory_bytes for each in rest]),
            ),
            {},
        )
        | {"attrs": {"queues": len(rest)}}
        for vhost, rest in by_vhost.items()
    ]


def queue_row(ts: datetime, cluster: str, queue: Queue, rates: Rated) -> Row:
    """One row of `metrics.rabbitmq_queues`; limits, dead-lettering and what few queues have are in `attrs`."""
    about = {name: getattr(queue, name) for name in ABOUT}
    attrs = {name: text(value) or "" if isinstance(value, str) else value for name, value in about.items()}
    attrs |= {name: _number(value) for name, value in queue.extra.items()}
    return {
        "ts": ts,
        "cluster": cluster,
        "vhost": text(queue.vhost) or "/",
        "queue": text(queue.name) or REST,
        "type": text(queue.type),
        "state": text(queue.state),
        "policy": text(queue.policy),
        "messages": count(queue.messages),
        "messages_ready": count(queue.ready),
        "messages_unacked": count(queue.unacked),
        "message_bytes": count(queue.message_bytes),
        "memory_bytes": count(queue.memory_bytes),
        "consumers": count(queue.consumers, INT4),
        "consumer_utilisation": share(queue.consumer_utilisation),
        "head_age_s": head_age_s(ts, queue.head_timestamp),
        **_rated(queue.counters, rates, QUEUE_RATED),
        "attrs": _told(attrs),
    }


def cluster(reading: Reading) -> str:
    """The name of the cluster, as it stands in rows and labels."""
    return text(reading.cluster) or "unknown"


def head_age_s(ts: datetime, stamped: float | None) -> float | None:
    """Age in seconds, at `ts`, of the oldest message, from its publisher's timestamp (seconds since 1970).

    None where no publisher stamped it, or where the stamp is ahead of us or in other units: both are seen in the field.
    """
    if stamped is None or not 0 < stamped < MILLISECONDS:
        return None
    age = ts.timestamp() - stamped
    return None if age < -FUTURE_S else max(0.0, age)


def count(value: float | None, most: int = INT8) -> int | None:
    """A whole number from 0 to `most`, else None."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if 0 <= value <= most else None


def share(value: float | None) -> float | None:
    """A number from 0 to 1, else None."""
    return float(value) if value is not None and 0 <= value <= 1 else None


def text(value: str | None) -> str | None:
    """Text that PostgreSQL can hold: NUL and lone surrogates, which AMQP allows in names, become U+FFFD."""
    return value.replace("\0", "\ufffd").translate(SURROGATES) if value else None


def _node_row(reading: Reading, name: str, node: Node) -> Row:
    values = node.values
    columns = {*NODE_INT8, *NODE_INT4, *NODE_FLAGS, "uptime_s"}
    return {
        "ts": reading.ts,
        "cluster": cluster(reading),
        "node": name,
        "running": node.running,
        **{name: count(values.get(name)) for name in NODE_INT8},
        **{name: count(values.get(name), INT4) for name in NODE_INT4},
        **{name: None if name not in values else bool(values[name]) for name in NODE_FLAGS},
        "uptime_s": values.get("uptime_s"),
        "attrs": _told({name: _number(value) for name, value in values.items() if name not in columns}),
    }


def _rated(counters: Mapping[str, int], rates: Rated, names: Sequence[str]) -> Row:
    return {f"{name}_total": count(counters.get(name)) for name in names} | {
        f"{name}_per_s": rates.get(name) for name in names
    }


def _told(attrs: Row) -> Row:
    return {name: value for name, value in attrs.items() if value is not None}


def _number(value: float) -> float | None:
    """A number that JSON knows, whole where it is."""
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else value


def _sum(parts: Sequence[int | None]) -> int | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
