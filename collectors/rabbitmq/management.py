"""A broker read through its management API alone: where the Prometheus plugin is off."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from collectors.rabbitmq import api, health
from collectors.rabbitmq.ask import Ask, segment
from collectors.rabbitmq.reading import Check, Key, Node, Queue, Reading

TOTALS = "disable_stats=true&enable_queue_totals=true&columns="  # a third of the cost, but without the consumers
LONG_S, AGAIN_S = 0.5, 60.0  # a list that takes so long is asked for no oftener than that


class Management:
    """The management API behind `ask`.

    Where the list of queues takes long, as that of thousands does, it is asked for once a minute. Between these the
    broker is asked for the depths alone, and each queue keeps the consumers that it had.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._stats = True
        self._again_s = -math.inf
        self._consumers: dict[Key, int | None] = {}

    @property
    def where(self) -> str:
        """The broker's address, without credentials."""
        return self._ask.where

    def read(self, *, vhosts: Callable[[str], bool] | None = None) -> Reading:
        """As `Source.read`."""
        began_s = time.monotonic()
        overview = api.overview(self._ask)
        ts, at_s = datetime.now(UTC), (began_s + time.monotonic()) / 2
        self._stats = api.keeps_stats(overview)
        nodes = api.nodes(self._ask)
        return Reading(
            ts,
            at_s,
            cluster=cluster(overview),
            version=api.text(overview.get("rabbitmq_version")),
            erlang=api.text(overview.get("erlang_version")),
            source="management",
            totals=api.totals(overview),
            counters=api.counters(overview),
            nodes=nodes,
            queues=self._queues(vhosts),
            links=api.links(self._ask),
            boots=boots(ts, nodes),
        )

    def detail(self, keys: Sequence[Key]) -> list[Queue]:
        """As `Source.detail`."""
        return api.detail(self._ask, keys, stats=self._stats)

    def checks(self) -> list[Check]:
        """As `Source.checks`."""
        return health.checks(self._ask)

    def close(self) -> None:
        self._ask.close()

    def _queues(self, vhosts: Callable[[str], bool] | None) -> list[Queue]:
        paths = self._paths(vhosts)
        began_s = time.monotonic()
        if began_s < self._again_s:
            queues = self._listed(paths, TOTALS)
            if not queues or any(queue.messages is not None for queue in queues):  # releases before 3.8.10 tell none
                for queue in queues:
                    queue.consumers = self._consumers.get(queue.key)
                return queues
        queues = self._listed(paths, "columns=")
        now_s = time.monotonic()
        self._again_s = now_s + AGAIN_S if now_s - began_s > LONG_S else -math.inf
        self._consumers = {queue.key: queue.consumers for queue in queues}
        return queues

    def _paths(self, vhosts: Callable[[str], bool] | None) -> list[str]:
        """Where the queues of the vhosts that are wanted are listed."""
        if vhosts is not None:
            there = [api.text(item.get("name")) for item in self._ask.json("/api/vhosts?columns=name", list)]
            some = [name for name in there if name and vhosts(name)]
            if len(some) < len(there):
                return [f"/api/queues/{segment(name)}" for name in some]
        return ["/api/queues"]

    def _listed(self, paths: list[str], how: str) -> list[Queue]:
        answers = [self._ask.maybe(f"{path}?{how}{api.DEPTH_COLUMNS}", list) for path in paths]
        return [queue for answer in answers for queue in api.queues(answer or [], stats=False)]


def cluster(overview: api.Json) -> str:
    """The name of the cluster, or of the node that answered."""
    return api.text(overview.get("cluster_name")) or api.text(overview.get("node")) or "unknown"


def boots(ts: datetime, nodes: Sequence[Node]) -> dict[str, float]:
    """When each node started, in seconds since 1970."""
    now_s = ts.timestamp()
    return {node.name: now_s - node.values["uptime_s"] for node in nodes if "uptime_s" in node.values}
