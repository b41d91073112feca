"""Reading Prometheus: selectors and PromQL over any span as frames.

>>> from analytics import prom
>>> depth = prom.range("rabbitmq_queue_messages", start, end, url="http://prometheus:9090")  # doctest: +SKIP
>>> busy = prom.range("sum by (queue) (rate(acked_total[5m]))", start, end, "1m", url=server)  # doctest: +SKIP

`start` and `end` belong to the range, as in Prometheus itself. Without `step` a selector gives the samples as they were
scraped; with one, its value at each step, as `query_range` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from analytics.prom.read import HistogramsLeftOut, instant, range  # noqa: A004  # as Prometheus calls it
from analytics.prom.server import Server

if TYPE_CHECKING:
    from analytics.prom.connection import MetricRangeDataFrame, MetricSnapshotDataFrame, connect

__all__ = [
    "HistogramsLeftOut",
    "MetricRangeDataFrame",
    "MetricSnapshotDataFrame",
    "Server",
    "connect",
    "instant",
    "range",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'analytics.prom' has no attribute {name!r}; it has {', '.join(__all__)}")
    from analytics.prom import connection  # prometheus-api-client brings pandas along, which takes its time

    return getattr(connection, name)
