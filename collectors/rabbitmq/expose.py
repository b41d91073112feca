"""The last sample of a broker as Prometheus metrics."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from collectors.rabbitmq.parse import Row

OVERVIEW = {
    "rabbitmq_connections": ("connections", "Open connections."),
    "rabbitmq_channels": ("channels", "Open channels."),
    "rabbitmq_consumers": ("consumers", "Consumers of all queues."),
    "rabbitmq_queues": ("queues", "Queues there are."),
    "rabbitmq_exchanges": ("exchanges", "Exchanges there are."),
}
NODES = {
    "rabbitmq_running": ("running", "1 where the node runs."),
    "rabbitmq_node_mem_used": ("memory_bytes", "Memory in use, bytes."),
    "rabbitmq_node_mem_limit": ("memory_limit_bytes", "Memory at which publishers are blocked, bytes."),
    "rabbitmq_node_mem_alarm": ("memory_alarm", "1 while the memory alarm blocks publishers."),
    "rabbitmq_node_disk_free": ("disk_free_bytes", "Free disk, bytes."),
    "rabbitmq_node_disk_free_limit": ("disk_free_limit_bytes", "Free disk at which publishers are blocked, bytes."),
    "rabbitmq_node_disk_free_alarm": ("disk_alarm", "1 while the disk alarm blocks publishers."),
    "rabbitmq_fd_used": ("fd_used", "File descriptors in use."),
    "rabbitmq_fd_available": ("fd_total", "File descriptors there may be."),
    "rabbitmq_sockets_used": ("sockets_used", "Sockets in use."),
    "rabbitmq_sockets_available": ("sockets_total", "Sockets there may be."),
}
QUEUES = {
    "rabbitmq_queue_messages": ("messages", "Depth: messages ready and unacknowledged."),
    "rabbitmq_queue_messages_ready": ("messages_ready", "Messages ready to be delivered."),
    "rabbitmq_queue_messages_unacked": ("messages_unacked", "Messages delivered and not yet acknowledged."),
    "rabbitmq_queue_message_bytes": ("message_bytes", "Size of the message bodies, bytes."),
    "rabbitmq_queue_consumers": ("consumers", "Consumers of the queue."),
    "rabbitmq_queue_consumer_utilisation": (
        "consumer_utilisation",
        "Share of the time that consumers could take a message.",
    ),
    "rabbitmq_queue_head_message_age_seconds": (
        "head_age_s",
        "Age of the oldest message, where publishers stamp the time.",
    ),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of one collection, as `parse` makes them; `at_s` is on the monotonic clock."""

    at_s: float
    overview: Row
    nodes: list[Row]
    queues: list[Row]


@dataclass(eq=False)  # the registry hashes it
class LastSample(Collector):
    """Renders `sample`, so that what was deleted vanishes; older than `stale_s`, only `rabbitmq_up` is left."""

    stale_s: float
    sample: Sample | None = None
    up: bool = False

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("rabbitmq_up", "1 where the last collection reached the broker.", value=float(self.up))
        sample = self.sample
        if sample is None or time.monotonic() - sample.at_s > self.stale_s:
            return
        yield from _families(OVERVIEW, ("cluster",), [sample.overview])
        yield from _families(NODES, ("cluster", "node"), sample.nodes)
        yield from _families(QUEUES, ("cluster", "vhost", "queue"), sample.queues)


def _families(
    names: dict[str, tuple[str, str]], labels: tuple[str, ...], rows: Iterable[Row]
) -> Iterator[GaugeMetricFamily]:
    rows = list(rows)
    for name, (column, text) in names.items():
        family = GaugeMetricFamily(name, text, labels=labels)
        for row in rows:
            if row[column] is not None:
                family.add_metric([row[label] for label in labels], float(row[column]))
        yield family
