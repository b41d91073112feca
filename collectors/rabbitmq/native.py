"""A broker read through its Prometheus plugin, one page a node, and its management API for what only that knows."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar
from urllib.parse import quote

from collectors import text
from collectors.rabbitmq import api, health, management, pages
from collectors.rabbitmq.ask import Ask, each
from collectors.rabbitmq.names import Version, escapes, names, version
from collectors.rabbitmq.reading import Check, Key, Node, Queue, Reading
from store.errors import SourceError

N = TypeVar("N", int, float)

log = logging.getLogger(__name__)

LONGEST = 6000  # characters of a request line; the broker's server takes 8,000
API_AWAY_S = 60.0  # a management API that does not answer is left alone: a try may take all the time there is
# Before 4.2 the plugin shows the Raft log of every quorum queue or of none. Where they are many, not at every look.
MANY_RAFT, MANY_RAFT_S = 500, 60.0
VHOSTS = "rabbitmq_cluster_vhost_status"
DETAILED, PER_OBJECT = "/metrics/detailed", "/metrics/per-object"  # before 3.9.7 there is the second alone


class Native:
    """The Prometheus plugins behind `plugins`, one a node; `ask` is the management API, None where it is off.

    A node that does not answer costs its part, as long as one of them answers. With `whole`, a node that runs and is
    not seen is an error, so that another source is looked for: it may have come back since this one was chosen.
    """

    def __init__(self, plugins: Sequence[Ask], ask: Ask | None = None, *, whole: bool = False) -> None:
        self._plugins, self._ask, self._whole = plugins, ask, whole
        self._version: Version = ()
        self._stats = True
        self._away_until_s = -math.inf
        self._raft: tuple[float, dict[Key, dict[str, float]]] = (-math.inf, {})

    @property
    def where(self) -> str:
        """The broker's address, without credentials: of its management API, where it is known."""
        return (self._ask or self._plugins[0]).where

    def read(self, *, vhosts: Callable[[str], bool] | None = None) -> Reading:
        """As `Source.read`."""
        shown: list[pages.Shown] = []
        queues: dict[Key, Queue] = {}
        skipped = 0
        failed: SourceError | None = None
        for plugin in self._plugins:
            try:
                here = _shown(plugin)
                self._version = version(here.version)
                found, bad = self._queues(plugin, vhosts)
            except SourceError as error:
                failed = error
                continue
            shown.append(here)
            skipped += here.skipped + bad
            _merge(queues, found)
        if not shown:
            assert failed is not None
            raise failed
        return self._reading(shown, list(queues.values()), skipped)

    def detail(self, keys: Sequence[Key]) -> list[Queue]:
        """As `Source.detail`: from the management API, and from the plugin what that does not know."""
        if not keys:
            return []
        if self._ask is None or time.monotonic() < self._away_until_s:
            return self._without_api(keys)
        queues = api.detail(self._ask, keys, stats=self._stats)
        logs = [queue for queue in queues if queue.type in ("quorum", "stream")]
        extra = self._extra([queue.key for queue in logs]) if logs else {}
        for queue in logs:
            queue.extra |= extra.get(queue.key, {})
        return queues

    def checks(self) -> list[Check]:
        """As `Source.checks`."""
        if self._ask is None or time.monotonic() < self._away_until_s:
            return []
        return health.checks(self._ask)

    def close(self) -> None:
        for ask in (*self._plugins, *([self._ask] if self._ask else [])):
            ask.close()

    def _reading(self, shown: list[pages.Shown], queues: list[Queue], skipped: int) -> Reading:
        ts, first = datetime.now(UTC), shown[0]
        nodes = [Node(page.node, running=True, values=page.values) for page in shown]
        at_s = sum(page.at_s for page in shown) / len(shown)
        reading = Reading(
            datetime.fromtimestamp(ts.timestamp() - (time.monotonic() - at_s), UTC),
            at_s,
            first.cluster,
            first.version,
            first.erlang,
            "native",
            totals=_sums([page.totals for page in shown]),
            counters=_sums([page.counters for page in shown]),
            nodes=nodes,
            queues=queues,
            skipped=skipped,
        )
        reading.boots = management.boots(reading.ts, nodes)
        if self._ask is not None and time.monotonic() >= self._away_until_s:
            self._add(reading, self._ask)
        return reading

    def _add(self, reading: Reading, ask: Ask) -> None:
        try:
            overview = api.overview(ask)
            nodes, links = api.nodes(ask), api.links(ask)
        except SourceError as error:
            # The plugin has answered: what only the API can say is left out, and costs nothing else.
            if self._away_until_s == -math.inf:
                log.warning("no detail of queues, nodes and links: %s. Next try in %g s", error, API_AWAY_S)
            self._away_until_s = time.monotonic() + API_AWAY_S
            return
        self._away_until_s = -math.inf
        self._stats = api.keeps_stats(overview)
        reading.totals = api.totals(overview) | reading.totals
        # Two sources of one counter must not take turns: they do not begin at the same number.
        told = {row.ours for row in names("native", "counters") if row.there(self._version)}
        more = api.counters(overview)
        reading.counters |= {ours: value for ours, value in more.items() if ours not in told}
        reading.links = links
        known = {node.name: node for node in reading.nodes}
        unseen = [node.name for node in nodes if node.running and node.name not in known]
        if unseen and self._whole:
            raise SourceError(self.where, f"no Prometheus plugin shows {', '.join(unseen)}. Looking for another way")
        for node in nodes:
            if node.name in known:
                known[node.name].values = node.values | known[node.name].values
            else:
                reading.nodes.append(node)

    def _queues(self, plugin: Ask, vhosts: Callable[[str], bool] | None) -> tuple[list[Queue], int]:
        chosen = _vhost_query(plugin, vhosts, raw=self._raw)
        if chosen is None:
            return [], 0
        path = f"{DETAILED}?family=queue_coarse_metrics&family=queue_consumer_count{chosen}"
        page = plugin.text(path, otherwise=PER_OBJECT)
        queues, skipped = pages.depths(page, raw=self._raw)
        return [queue for queue in queues if vhosts is None or vhosts(queue.vhost)], skipped

    @property
    def _raw(self) -> bool:
        return not escapes(self._version)

    def _without_api(self, keys: Sequence[Key]) -> list[Queue]:
        families = ["queue_coarse_metrics", "queue_metrics"]
        if self._version >= (4, 0):
            families += ["queue_delivery_metrics", "queue_exchange_metrics", "stream_consumer_metrics"]
        wanted = set(keys)
        queues: dict[Key, Queue] = {}
        for plugin in self._plugins:
            path = _detailed(families, keys, self._version)
            page = each(partial(plugin.text, path, otherwise=PER_OBJECT))
            if page is not None:
                _merge(queues, pages.details(page, wanted, raw=self._raw))
        return list(queues.values())

    def _extra(self, keys: Sequence[Key]) -> dict[Key, dict[str, float]]:
        at_s, extra = self._raft
        if len(extra) > MANY_RAFT and time.monotonic() - at_s < MANY_RAFT_S:
            return extra
        families = ["ra_metrics"]
        if self._version >= (4, 0):
            families.append("stream_consumer_metrics")
        lines: dict[Key, list[dict[str, float]]] = {}
        for plugin in self._plugins:
            path = _detailed(families, keys, self._version)
            page = each(partial(plugin.text, path), without=("down", "slow", "denied", "wrong"))
            members: dict[Key, dict[str, float]] = {}
            for (_, ours), column in pages.by_queue(page or "", ("queue.extra",), raw=self._raw)[0].items():
                for key, value in column.items():
                    if not math.isnan(value):
                        members.setdefault(key, {})[ours] = value
            for key, values in members.items():
                lines.setdefault(key, []).append(values)
        extra = {key: pages.raft(parts) for key, parts in lines.items()}
        self._raft = (time.monotonic(), extra)
        return extra


