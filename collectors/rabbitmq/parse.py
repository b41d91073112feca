"""From the JSON of the management API to rows of `metrics.rabbitmq_*`. What is missing or makes no sense is None."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

INT4, INT8 = 2**31 - 1, 2**63 - 1
FUTURE_S = 60.0  # publishers' clocks may be ahead of ours by so much
MILLISECONDS = 10**11  # a head_message_timestamp beyond this is not in seconds
SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")

Row = dict[str, Any]

QUEUE_COUNTERS = {"published": "publish", "delivered": "deliver_get", "acked": "ack", "redelivered": "redeliver"}
OVERVIEW_COUNTERS = {"published": "publish", "delivered": "deliver_get", "acked": "ack"}


def cluster_name(overview: dict[str, Any]) -> str:
    """The name of the cluster, or of the node that answered."""
    return text(overview.get("cluster_name")) or text(overview.get("node")) or "unknown"


def overview_row(ts: datetime, overview: dict[str, Any]) -> Row:
    """One row of `metrics.rabbitmq_overview`, without the rates."""
    objects, totals = _object(overview, "object_totals"), _object(overview, "queue_totals")
    return {
        "ts": ts,
        "cluster": cluster_name(overview),
        "rabbitmq_version": text(overview.get("rabbitmq_version")),
        "erlang_version": text(overview.get("erlang_version")),
        **{
            name: count(objects.get(name), INT4)
            for name in ("connections", "channels", "consumers", "queues", "exchanges")
        },
        "messages": count(totals.get("messages")),
        "messages_ready": count(totals.get("messages_ready")),
        "messages_unacked": count(totals.get("messages_unacknowledged")),
        **_counters(overview, OVERVIEW_COUNTERS),
    }


def node_row(ts: datetime, cluster: str, node: dict[str, Any]) -> Row | None:
    """One row of `metrics.rabbitmq_nodes`; None where the node has no name. Memory and disk in bytes."""
    name = text(node.get("name"))
    if not name:
        return None
    uptime_ms = count(node.get("uptime"))
    partitions = node.get("partitions")
    return {
        "ts": ts,
        "cluster": cluster,
        "node": name,
        "running": node.get("running") is True,
        "memory_bytes": count(node.get("mem_used")),
        "memory_limit_bytes": count(node.get("mem_limit")),
        "memory_alarm": flag(node.get("mem_alarm")),
        "disk_free_bytes": count(node.get("disk_free")),
        "disk_free_limit_bytes": count(node.get("disk_free_limit")),
        "disk_alarm": flag(node.get("disk_free_alarm")),
        "fd_used": count(node.get("fd_used"), INT4),
        "fd_total": count(node.get("fd_total"), INT4),
        "sockets_used": count(node.get("sockets_used"), INT4),
        "sockets_total": count(node.get("sockets_total"), INT4),
        "processes_used": count(node.get("proc_used"), INT4),
        "processes_total": count(node.get("proc_total"), INT4),
        "run_queue": count(node.get("run_queue"), INT4),
        "uptime_s": None if uptime_ms is None else uptime_ms / 1000,
        "attrs": {"partitions": len(partitions)} if isinstance(partitions, list) else {},
    }


def queue_row(ts: datetime, cluster: str, queue: dict[str, Any]) -> Row | None:
    """One row of `metrics.rabbitmq_queues`, without the rates; None where the queue has no name.

    `consumer_utilisation` was renamed `consumer_capacity` in RabbitMQ 3.9; both are a share from 0 to 1.
    """
    name = text(queue.get("name"))
    if not name:
        return None
    utilisation = share(queue.get("consumer_utilisation"))
    return {
        "ts": ts,
        "cluster": cluster,
        "vhost": text(queue.get("vhost")) or "/",
        "queue": name,
        "type": text(queue.get("type")),
        "state": text(queue.get("state")),
        "policy": text(queue.get("policy")),
        "messages": count(queue.get("messages")),
        "messages_ready": count(queue.get("messages_ready")),
        "messages_unacked": count(queue.get("messages_unacknowledged")),
        "message_bytes": count(queue.get("message_bytes")),
        "memory_bytes": count(queue.get("memory")),
        "consumers": count(queue.get("consumers"), INT4),
        "consumer_utilisation": share(queue.get("consumer_capacity")) if utilisation is None else utilisation,
        "head_age_s": head_age_s(ts, queue.get("head_message_timestamp")),
        **_counters(queue, QUEUE_COUNTERS),
        "attrs": {
            name: value
            for name, value in (
                ("node", text(queue.get("node"))),
                ("durable", flag(queue.get("durable"))),
                ("exclusive", flag(queue.get("exclusive"))),
                ("auto_delete", flag(queue.get("auto_delete"))),
            )
            if value is not None
        },
    }


def head_age_s(ts: datetime, stamped: object) -> float | None:
    """Age in seconds, at `ts`, of the oldest message, from its publisher's timestamp (seconds since 1970).

    None where no publisher stamped it, or where the stamp is ahead of us or in other units: both are seen in the field.
    """
    seconds = count(stamped)
    if not seconds or seconds >= MILLISECONDS:
        return None
    age = ts.timestamp() - seconds
    return None if age < -FUTURE_S else max(0.0, age)


def count(value: object, most: int = INT8) -> int | None:
    """A whole number from 0 to `most`, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if 0 <= value <= most else None


def share(value: object) -> float | None:
    """A number from 0 to 1, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def flag(value: object) -> bool | None:
    """True or False, else None."""
    return value if isinstance(value, bool) else None


def text(value: object) -> str | None:
    """Text that PostgreSQL can hold: NUL and lone surrogates, which AMQP allows in names, become U+FFFD."""
    if not isinstance(value, str) or not value:
        return None
    return value.replace("\0", "\ufffd").translate(SURROGATES)


def _object(parent: dict[str, Any], name: str) -> dict[str, Any]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _counters(parent: dict[str, Any], names: dict[str, str]) -> Row:
    stats = _object(parent, "message_stats")
    return {f"{ours}_total": count(stats.get(theirs)) for ours, theirs in names.items()}
