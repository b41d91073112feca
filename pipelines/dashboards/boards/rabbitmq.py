"""What the dashboards of RabbitMQ share: their variables, and how a series of the broker's plugin is told by node."""

from __future__ import annotations

from pipelines.dashboards.board import Variable, of_prometheus
from pipelines.dashboards.panels import Panel, lines
from pipelines.dashboards.sources import prom

OF_NODE, OF_QUEUE = "{{node}}", "{{queue}} {{vhost}} {{cluster}}"
NODES = 'instance:rabbitmq_node:info{cluster=~"$cluster"}'
IN_CLUSTER = 'cluster=~"$cluster"'
IN_VHOST = 'cluster=~"$cluster", vhost=~"$vhost"'
ONE_QUEUE = 'cluster=~"$cluster", vhost=~"$vhost", queue="$queue"'
QUEUE_PAGE = (
    "/d/gaugebook-rabbitmq-queue?${__url_time_range}&var-prometheus=${prometheus}&var-store=${store}"
    "&var-cluster=${__data.fields.cluster}&var-vhost=${__data.fields.vhost}&var-queue=${__data.fields.queue}"
)
REPORT = "queue_health"


def clusters(*, several: bool = True) -> list[Variable]:
    """The cluster and the virtual host: one of each, or several."""
    inside = f"label_values(vhost:rabbitmq_queue_messages:sum{{{IN_CLUSTER}}}, vhost)"
    return [
        of_prometheus("cluster", "Cluster", "label_values(cluster:rabbitmq_queues:sum, cluster)", several=several),
        of_prometheus("vhost", "Virtual host", inside, several=several),
    ]


def queue() -> Variable:
    """One queue of the virtual host that is chosen."""
    return of_prometheus(
        "queue", "Queue", f"label_values(queue:rabbitmq_queue_messages:max{{{IN_VHOST}}}, queue)", several=False
    )


def by_node(expr: str) -> str:
    """The sum by cluster and node of what the plugin tells, which names neither itself."""
    return f"sum by (cluster, node) ({expr} * on (job, instance) group_left (cluster, node) {NODES})"


def in_cluster(expr: str) -> str:
    """What the plugin tells, of the clusters that are chosen."""
    return f"sum({expr} * on (job, instance) group_left () {NODES})"


def rate(counter: str) -> str:
    """A second, of a counter of the plugin, by node."""
    return by_node(f'rate({counter}{{job="rabbitmq"}}[$__rate_interval])')


def either(collector: str, plugin: str) -> str:
    """By node: what the collector tells, or where it does not the broker's own plugin."""
    return (
        f"max by (cluster, node) ({collector}) or "
        f"max by (cluster, node) (({plugin}) * on (job, instance) group_left (cluster, node) {NODES})"
    )


def names(pattern: str, *more: str) -> str:
    """Series of any of these names: releases of the broker call the same thing differently."""
    return "{" + ", ".join([f'__name__=~"{pattern}"', 'job="rabbitmq"', *more]) + "}"


def plugin(name: str, *more: str) -> str:
    """A series of the broker's own plugin."""
    return "rabbitmq_" + name + "{" + ", ".join(['job="rabbitmq"', *more]) + "}"


def stack(title: str, said: str, expr: str, *, width: int = 8) -> Panel:
    """How many there are, node on node."""
    return lines(title, said, "short", prom(expr, OF_NODE), width=width, stacked=True)


def flow(title: str, said: str, expr: str, *, unit: str = "mps", width: int = 8) -> Panel:
    """How many a second, node on node."""
    return lines(title, said, unit, prom(expr, OF_NODE), width=width, stacked=True)
