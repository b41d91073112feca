"""The names of our own /metrics: what each is taken from, and what it says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: `of` names where its value is found, which is multiplied by `scale`."""

    name: str
    of: str
    text: str
    scale: float = 1


TOTALS = (
    Family("rabbitmq_connections", "connections", "Open connections."),
    Family("rabbitmq_channels", "channels", "Open channels."),
    Family("rabbitmq_consumers", "consumers", "Consumers of all queues."),
    Family("rabbitmq_queues", "queues", "Queues there are."),
    Family("rabbitmq_exchanges", "exchanges", "Exchanges there are."),
    Family("rabbitmq_cluster_messages", "messages", "Messages in all queues, ready and unacknowledged."),
    Family("rabbitmq_cluster_messages_ready", "messages_ready", "Messages in all queues, ready to be delivered."),
    Family("rabbitmq_cluster_messages_unacked", "messages_unacked", "Messages delivered and not yet acknowledged."),
    Family("rabbitmq_cluster_message_bytes", "bytes", "Size of the message bodies in all queues, bytes."),
)
COUNTERS = (
    Family("rabbitmq_messages_published_total", "published", "Messages that publishers sent."),
    Family("rabbitmq_messages_delivered_total", "delivered", "Messages handed to consumers or fetched."),
    Family("rabbitmq_messages_acked_total", "acked", "Messages that consumers acknowledged."),
    Family("rabbitmq_messages_redelivered_total", "redelivered", "Messages handed out for a second time or more."),
    Family("rabbitmq_messages_returned_total", "returned", "Unroutable messages given back to their publishers."),
    Family("rabbitmq_messages_unroutable_dropped_total", "unroutable_dropped", "Unroutable messages thrown away."),
    Family("rabbitmq_messages_confirmed_total", "confirmed", "Messages confirmed to publishers."),
    Family("rabbitmq_messages_dead_lettered_total", "dead_lettered", "Messages expired, rejected or thrown out."),
    Family("rabbitmq_messages_get_empty_total", "get_empty", "Fetches that found no message."),
    Family("rabbitmq_auth_attempts_failed_total", "auth_failed", "Logins that were refused."),
    Family("rabbitmq_connections_opened_total", "connections_opened", "Connections that were opened."),
    Family("rabbitmq_connections_closed_total", "connections_closed", "Connections that were closed."),
    Family("rabbitmq_channels_opened_total", "channels_opened", "Channels that were opened."),
    Family("rabbitmq_channels_closed_total", "channels_closed", "Channels that were closed."),
    Family("rabbitmq_queues_declared_total", "queues_declared", "Declarations of queues, of old ones too."),
    Family("rabbitmq_queues_created_total", "queues_created", "Queues that were made."),
    Family("rabbitmq_queues_deleted_total", "queues_deleted", "Queues that were deleted."),
)
NODES = (
    Family("rabbitmq_process_resident_memory_bytes", "memory_bytes", "Memory in use, as the broker counts it, bytes."),
    Family("rabbitmq_node_mem_used", "memory_bytes", "Memory in use, as the broker counts it, bytes."),
    Family("rabbitmq_node_mem_limit", "memory_limit_bytes", "Memory at which publishers are blocked, bytes."),
    Family("rabbitmq_node_mem_alarm", "memory_alarm", "1 while the memory alarm blocks publishers."),
    Family("rabbitmq_node_disk_free", "disk_free_bytes", "Free disk, bytes."),
    Family(
        "rabbitmq_node_disk_free_limit", "disk_free_limit_bytes", "Free disk at which publishers are blocked, bytes."
    ),
    Family("rabbitmq_node_disk_free_alarm", "disk_alarm", "1 while the disk alarm blocks publishers."),
    Family("rabbitmq_fd_used", "fd_used", "File descriptors in use."),
    Family("rabbitmq_fd_available", "fd_total", "File descriptors there may be."),
    Family("rabbitmq_sockets_used", "sockets_used", "Sockets in use."),
    Family("rabbitmq_sockets_available", "sockets_total", "Sockets there may be."),
    Family("rabbitmq_erlang_processes_used", "processes_used", "Erlang processes there are."),
    Family("rabbitmq_erlang_processes_available", "processes_total", "Erlang processes there may be."),
    Family("rabbitmq_erlang_run_queue", "run_queue", "Erlang processes that wait for a processor."),
    Family("rabbitmq_partitions", "partitions", "Nodes that this one has lost sight of."),
    Family("rabbitmq_uptime_seconds", "uptime_s", "Seconds since the node started."),
    Family(
        "rabbitmq_raft_commit_latency_seconds",
        "raft_commit_latency_s",
        "Seconds from written to committed, of the slowest quorum queue.",
    ),
)
# Of every queue: these and no more, so that 10,000 queues are 40,000 series.
EVERY = (
    Family("rabbitmq_queue_messages", "messages", "Depth: messages ready and unacknowledged."),
    Family("rabbitmq_queue_messages_ready", "ready", "Messages ready to be delivered."),
    Family("rabbitmq_queue_messages_unacked", "unacked", "Messages delivered and not yet acknowledged."),
    Family("rabbitmq_queue_consumers", "consumers", "Consumers of the queue."),
)
# Of the queues that get detail.
DETAIL = (
    Family("rabbitmq_queue_message_bytes", "message_bytes", "Size of the message bodies, bytes."),
    Family("rabbitmq_queue_process_memory_bytes", "memory_bytes", "Memory of the queue's process, bytes."),
    Family(
        "rabbitmq_queue_consumer_utilisation",
        "consumer_utilisation",
        "Share of the time that consumers could take a message.",
    ),
    Family("rabbitmq_queue_max_length", "max_length", "Messages that the queue may hold."),
    Family("rabbitmq_queue_max_length_bytes", "max_length_bytes", "Bytes of message bodies that the queue may hold."),
    Family("rabbitmq_queue_message_ttl_seconds", "message_ttl_ms", "Seconds after which a message expires.", 0.001),
    Family("rabbitmq_queue_expires_seconds", "expires_ms", "Seconds without use after which the queue goes.", 0.001),
)
HEAD_AGE = Family(
    "rabbitmq_queue_head_message_age_seconds",
    "head_timestamp",
    "Age of the oldest message, where publishers stamp the time.",
)
RUNNING = Family("rabbitmq_queue_running", "state", "1 where the queue is running or idle.")
INFO = Family("rabbitmq_queue_info", "", "1 at what kind of queue it is, and where its dead letters go.")
QUEUE_COUNTERS = (
    Family("rabbitmq_queue_messages_published_total", "published", "Messages routed to the queue."),
    Family("rabbitmq_queue_messages_delivered_total", "delivered", "Messages handed to consumers or fetched."),
    Family("rabbitmq_queue_messages_acked_total", "acked", "Messages that consumers acknowledged."),
    Family("rabbitmq_queue_messages_redelivered_total", "redelivered", "Messages handed out once more."),
)