def _sums(parts: list[dict[str, N]]) -> dict[str, N]:
    """Of all nodes together; what one of them does not tell has no sum."""
    first, *others = parts
    names_ = [name for name in first if all(name in part for part in others)]
    return {name: sum((part[name] for part in others), first[name]) for name in names_}


def _shown(plugin: Ask) -> pages.Shown:
    began_s = time.monotonic()
    page = plugin.text("/metrics")
    return pages.shown(page, (began_s + time.monotonic()) / 2, plugin.where)


def _vhost_query(plugin: Ask, vhosts: Callable[[str], bool] | None, *, raw: bool) -> str | None:
    """What narrows the question down to the vhosts that are wanted; None where none of them is."""
    if vhosts is None:
        return ""
    answer = each(partial(plugin.text, f"{DETAILED}?family=vhost_status"))
    page = text.read(answer or "", {VHOSTS})
    there = []
    for written, _ in page.samples.get(VHOSTS, ()):
        one = re.fullmatch(r'vhost="(.*)"', written) if raw else None
        there.append(one[1] if one else (text.labels(written) or {}).get("vhost"))
    if page.skipped or None in there or not there:
        return ""
    some = [name for name in there if name is not None and vhosts(name)]
    if len(some) == len(there):
        return ""
    query = _query("vhost", some)
    return None if not some else query if len(query) < LONGEST else ""


def _detailed(families: Sequence[str], keys: Sequence[Key], release: Version) -> str:
    path = f"{DETAILED}?" + _query("family", families)[1:]
    path += _query("vhost", sorted({vhost for vhost, _ in keys}))
    if release >= (4, 3):  # the filter by name is younger than the endpoint
        pattern = "^(?:" + "|".join(re.escape(name) for _, name in keys) + ")$"
        if len(pattern.encode()) <= 2000:
            path += _query("queue", [pattern])
    return path if len(path) < LONGEST else path.partition("&vhost")[0]


def _query(name: str, values: Iterable[str]) -> str:
    return "".join(f"&{name}={quote(value, safe='')}" for value in values)


def _merge(into: dict[Key, Queue], found: Iterable[Queue]) -> None:
    # A queue that has moved may be shown by two nodes for a while; the one that moved away stays at its last depth.
    for queue in found:
        before = into.get(queue.key)
        if before is None or (before.messages or 0) < (queue.messages or 0):
            into[queue.key] = queue
