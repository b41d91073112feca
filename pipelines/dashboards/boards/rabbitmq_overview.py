"""RabbitMQ overview: is the cluster well, what flows through it, which queues need somebody."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from pipelines.dashboards.board import Places, board
from pipelines.dashboards.boards import rabbitmq_flow, rabbitmq_raft
from pipelines.dashboards.boards.rabbitmq import (
    IN_CLUSTER,
    IN_VHOST,
    NODES,
    OF_NODE,
    OF_QUEUE,
    QUEUE_PAGE,
    REPORT,
    by_node,
    clusters,
    either,
    plugin,
)
from pipelines.dashboards.panels import BAD, GOOD, UP, WATCH, YES_IS_BAD, Column, Panel, lines, listing, number, ranking
from pipelines.dashboards.sources import now, prom, rows

HEAD_AGE = f'rabbitmq_queue_head_message_age_seconds{{job="gaugebook-rabbitmq", {IN_VHOST}}}'


def rabbitmq_overview(places: Places | None = None) -> dashboard.Dashboard:
    """The dashboard."""
    return board(
        "gaugebook-rabbitmq-overview",
        "RabbitMQ overview",
        "The whole broker: health, nodes, messages in and out, queues in danger, dead letters, Raft and streams.",
        {
            "Health": _health(),
            "Now": _now(),
            "Nodes": _nodes(),
            "Queues that need somebody": _queues(),
            "Queued messages": rabbitmq_flow.queued(),
            "Incoming messages": rabbitmq_flow.incoming(),
            "Message sizes": rabbitmq_flow.sizes(),
            "Outgoing messages": rabbitmq_flow.outgoing(),
            "Dead letters": rabbitmq_flow.dead(),
            "Declarations of queues": rabbitmq_flow.churn("queues", "declared", "created", "deleted"),
            "Channels": rabbitmq_flow.churn("channels", "opened", "closed"),
            "Connections": rabbitmq_flow.churn("connections", "opened", "closed"),
            "Raft: quorum queues": rabbitmq_raft.raft(),
            "Streams": rabbitmq_raft.streams(),
        },
        variables=clusters(),
        report=REPORT,
        runbook="RabbitMQDown",
        anomalies="queues",
        places=places,
    )


def _health() -> list[Panel]:
    node = f"{{{IN_CLUSTER}}}"
    return [
        number(
            "Cluster",
            "Well: all nodes run, none is alarmed or cut off, and the broker's own checks passed.",
            "none",
            prom(f"min(cluster:rabbitmq_health:min{node})"),
            names=((0, "ill", BAD), (1, "well", GOOD)),
        ),
        number(
            "Broker answers",
            "As the collector and Prometheus see it; down also where one of them is gone.",
            "none",
            prom("min(instance:rabbitmq_up:min)"),
            names=UP,
        ),
        number(
            "Memory or disk alarm",
            "Yes: publishers are blocked on a node.",
            "none",
            prom(f"max(node:rabbitmq_alarm:max{node})"),
            names=YES_IS_BAD,
        ),
        number(
            "Partitions",
            "Nodes that some node cannot reach.",
            "none",
            prom(f'max(rabbitmq_partitions{{job="gaugebook-rabbitmq", {IN_CLUSTER}}})'),
            steps=((None, GOOD), (1, BAD)),
        ),
        number(
            "Fullest memory",
            "Share of the limit at which the broker blocks publishers, of the fullest node.",
            "percentunit",
            prom(f"max(node:rabbitmq_memory_used:ratio{node})"),
            steps=((None, GOOD), (0.8, WATCH), (0.95, BAD)),
        ),
        number(
            "Soonest full queue",
            "Until a queue is full, at the rates of the last day; a dash: none will be, or none has a limit.",
            "s",
            prom(f"min(gaugebook_queue_time_to_full_seconds{{{IN_VHOST}}})"),
            steps=((None, BAD), (4 * 3600, WATCH), (24 * 3600, GOOD)),
        ),
    ]


def _now() -> list[Panel]:
    of = f"{{{IN_CLUSTER}}}"
    lost = f"cluster:rabbitmq_messages_returned:rate5m{of} + cluster:rabbitmq_messages_unroutable_dropped:rate5m{of}"
    told = [
        ("Ready", "Messages that wait for a consumer.", "short", f"sum(cluster:rabbitmq_queue_messages_ready:sum{of})"),
        (
            "Incoming",
            "Messages a second from publishers.",
            "mps",
            f"sum(cluster:rabbitmq_messages_published:rate5m{of})",
        ),
        ("Publishers", "Channels and streams that publish.", "short", f"sum({by_node(plugin('global_publishers'))})"),
        ("Connections", "Open connections.", "short", f"sum(cluster:rabbitmq_connections:sum{of})"),
        ("Queues", "Queues and streams.", "short", f"sum(cluster:rabbitmq_queues:sum{of})"),
        ("Cluster nodes", "Nodes that run.", "short", f"sum(node:rabbitmq_running:max{of})"),
        (
            "Unacknowledged",
            "Messages that consumers have and have not acknowledged.",
            "short",
            f"sum(cluster:rabbitmq_queue_messages_unacked:sum{of})",
        ),
        (
            "Outgoing",
            "Messages a second to consumers, and fetched.",
            "mps",
            f"sum(cluster:rabbitmq_messages_delivered:rate5m{of})",
        ),
        ("Consumers", "Subscriptions to queues and streams.", "short", f"sum(cluster:rabbitmq_consumers:sum{of})"),
        ("Channels", "Open channels.", "short", f"sum(cluster:rabbitmq_channels:sum{of})"),
        (
            "Unroutable",
            "Messages a second that no queue was bound for: dropped or given back.",
            "mps",
            f"sum({lost})",
        ),
        (
            "Redelivered",
            "Messages a second that are delivered again: consumers fail, or give back.",
            "mps",
            f"sum(cluster:rabbitmq_messages_redelivered:rate5m{of})",
        ),
    ]
    return [number(title, said, unit, prom(expr)) for title, said, unit, expr in told]


def _nodes() -> list[Panel]:
    version = (
        f'max by (cluster, node, rabbitmq_version, erlang_version) (rabbitmq_erlang_uptime_seconds{{job="rabbitmq"}}'
        ' * on (job, instance) group_left (rabbitmq_version, erlang_version) rabbitmq_build_info{job="rabbitmq"}'
        f" * on (job, instance) group_left (cluster, node) {NODES})"
    )
    columns = {
        "cluster": Column("cluster"),
        "node": Column("node"),
        "rabbitmq_version": Column("RabbitMQ"),
        "erlang_version": Column("Erlang"),
        "Value": Column("up for", "s"),
    }
    ours, of = f'{{job="gaugebook-rabbitmq", {IN_CLUSTER}}}', '{job="rabbitmq"}'
    return [
        listing("Releases", "What runs on each node, and since when.", columns, rows(version), width=24, height=5),
        lines(
            "Memory before publishers are blocked",
            "What is left until a node blocks publishers. Watch a node that falls steadily.",
            "bytes",
            prom(
                either(
                    f"rabbitmq_node_mem_limit{ours} - rabbitmq_process_resident_memory_bytes{ours}",
                    f"rabbitmq_resident_memory_limit_bytes{of} - rabbitmq_process_resident_memory_bytes{of}",
                ),
                OF_NODE,
            ),
            width=6,
        ),
        lines(
            "Disk before publishers are blocked",
            "What is left until a node blocks publishers.",
            "bytes",
            prom(
                either(
                    f"rabbitmq_node_disk_free{ours} - rabbitmq_node_disk_free_limit{ours}",
                    f"rabbitmq_disk_space_available_bytes{of} - rabbitmq_disk_space_available_limit_bytes{of}",
                ),
                OF_NODE,
            ),
            width=6,
        ),
        lines(
            "File descriptors left",
            "At none the node takes no more connections and cannot open files of queues.",
            "short",
            prom(
                either(
                    f"rabbitmq_fd_available{ours} - rabbitmq_fd_used{ours}",
                    f"rabbitmq_process_max_fds{of} - rabbitmq_process_open_fds{of}",
                ),
                OF_NODE,
            ),
            width=6,
        ),
        lines(
            "Erlang processes in use",
            "Share of those that a node may have; each connection, channel and queue takes some.",
            "percentunit",
            prom(f"node:rabbitmq_erlang_processes_used:ratio{{{IN_CLUSTER}}}", OF_NODE),
            width=6,
        ),
    ]


def _queues() -> list[Panel]:
    deep = f"topk(50, queue:rabbitmq_queue_messages:max{{{IN_VHOST}}})"
    among = f"and on (cluster, vhost, queue) {deep}"
    asked = {
        "depth": deep,
        "consumers": f"queue:rabbitmq_queue_consumers:max {among}",
        "published": f"queue:rabbitmq_queue_messages_published:rate5m {among}",
        "acknowledged": f"queue:rabbitmq_queue_messages_acked:rate5m {among}",
        "oldest": f"max by (cluster, vhost, queue) ({HEAD_AGE}) {among}",
        "full in": f"max by (cluster, vhost, queue) (gaugebook_queue_time_to_full_seconds) {among}",
    }
    units = {"depth": "short", "consumers": "short", "oldest": "s", "full in": "s"}
    warns = {"consumers": ((None, BAD), (1.0, GOOD)), "full in": ((None, BAD), (4 * 3600.0, WATCH), (86_400.0, GOOD))}
    columns = {
        "queue": Column("queue", link=QUEUE_PAGE, width=260),
        "vhost": Column("vhost"),
        "cluster": Column("cluster", width=240),
        **{
            f"Value #{ref}": Column(name, units.get(name, "mps"), steps=warns.get(name, ()))
            for ref, name in zip("ABCDEF", asked, strict=True)
        },
    }
    return [
        listing(
            "Deepest queues",
            "The fifty with most messages. A press on a name opens the queue.",
            columns,
            *[rows(expr) for expr in asked.values()],
            sort="depth",
        ),
        lines(
            "Depth",
            "Messages in the ten deepest queues, ready and unacknowledged.",
            "short",
            prom(f"topk(10, queue:rabbitmq_queue_messages:max{{{IN_VHOST}}})", OF_QUEUE),
        ),
        lines(
            "Head age",
            "How old the oldest message is, where publishers stamp the time; not of quorum queues and streams.",
            "s",
            prom(f"topk(10, {HEAD_AGE})", OF_QUEUE),
        ),
        lines(
            "Growth",
            "Messages a second that come in more than go out, over the last half hour; below nothing a queue drains.",
            "mps",
            prom(f"topk(10, deriv(queue:rabbitmq_queue_messages:max{{{IN_VHOST}}}[30m]))", OF_QUEUE),
            least=None,
        ),
        ranking(
            "Time to full",
            "Until a queue holds all that it may, as the store's outlook has it; queues without a limit are not here.",
            "s",
            now(
                f"bottomk(10, max by (cluster, vhost, queue) (gaugebook_queue_time_to_full_seconds{{{IN_VHOST}}}))",
                OF_QUEUE,
            ),
            steps=((None, BAD), (4 * 3600, WATCH), (24 * 3600, GOOD)),
        ),
        ranking(
            "Fullest within four hours",
            "The most that it is expected to hold, by the forecast and by what arrives now, over what it may hold.",
            "percentunit",
            now(
                f"topk(10, max by (cluster, vhost, queue) (gaugebook_queue_expected_peak_ratio{{{IN_VHOST}}}))",
                OF_QUEUE,
            ),
            steps=((None, GOOD), (0.7, WATCH), (1.0, BAD)),
        ),
        ranking(
            "Arrivals over capacity",
            "From 1 on the queue cannot be drained by the consumers that it has.",
            "percentunit",
            now(
                f"topk(10, max by (cluster, vhost, queue) (gaugebook_queue_utilisation_ratio{{{IN_VHOST}}}))", OF_QUEUE
            ),
            steps=((None, GOOD), (0.8, WATCH), (1.0, BAD)),
        ),
    ]
