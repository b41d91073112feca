"""A broker read through a kbudde/rabbitmq_exporter that runs already: one page, which holds all that it knows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from collectors import text
from collectors.rabbitmq import api, management
from collectors.rabbitmq.ask import Ask
from collectors.rabbitmq.names import Name, names
from collectors.rabbitmq.reading import Check, Key, Link, Node, Queue, Reading
from store.errors import SourceError

PREFIX = "rabbitmq_"
UP, VERSION, RUNNING = "up", "version_info", "running"
STATE, SHOVEL, FEDERATION = "queue_state", "shovel_state", "federation_state"

_TOTALS, _NODE, _QUEUE = (
    {PREFIX + row.theirs: row for row in rows}
    for rows in (names("kbudde", "totals"), names("kbudde", "node"), names("kbudde", "queue", "queue.counters"))
)
_WANTED = {*_TOTALS, *_NODE, *_QUEUE, *(PREFIX + name for name in (UP, VERSION, RUNNING, STATE, SHOVEL, FEDERATION))}

Labels = dict[str, str]


class Kbudde:
    """The exporter behind `ask`. It knows no totals of what was published and delivered in the whole cluster."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._path = "" if urlsplit(ask.where).path else "/metrics"
        self._last: dict[Key, Queue] = {}

    @property
    def where(self) -> str:
        """The exporter's address, without credentials."""
        return self._ask.where

    def read(self, *, vhosts: Callable[[str], bool] | None = None) -> Reading:
        """As `Source.read`; here all detail comes with it."""
        began_s = time.monotonic()
        page = self._ask.text(self._path)
        ts, at_s = datetime.now(UTC), (began_s + time.monotonic()) / 2
        reading = parse(page, ts, at_s, self.where)
        if vhosts is not None:
            reading.queues = [queue for queue in reading.queues if vhosts(queue.vhost)]
        self._last = {queue.key: queue for queue in reading.queues}
        return reading

    def detail(self, keys: Sequence[Key]) -> list[Queue]:
        """As `Source.detail`: what the last look told already."""
        return [self._last[key] for key in keys if key in self._last]

    def checks(self) -> list[Check]:
        """None: the exporter does not ask for them."""
        return []

    def close(self) -> None:
        self._ask.close()


def parse(page: str, ts: datetime, at_s: float, where: str) -> Reading:
    """A page of the exporter.

    Raises:
        SourceError: of kind `down`, where the exporter says that its broker is; `wrong`, where it is not one.
    """
    shown = _Shown(text.read(page, _WANTED))
    if PREFIX + UP not in shown.page.samples:
        raise SourceError(where, "shows no rabbitmq_up. Is it a rabbitmq_exporter?")
    if not shown.page.total(PREFIX + UP):
        raise SourceError(where, "the exporter runs, but cannot reach its broker", "down")
    about: Labels = next((labels for labels, _ in shown.samples(PREFIX + VERSION)), {})
    cluster = about.get("cluster") or about.get("node") or "unknown"
    reading = Reading(ts, at_s, cluster, about.get("rabbitmq"), about.get("erlang"), "kbudde")
    reading.totals = {row.ours: value for name, row in _TOTALS.items() for _, value in shown.samples(name)}
    reading.nodes = _nodes(shown)
    reading.queues = _queues(shown)
    reading.links = [*_links(shown)]
    reading.boots = management.boots(ts, reading.nodes)
    reading.skipped = shown.skipped
    return reading


class _Shown:
    """The samples of a page that can be read, with their labels."""

    def __init__(self, page: text.Page) -> None:
        self.page, self.skipped = page, page.skipped
        self._known: dict[str, Labels | None] = {}

    def samples(self, name: str) -> Iterator[tuple[Labels, float]]:
        for written, value in self.page.samples.get(name, ()):
            if written not in self._known:
                self._known[written] = _labels(written)
            labels = self._known[written]
            if labels is None:
                self.skipped += 1
            elif math.isfinite(value):
                yield labels, value


def _nodes(shown: _Shown) -> list[Node]:
    nodes = {}
    for labels, value in shown.samples(PREFIX + RUNNING):
        name = labels.get("node", "")
        nodes[name] = Node(name, value > 0)
    for name, row in _NODE.items():
        for labels, value in shown.samples(name):
            node = nodes.get(labels.get("node", ""))
            if node is not None:
                node.values[row.ours] = value * row.factor
    return list(nodes.values())


def _queues(shown: _Shown) -> list[Queue]:
    queues: dict[Key, Queue] = {}
    for name, row in _QUEUE.items():
        for labels, value in shown.samples(name):
            queue = _queue(queues, labels)
            if queue is not None:
                _put(queue, row, value)
    for labels, value in shown.samples(PREFIX + STATE):
        queue = _queue(queues, labels)
        if queue is not None and value:
            queue.state = labels.get("state")
    return list(queues.values())


def _queue(queues: dict[Key, Queue], labels: Labels) -> Queue | None:
    vhost, name = labels.get("vhost"), labels.get("queue")
    if vhost is None or name is None:
        return None
    queue = queues.get((vhost, name))
    if queue is None:
        durable = {"true": True, "1": True, "false": False, "0": False}.get(labels.get("durable", ""))
        queue = queues[vhost, name] = Queue(vhost, name, durable=durable, policy=labels.get("policy") or None)
    return queue


def _put(queue: Queue, row: Name, value: float) -> None:
    if row.of == "queue.counters":
        queue.counters[row.ours] = queue.counters.get(row.ours, 0) + round(value)
    elif row.ours == "consumer_utilisation":
        queue.consumer_utilisation = value if 0 <= value <= 1 else None
    elif row.ours == "head_timestamp":
        queue.head_timestamp = api.seconds(value)
    elif value >= 0:
        setattr(queue, row.ours, round(value))


def _links(shown: _Shown) -> Iterator[Link]:
    for labels, value in shown.samples(PREFIX + SHOVEL):
        if value:
            yield Link("shovel", labels.get("shovel", ""), labels.get("vhost", ""), labels.get("state", "unknown"))
    for labels, value in shown.samples(PREFIX + FEDERATION):
        if value:
            of = "queue" if labels.get("queue") else "exchange"
            name = f"{of} {labels.get(of, '?')}"
            state, node = labels.get("status", "unknown"), labels.get("node")
            yield Link("federation", name, labels.get("vhost", ""), state, node)


def _labels(written: str) -> Labels | None:
    labels = text.labels(written)
    return None if labels is None else {name: api.text(value) or "" for name, value in labels.items()}
