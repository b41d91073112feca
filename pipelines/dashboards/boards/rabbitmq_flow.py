"""What flows through a broker: queued, in, out, dead letters, and what comes and goes."""

from __future__ import annotations

from itertools import pairwise

from pipelines.dashboards.boards.rabbitmq import (
    IN_VHOST,
    NODES,
    OF_QUEUE,
    by_node,
    flow,
    in_cluster,
    plugin,
    rate,
    stack,
)
from pipelines.dashboards.panels import Panel, lines, number, ranking
from pipelines.dashboards.sources import now, prom

SIZES = (("100.0", "up to 100 B"), ("1000.0", "1 kB"), ("10000.0", "10 kB"), ("100000.0", "100 kB"), ("1e+06", "1 MB"))
SIZES_ABOVE = (("1e+07", "10 MB"), ("5e+07", "50 MB"), ("1e+08", "100 MB"), ("+Inf", "more"))
DEAD = {"expired": "expired", "rejected": "rejected", "maxlen": "queue was full", "delivery_limit": "tried too often"}


def queued() -> list[Panel]:
    """What waits in queues."""
    return [
        stack("Ready by node", "Messages that wait for a consumer, by node.", by_node(plugin("queue_messages_ready"))),
        stack(
            "Unacknowledged by node", "Messages that consumers have in hand.", by_node(plugin("queue_messages_unacked"))
        ),
        lines(
            "By virtual host",
            "Messages in the queues of each.",
            "short",
            prom(f"vhost:rabbitmq_queue_messages:sum{{{IN_VHOST}}}", "{{vhost}} {{cluster}}"),
            stacked=True,
        ),
    ]


def incoming() -> list[Panel]:
    """What publishers send, and what becomes of it."""

    def counter(name: str) -> str:
        return rate(f"rabbitmq_global_messages_{name}_total")

    unconfirmed = (
        "sum by (cluster, node) ((rate(rabbitmq_global_messages_received_confirm_total[$__rate_interval])"
        " - rate(rabbitmq_global_messages_confirmed_total[$__rate_interval]))"
        f" * on (job, instance) group_left (cluster, node) {NODES})"
    )
    return [
        flow("Published", "Messages a second from publishers, by node.", counter("received"), width=6),
        flow("Routed to queues", "A message that goes to three queues counts three times.", counter("routed"), width=6),
        flow("Confirmed to publishers", "Confirms a second, where publishers ask.", counter("confirmed"), width=6),
        flow(
            "Not confirmed yet",
            "Messages a second that wait for a confirm: the broker falls behind while this stays above nothing.",
            unconfirmed,
            width=6,
        ),
        lines(
            "Unroutable by node",
            "No queue was bound for them: dropped, or given back to a publisher that asked. A binding is missing.",
            "mps",
            prom(counter("unroutable_dropped"), "dropped {{node}}"),
            prom(counter("unroutable_returned"), "given back {{node}}"),
            width=12,
        ),
        lines(
            "Published by queue",
            "Messages a second into the ten busiest queues, of those with detail.",
            "mps",
            prom(f"topk(10, queue:rabbitmq_queue_messages_published:rate5m{{{IN_VHOST}}})", OF_QUEUE),
            width=12,
        ),
    ]


def sizes() -> list[Panel]:
    """How large messages are."""

    def within(edge: str) -> str:
        return in_cluster(f'increase(rabbitmq_message_size_bytes_bucket{{le="{edge}"}}[$__range])')

    edges = (*SIZES, *SIZES_ABOVE)
    targets = [now(f"{within(edges[0][0])} / {within('+Inf')}", edges[0][1])]
    for (lower, _), (upper, name) in pairwise(edges):
        targets.append(now(f"({within(upper)} - {within(lower)}) / {within('+Inf')}", name))
    added, counted = (
        in_cluster(f"increase(rabbitmq_message_size_bytes_{part}[$__range])") for part in ("sum", "count")
    )
    return [
        number(
            "Mean size",
            "Of messages published while this shows; from RabbitMQ 4.1.",
            "decbytes",
            now(f"{added} / {counted}"),
            height=8,
        ),
        ranking(
            "Sizes", "Share of the messages, by size; from RabbitMQ 4.1.", "percentunit", *targets, width=12, height=8
        ),
        lines(
            "Bytes in queues",
            "Of the ten largest queues with detail, bodies of messages.",
            "bytes",
            prom(f'topk(10, rabbitmq_queue_message_bytes{{job="gaugebook-rabbitmq", {IN_VHOST}}})', OF_QUEUE),
        ),
    ]


def outgoing() -> list[Panel]:
    """What consumers get and fetch."""

    def counter(name: str) -> str:
        return rate(f"rabbitmq_global_messages_{name}_total")

    delivered = by_node(
        '(rate(rabbitmq_global_messages_delivered_consume_auto_ack_total{job="rabbitmq"}[$__rate_interval])'
        ' + rate(rabbitmq_global_messages_delivered_consume_manual_ack_total{job="rabbitmq"}[$__rate_interval]))'
    )
    return [
        flow("Delivered", "Messages a second to consumers.", delivered, width=6),
        flow(
            "Redelivered by node",
            "Delivered again, because a consumer failed or gave back.",
            counter("redelivered"),
            width=6,
        ),
        flow("Acknowledged", "Acknowledgements a second by consumers.", counter("acknowledged"), width=6),
        flow("Consumed with acks", "To consumers that acknowledge.", counter("delivered_consume_manual_ack"), width=6),
        flow(
            "Consumed without acks",
            "To consumers that do not acknowledge: what they lose is lost.",
            counter("delivered_consume_auto_ack"),
            width=6,
        ),
        flow(
            "Fetched with acks",
            "Single fetches, which cost far more than a consumer.",
            counter("delivered_get_manual_ack"),
            width=6,
        ),
        flow("Fetched without acks", "Single fetches, at most once.", counter("delivered_get_auto_ack"), width=6),
        flow("Fetched nothing", "Fetches from an empty queue: somebody polls.", counter("get_empty"), width=6),
    ]


def dead() -> list[Panel]:
    """What queues gave up."""
    return [
        lines(
            "Dead letters by cause",
            "Messages a second that queues with a dead-letter exchange gave up; since RabbitMQ 3.10.",
            "mps",
            *[
                prom(
                    in_cluster(f"rate(rabbitmq_global_messages_dead_lettered_{cause}_total[$__rate_interval])"), legend
                )
                for cause, legend in DEAD.items()
            ],
            width=12,
            stacked=True,
        ),
        lines(
            "Dead-letter queues",
            "Depth of queues whose name says that they hold dead letters; somebody should read them.",
            "short",
            prom(
                f'topk(10, queue:rabbitmq_queue_messages:max{{{IN_VHOST}, queue=~"(?i).*(dead|dlq|dlx|poison).*"}})',
                OF_QUEUE,
            ),
            width=12,
        ),
    ]


def churn(what: str, *how: str) -> list[Panel]:
    """How many connections, channels or queues there are, and how many come and go."""
    width = 24 // (len(how) + 1)
    total = stack("Total " + what, f"How many {what} there are, by node.", by_node(plugin(what)), width=width)
    return [
        total,
        *[
            flow(
                f"{what.capitalize()} {each}",
                f"{what.capitalize()} {each} a second. Many: clients that open one for each message.",
                rate(f"rabbitmq_{what}_{each}_total"),
                unit="ops",
                width=width,
            )
            for each in how
        ],
    ]
