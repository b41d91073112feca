"""The page of RabbitMQ 3.10 in the names of 4.2: what that release renamed and added, with the values of the recording.

No broker of 4.2 was run for this. The names are those of its source:
https://github.com/rabbitmq/rabbitmq-server/tree/v4.2.0/deps/rabbitmq_prometheus/src/collectors
"""

from __future__ import annotations

import re

RENAMED = {
    r"rabbitmq_raft_log_last_written_index": "rabbitmq_raft_last_written_index",
    r"rabbitmq_raft_log_commit_index": "rabbitmq_raft_commit_index",
    r"rabbitmq_raft_log_snapshot_index": "rabbitmq_raft_snapshot_index",
    r"rabbitmq_raft_log_last_applied_index": "rabbitmq_raft_last_applied",
    r"rabbitmq_raft_entry_commit_latency_seconds": "rabbitmq_raft_max_commit_latency_seconds",
    r"rabbitmq_raft_term_total": "rabbitmq_raft_term",
}
GONE = re.compile(r"rabbitmq_process_(open|max)_tcp_sockets")
SIZES = ("100", "1000", "10000", "100000", "1e+06", "1e+07", "5e+07", "1e+08", "+Inf")


def elsewhere(page: str) -> str:
    """The page of another cluster."""
    return page.replace("rabbit@broker", "rabbit@fourth")


def as_4_2(page: str) -> str:
    """The page of the plugin, renamed, of another cluster."""
    page = elsewhere(page)
    for old, new in RENAMED.items():
        page = re.sub(rf"\b{old}\b", new, page)
    page = re.sub(r'rabbitmq_version="[\d.]+"', 'rabbitmq_version="4.2.0"', page)
    page = page.replace("rabbitmq_identity_info{", 'rabbitmq_identity_info{rabbitmq_endpoint="aggregated",')
    lines = [line for line in page.splitlines() if not GONE.search(line)]
    for place, bound in enumerate(SIZES):
        protocol = 'protocol="amqp091"'
        edge = "+Inf" if bound == "+Inf" else f"{float(bound):.1f}" if float(bound) < 1e6 else bound
        lines.append(f'rabbitmq_message_size_bytes_bucket{{{protocol},le="{edge}"}} {min(9000, 500 + 2500 * place)}')
    lines += ['rabbitmq_message_size_bytes_sum{protocol="amqp091"} 31000000']
    lines += ['rabbitmq_message_size_bytes_count{protocol="amqp091"} 9000']
    return "\n".join(lines) + "\n"
