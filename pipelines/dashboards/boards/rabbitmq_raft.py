"""Raft and streams of a broker."""

from __future__ import annotations

from pipelines.dashboards.boards.rabbitmq import (
    IN_VHOST,
    NODES,
    OF_NODE,
    OF_QUEUE,
    by_node,
    flow,
    in_cluster,
    names,
    plugin,
    stack,
)
from pipelines.dashboards.panels import Panel, lines
from pipelines.dashboards.sources import prom

ERRORS = ("access_refused", "authentication_failure", "internal_error", "precondition_failed", "stream_not_available")


def raft() -> list[Panel]:
    """How well quorum queues agree."""
    written = names("rabbitmq_raft_(log_)?last_written_index")
    committed = names("rabbitmq_raft_(log_)?commit_index")
    latency = names("rabbitmq_raft_entry_commit_latency_seconds|rabbitmq_raft_max_commit_latency_seconds")
    snapshot = names("rabbitmq_raft_(log_)?snapshot_index")
    join = f"* on (job, instance) group_left (cluster, node) {NODES}"
    return [
        flow(
            "Entries committed",
            "Entries a second that a majority has; this is how fast quorum queues take messages.",
            by_node(f"rate({committed}[$__rate_interval])"),
            unit="ops",
            width=6,
        ),
        lines(
            "Commit latency",
            "Until a majority has an entry, by node. Slow disks or a slow network show here first.",
            "s",
            prom(
                f"max by (node) ({latency} {join})",
                OF_NODE,
            ),
            width=6,
        ),
        lines(
            "Uncommitted entries",
            "Written by a leader and not yet by a majority.",
            "short",
            prom(f"sum by (node) (({written} - ignoring (__name__) {committed}) {join})", OF_NODE),
            width=6,
            least=None,
        ),
        flow(
            "Elections",
            "Terms a second: more than a few mean that nodes lose each other.",
            by_node(f"rate({names('rabbitmq_raft_term(_total)?')}[$__rate_interval])"),
            unit="ops",
            width=6,
        ),
        lines(
            "Raft lag",
            "Entries between the newest that any member has and the oldest that all have applied, of the ten worst.",
            "short",
            prom(f'topk(10, rabbitmq_queue_raft_lag{{job="gaugebook-rabbitmq", {IN_VHOST}}})', OF_QUEUE),
            width=12,
        ),
        lines(
            "Entries in the log",
            "Since the last snapshot; more than 5,000 make a restart slow.",
            "short",
            prom(
                f"sum by (node) (({written} - ignoring (__name__) {snapshot}) {join})",
                OF_NODE,
            ),
            width=12,
        ),
    ]


def streams() -> list[Panel]:
    """Streams, by the stream protocol."""
    stream = 'protocol="stream"'
    return [
        stack("Stream publishers", "By node.", by_node(plugin("global_publishers", stream)), width=6),
        stack("Stream consumers", "By node.", by_node(plugin("global_consumers", stream)), width=6),
        lines(
            "Stream messages",
            "Messages a second by the stream protocol.",
            "mps",
            *[
                prom(in_cluster(f"rate(rabbitmq_global_messages_{name}_total{{{stream}}}[$__rate_interval])"), name)
                for name in ("received", "confirmed", "delivered")
            ],
            width=6,
        ),
        lines(
            "Stream errors",
            "Refused and failed commands a second.",
            "ops",
            *[
                prom(
                    in_cluster(f"rate(rabbitmq_global_stream_error_{name}_total{{{stream}}}[$__rate_interval])"),
                    name.replace("_", " "),
                )
                for name in ERRORS
            ],
            width=6,
        ),
        lines(
            "Stream lag",
            "Offsets that the slowest consumer is behind, of the ten worst streams.",
            "short",
            prom(f'topk(10, rabbitmq_queue_stream_lag{{job="gaugebook-rabbitmq", {IN_VHOST}}})', OF_QUEUE),
            width=24,
        ),
    ]
