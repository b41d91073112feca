"""One table: what each source calls what we read, in which releases, and what it means. The readers work from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from collectors.rabbitmq.reading import Asked

Version = tuple[int, ...]
Of = Literal["queue", "queue.counters", "queue.extra", "node", "totals", "counters"]

_SERVER = "https://github.com/rabbitmq/rabbitmq-server/blob"
_PLUGIN = "deps/rabbitmq_prometheus/src/collectors/prometheus_rabbitmq"
CORE3 = f"{_SERVER}/v3.10.8/{_PLUGIN}_core_metrics_collector.erl"
CORE = f"{_SERVER}/v4.3.5/{_PLUGIN}_core_metrics_collector.erl"
ALARMS = f"{_SERVER}/v3.10.8/{_PLUGIN}_alarm_metrics_collector.erl"
RAFT = f"{_SERVER}/v4.3.5/{_PLUGIN}_raft_metrics_collector.erl"
GLOBAL = f"{_SERVER}/v3.10.8/deps/rabbit/src/rabbit_global_counters.erl"
HTTP = f"{_SERVER}/v3.10.8/deps/rabbitmq_management/priv/www/api/index.html"
STATS = "https://www.rabbitmq.com/docs/http-api-reference"
STREAMS = f"{_SERVER}/v3.10.8/deps/rabbitmq_stream_management/priv/www/js/stream.js"
_KBUDDE = "https://github.com/kbudde/rabbitmq_exporter/blob/v1.0.0-RC22"
KB_QUEUE, KB_NODE, KB_OVERVIEW = (f"{_KBUDDE}/exporter_{name}.go" for name in ("queue", "node", "overview"))


@dataclass(frozen=True, slots=True)
class Name:
    """One row: `theirs`, at `source`, is the part `ours` of what `of` says, times `factor`.

    Attributes:
        theirs: native: the metric without its prefix `rabbitmq_` or `rabbitmq_detailed_`; management: the way through
            the JSON, with dots; kbudde: the metric without its prefix `rabbitmq_`.
        since, until: the first release that has it and the first that has it no more.
        family: of `/metrics/detailed`, where it is asked for there.
        link: where it is written so.
    """

    of: Of
    ours: str
    source: Asked
    theirs: str
    meaning: str
    link: str
    since: Version = (3, 7)
    until: Version | None = None
    family: str = ""
    factor: float = 1.0

    def there(self, version: Version) -> bool:
        """Whether a broker of `version` has it."""
        return self.since <= version and (self.until is None or version < self.until)


def _native(
    of: Of,
    link: str,
    since: Version,
    until: Version | None,
    rows: dict[str, tuple[str, str]],
    family: str = "",
    factor: float = 1,
) -> Iterator[Name]:
    for theirs, (ours, meaning) in rows.items():
        yield Name(of, ours, "native", theirs, meaning, link, since, until, family, factor)


def _other(
    source: Asked, of: Of, link: str, rows: dict[str, tuple[str, str]], factor: float = 1, since: Version = (3, 7)
) -> Iterator[Name]:
    for theirs, (ours, meaning) in rows.items():
        yield Name(of, ours, source, theirs, meaning, link, since, factor=factor)


_DEPTH = {
    "queue_messages": ("messages", "ready and unacknowledged"),
    "queue_messages_ready": ("ready", "ready to be delivered"),
    "queue_messages_unacked": ("unacked", "delivered and not yet acknowledged"),
}
_NODE = {
    "process_resident_memory_bytes": ("memory_bytes", "memory in use, as the broker reckons it"),
    "resident_memory_limit_bytes": ("memory_limit_bytes", "memory at which publishers are blocked"),
    "disk_space_available_bytes": ("disk_free_bytes", "free disk"),
    "disk_space_available_limit_bytes": ("disk_free_limit_bytes", "free disk at which publishers are blocked"),
    "process_open_fds": ("fd_used", "file descriptors in use"),
    "process_max_fds": ("fd_total", "file descriptors there may be"),
    "erlang_processes_used": ("processes_used", "Erlang processes"),
    "erlang_processes_limit": ("processes_total", "Erlang processes there may be"),
    "erlang_scheduler_run_queue": ("run_queue", "Erlang processes that wait for a CPU"),
    "erlang_uptime_seconds": ("uptime_s", "since the node started"),
}
_SOCKETS = {
    "process_open_tcp_sockets": ("sockets_used", "sockets in use"),
    "process_max_tcp_sockets": ("sockets_total", "sockets there may be"),
}
_ALARMS = {
    "alarms_memory_used_watermark": ("memory_alarm", "1 while the memory alarm blocks publishers"),
    "alarms_free_disk_space_watermark": ("disk_alarm", "1 while the disk alarm blocks publishers"),
}
_TOTALS = {
    "connections": ("connections", "open connections"),
    "channels": ("channels", "open channels"),
    "consumers": ("consumers", "consumers"),
    "queues": ("queues", "queues and streams"),
    "queue_messages": ("messages", "ready and unacknowledged, all queues"),
    "queue_messages_ready": ("messages_ready", "ready, all queues"),
    "queue_messages_unacked": ("messages_unacked", "unacknowledged, all queues"),
    "queue_messages_bytes": ("bytes", "bodies of all messages"),
}
_CHURN = {
    "connections_opened_total": ("connections_opened", "connections opened"),
    "connections_closed_total": ("connections_closed", "connections closed or lost"),
    "channels_opened_total": ("channels_opened", "channels opened"),
    "channels_closed_total": ("channels_closed", "channels closed"),
    "queues_declared_total": ("queues_declared", "declarations of queues, new or not"),
    "queues_created_total": ("queues_created", "queues created"),
    "queues_deleted_total": ("queues_deleted", "queues deleted"),
    "auth_attempts_failed_total": ("auth_failed", "logins refused"),
}
_GLOBAL = {
    "global_messages_received_total": ("published", "received from publishers, routed or not"),
    "global_messages_confirmed_total": ("confirmed", "confirmed to publishers"),
    "global_messages_delivered_total": ("delivered", "delivered or fetched, with and without acknowledgement"),
    "global_messages_acknowledged_total": ("acked", "acknowledged by consumers"),
    "global_messages_redelivered_total": ("redelivered", "delivered again"),
    "global_messages_unroutable_returned_total": ("returned", "unroutable, given back to the publisher"),
    "global_messages_unroutable_dropped_total": ("unroutable_dropped", "unroutable, dropped"),
    "global_messages_get_empty_total": ("get_empty", "fetches that found nothing"),
}
_DEAD = {
    f"global_messages_dead_lettered_{why}_total": ("dead_lettered", f"dead-lettered: {text}; the sum of the four")
    for why, text in {
        "expired": "expired",
        "rejected": "rejected",
        "maxlen": "queue too long",
        "delivery_limit": "delivered too often",
    }.items()
}
_DETAIL = {
    "queue_process_memory_bytes": ("memory_bytes", "memory of the queue's process"),
    "queue_messages_bytes": ("message_bytes", "bodies of its messages"),
}
_CAPACITY = {
    "queue_consumer_capacity": ("consumer_utilisation", "share of the time that consumers could take a message"),
}
_HEAD = {
    "queue_head_message_timestamp": (
        "head_timestamp",
        "time the publisher stamped on the oldest message; NaN: none; never for quorum queues and streams",
    ),
}
_DELIVERY = {
    "queue_messages_delivered_ack_total": ("delivered", "to consumers that acknowledge; part of the sum"),
    "queue_messages_delivered_total": ("delivered", "to consumers that do not acknowledge, and only these; part"),
    "queue_get_ack_total": ("delivered", "fetched with acknowledgement; part"),
    "queue_get_total": ("delivered", "fetched without acknowledgement; part"),
    "queue_messages_acked_total": ("acked", "acknowledged by consumers"),
    "queue_messages_redelivered_total": ("redelivered", "delivered again"),
}
_JSON_STATS = {
    "publish": ("published", "published, per channel and summed by the broker: closing a channel takes nothing away"),
    "deliver_get": ("delivered", "delivered or fetched, with and without acknowledgement"),
    "ack": ("acked", "acknowledged by consumers"),
    "redeliver": ("redelivered", "delivered again"),
}
_JSON_QUEUE = {
    "messages": ("messages", "ready and unacknowledged"),
    "messages_ready": ("ready", "ready to be delivered"),
    "messages_unacknowledged": ("unacked", "delivered and not yet acknowledged"),
    "consumers": ("consumers", "consumers of the queue"),
    "message_bytes": ("message_bytes", "bodies of its messages"),
    "memory": ("memory_bytes", "memory of the queue's process"),
    "consumer_utilisation": ("consumer_utilisation", "share of the time that consumers could take a message"),
    "head_message_timestamp": (
        "head_timestamp",
        "time the publisher stamped on the oldest message; null for quorum queues",
    ),
}
_JSON_NODE = {
    "mem_used": ("memory_bytes", "memory in use, as the broker reckons it"),
    "mem_limit": ("memory_limit_bytes", "memory at which publishers are blocked"),
    "mem_alarm": ("memory_alarm", "true while the memory alarm blocks publishers"),
    "disk_free": ("disk_free_bytes", "free disk"),
    "disk_free_limit": ("disk_free_limit_bytes", "free disk at which publishers are blocked"),
    "disk_free_alarm": ("disk_alarm", "true while the disk alarm blocks publishers"),
    "fd_used": ("fd_used", "file descriptors in use"),
    "fd_total": ("fd_total", "file descriptors there may be"),
    "sockets_used": ("sockets_used", "sockets in use; gone in 4.0"),
    "sockets_total": ("sockets_total", "sockets there may be; gone in 4.0"),
    "proc_used": ("processes_used", "Erlang processes"),
    "proc_total": ("processes_total", "Erlang processes there may be"),
    "run_queue": ("run_queue", "Erlang processes that wait for a CPU"),
    "partitions": ("partitions", "nodes that this one cannot see, counted"),
}
_JSON_TOTALS = {
    "object_totals.connections": ("connections", "open connections"),
    "object_totals.channels": ("channels", "open channels"),
    "object_totals.consumers": ("consumers", "consumers"),
    "object_totals.queues": ("queues", "queues and streams"),
    "object_totals.exchanges": ("exchanges", "exchanges"),
    "queue_totals.messages": ("messages", "ready and unacknowledged, all queues"),
    "queue_totals.messages_ready": ("messages_ready", "ready, all queues"),
    "queue_totals.messages_unacknowledged": ("messages_unacked", "unacknowledged, all queues"),
}
_JSON_COUNTERS = {
    **{f"message_stats.{theirs}": row for theirs, row in _JSON_STATS.items()},
    "message_stats.confirm": ("confirmed", "confirmed to publishers"),
    "message_stats.return_unroutable": ("returned", "unroutable, given back to the publisher"),
}
_JSON_SINCE_38 = {
    "message_stats.drop_unroutable": ("unroutable_dropped", "unroutable, dropped"),
    "message_stats.get_empty": ("get_empty", "fetches that found nothing"),
    "churn_rates.connection_created": ("connections_opened", "connections opened"),
    "churn_rates.connection_closed": ("connections_closed", "connections closed or lost"),
    "churn_rates.channel_created": ("channels_opened", "channels opened"),
    "churn_rates.channel_closed": ("channels_closed", "channels closed"),
    "churn_rates.queue_declared": ("queues_declared", "declarations of queues, new or not"),
    "churn_rates.queue_created": ("queues_created", "queues created"),
    "churn_rates.queue_deleted": ("queues_deleted", "queues deleted"),
}
_KB_QUEUE = {
    "queue_messages": ("messages", "ready and unacknowledged"),
    "queue_messages_ready": ("ready", "ready to be delivered"),
    "queue_messages_unacknowledged": ("unacked", "delivered and not yet acknowledged"),
    "queue_consumers": ("consumers", "consumers of the queue"),
    "queue_message_bytes": ("message_bytes", "bodies of its messages"),
    "queue_memory": ("memory_bytes", "memory of the queue's process"),
    "queue_consumer_utilisation": ("consumer_utilisation", "share of the time that consumers could take a message"),
    "queue_head_message_timestamp": ("head_timestamp", "time the publisher stamped on the oldest message"),
    "queue_max_length": ("max_length", "effective limit, messages"),
    "queue_max_length_bytes": ("max_length_bytes", "effective limit, bytes of bodies"),
}
_KB_COUNTERS = {
    "queue_messages_published_total": ("published", "message_stats.publish; 0 also where the broker does not tell"),
    "queue_messages_delivered_total": ("delivered", "to consumers that acknowledge, and only these; part of the sum"),
    "queue_messages_delivered_noack_total": ("delivered", "to consumers that do not acknowledge; part"),
    "queue_messages_get_total": ("delivered", "fetched with acknowledgement; part"),
    "queue_messages_get_noack_total": ("delivered", "fetched without acknowledgement; part"),
    "queue_messages_ack_total": ("acked", "acknowledged; its help text says otherwise, its code message_stats.ack"),
    "queue_messages_redelivered_total": ("redelivered", "delivered again"),
}
_KB_NODE = {
    "node_mem_used": ("memory_bytes", "memory in use, as the broker reckons it"),
    "node_mem_limit": ("memory_limit_bytes", "memory at which publishers are blocked"),
    "node_mem_alarm": ("memory_alarm", "1 while the memory alarm blocks publishers"),
    "node_disk_free": ("disk_free_bytes", "free disk"),
    "node_disk_free_limit": ("disk_free_limit_bytes", "free disk at which publishers are blocked"),
    "node_disk_free_alarm": ("disk_alarm", "1 while the disk alarm blocks publishers"),
    "fd_used": ("fd_used", "file descriptors in use"),
    "fd_available": ("fd_total", "file descriptors there may be, those in use included"),
    "sockets_used": ("sockets_used", "sockets in use"),
    "sockets_available": ("sockets_total", "sockets there may be, those in use included"),
    "partitions": ("partitions", "nodes that this one cannot see"),
}
_KB_TOTALS = {
    **{name: (name, f"{name} there are") for name in ("connections", "channels", "consumers", "queues", "exchanges")},
    "queue_messages_global": ("messages", "ready and unacknowledged, all queues"),
    "queue_messages_ready_global": ("messages_ready", "ready, all queues"),
    "queue_messages_unacknowledged_global": ("messages_unacked", "unacknowledged, all queues"),
}

NAMES: tuple[Name, ...] = (
    *_native("queue", CORE3, (3, 8), None, _DEPTH, "queue_coarse_metrics"),
    *_native("queue", CORE3, (3, 8), None, {"queue_consumers": ("consumers", "consumers")}, "queue_consumer_count"),
    *_native("queue", CORE3, (3, 8), None, _DETAIL, "queue_metrics"),
    *_native("queue", CORE3, (3, 9), None, _CAPACITY, "queue_metrics"),
    *_native("queue", CORE3, (3, 9, 16), None, _HEAD, "queue_metrics"),
    *_native("queue.counters", CORE, (4, 0), None, _DELIVERY, "queue_delivery_metrics"),
    *_native(
        "queue.counters",
        CORE,
        (4, 0),
        None,
        {"queue_exchange_messages_published_total": ("published", "routed into the queue, summed over exchanges")},
        "queue_exchange_metrics",
    ),
    *_native(
        "queue.extra",
        CORE,
        (3, 13, 3),
        None,
        {"stream_segments": ("segments", "files of the stream")},
        "queue_metrics",
    ),
    *_native(
        "queue.extra",
        CORE,
        (4, 0, 5),
        None,
        {"stream_consumer_max_offset_lag": ("stream_lag", "offsets that the slowest consumer is behind")},
        "stream_consumer_metrics",
    ),
    *_native(
        "queue.extra",
        CORE3,
        (3, 8),
        (4, 2),
        {
            "raft_log_last_written_index": ("raft_written", "last entry on this member's disk"),
            "raft_log_commit_index": ("raft_committed", "last entry that a majority has"),
            "raft_log_last_applied_index": ("raft_applied", "last entry the queue has acted on"),
            "raft_log_snapshot_index": ("raft_snapshot", "entry up to which the log is cut off"),
            "raft_entry_commit_latency_seconds": ("raft_commit_latency_s", "from written to committed"),
        },
        "ra_metrics",
    ),
    *_native(
        "queue.extra",
        RAFT,
        (4, 2),
        None,
        {
            "raft_last_written_index": ("raft_written", "last entry on this member's disk"),
            "raft_commit_index": ("raft_committed", "last entry that a majority has"),
            "raft_last_applied": ("raft_applied", "last entry the queue has acted on"),
            "raft_snapshot_index": ("raft_snapshot", "entry up to which the log is cut off"),
            "raft_commit_latency_seconds": ("raft_commit_latency_s", "from written to committed"),
            "raft_num_segments": ("segments", "files of the queue's log"),
        },
        "ra_metrics",
    ),
    *_native("node", CORE3, (3, 8), None, _NODE),
    *_native("node", CORE3, (3, 8), (4, 0), _SOCKETS),
    *_native("node", ALARMS, (3, 9, 4), None, _ALARMS),
    *_native(
        "node",
        RAFT,
        (4, 2),
        None,
        {"raft_max_commit_latency_seconds": ("raft_commit_latency_s", "the slowest of its quorum queues")},
    ),
    *_native("totals", CORE3, (3, 8), None, _TOTALS),
    *_native("counters", CORE3, (3, 8), None, _CHURN),
    *_native("counters", GLOBAL, (3, 9), None, _GLOBAL),
    *_native("counters", GLOBAL, (3, 10), None, _DEAD),
    *_other("management", "queue", HTTP, _JSON_QUEUE),
    Name(
        *("queue", "consumer_utilisation", "management", "consumer_capacity"),
        "the same under its newer name",
        STATS,
        (3, 9),
    ),
    *_other("management", "queue.counters", HTTP, {f"message_stats.{key}": row for key, row in _JSON_STATS.items()}),
    *_other("management", "node", HTTP, _JSON_NODE),
    *_other("management", "node", HTTP, {"uptime": ("uptime_s", "since the node started")}, factor=0.001),
    *_other("management", "totals", HTTP, _JSON_TOTALS),
    *_other("management", "counters", HTTP, _JSON_COUNTERS),
    *_other("management", "counters", HTTP, _JSON_SINCE_38, since=(3, 8)),
    *_other("kbudde", "queue", KB_QUEUE, _KB_QUEUE),
    *_other("kbudde", "queue.counters", KB_QUEUE, _KB_COUNTERS),
    *_other("kbudde", "node", KB_NODE, _KB_NODE),
    *_other("kbudde", "node", KB_NODE, {"uptime": ("uptime_s", "since the node started")}, factor=0.001),
    *_other("kbudde", "totals", KB_OVERVIEW, _KB_TOTALS),
)


def names(source: Asked, *of: Of) -> list[Name]:
    """The rows of one source, in the order of the table; without `of`, all."""
    return [name for name in NAMES if name.source == source and (not of or name.of in of)]


def version(written: str | None) -> Version:
    """A release as numbers; of one that cannot be read, those of the oldest that we know.

    >>> version("3.12.0-rc.2"), version(None)
    ((3, 12, 0), (3, 7))
    """
    numbers = []
    for part in (written or "").partition("-")[0].partition("+")[0].split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers) or (3, 7)


def escapes(broker: Version) -> bool:
    r"""Whether the Prometheus plugin escapes the values of labels: since 3.11.28, 3.12.11 and 3.13.

    Before, a queue `say "hi"` stood there with its quotes as they are, and `c:\new` as if it had a line break.
    """
    return broker >= _ESCAPED_SINCE.get(broker[:2], (3, 13))


# Commit fec09c0792 and its backports.
_ESCAPED_SINCE: dict[Version, Version] = {(3, 11): (3, 11, 28), (3, 12): (3, 12, 11)}
