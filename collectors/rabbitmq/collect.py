"""Samples a RabbitMQ broker: into rows for the store, and onto /metrics."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from prometheus_client import CollectorRegistry

from collectors.exposition import Exposition, Health
from collectors.rabbitmq import rows
from collectors.rabbitmq.access import from_settings
from collectors.rabbitmq.ask import Ask
from collectors.rabbitmq.expose import Sample, Shown
from collectors.rabbitmq.offer import choose
from collectors.rabbitmq.patterns import Patterns
from collectors.rabbitmq.rates import Rates, Totals
from collectors.rabbitmq.reading import Asked, Check, Key, Queue, Reading, Source
from collectors.rabbitmq.rows import Row
from collectors.rabbitmq.select import Filter, TopK
from collectors.rabbitmq.types import Types
from collectors.runner import run
from collectors.sink import Batch, StoreSink
from store.connect import connect
from store.errors import FileUnusable, SourceError
from store.rollup import refresh
from store.settings import Settings
from store.write import write

log = logging.getLogger(__name__)

T = TypeVar("T")

STALE_INTERVALS = 3  # a sample is shown on /metrics for so many intervals, and between two of them there is a rate
CHECK_S = 60.0  # between two rounds of the broker's health checks
CHOOSE_S = 600.0  # after which a better way to ask the broker is looked for


class RabbitMQ:
    """A source of `metrics.rabbitmq_overview`, `_nodes` and `_queues`.

    Args:
        settings: name the broker, which of its queues are looked at, how many get detail, how often.

    Raises:
        SettingsError: the settings contradict each other.
        ParameterInvalid: a pattern of the settings is none.
    """

    def __init__(self, settings: Settings) -> None:
        from_settings(settings)  # whoever is wrong about the address is told at once, not at every sample
        self._settings = settings
        self._filter = Filter(
            Patterns(settings.rabbitmq_vhosts, parameter="rabbitmq_vhosts"),
            Patterns(settings.rabbitmq_queues, parameter="rabbitmq_queues"),
            frozenset(settings.rabbitmq_types),
        )
        self._top = TopK(settings.rabbitmq_top, Patterns(settings.rabbitmq_detail, parameter="rabbitmq_detail"))
        self._types = Types(lambda: Ask(from_settings(settings)))
        gap_s = STALE_INTERVALS * settings.rabbitmq_interval_s
        self._whole: Rates[str] = Rates(gap_s=gap_s)
        self._each: Rates[Key] = Rates(gap_s=gap_s)
        self._totals = Totals()
        self._checked_s = -math.inf
        self._checks: list[Check] = []
        self._source: Source | None = None
        self._chosen_s = -math.inf
        self._asked: Asked | None = None
        self._up: bool | None = None
        self._quiet: set[str] = set()
        self.shown = Shown(gap_s)

    def collect(self) -> list[Batch]:
        """One sample, all rows with the same `ts` (UTC).

        Raises:
            SourceError: the broker does not answer as it should. It is logged where that is news.
            FileUnusable: a secret or a certificate cannot be read, at the first sample.
        """
        try:
            batches = self.take()
        except SourceError as error:
            if self._up is not False or error.kind != self.shown.reason:
                log.warning("%s", error)
            self._up, self.shown.reason = False, error.kind
            raise
        self._up = True
        return batches

    def take(self) -> list[Batch]:
        """One sample, for who wants no more. Raises what `collect` raises and logs nothing of it."""
        try:
            source = self._opened()
            reading = source.read(vhosts=self._filter.vhosts or None)
        except SourceError:
            self.close()
            self._forget()
            raise
        if not self._up:
            log.info("%s answers: RabbitMQ %s, asked by way of %s", source.where, reading.version, reading.source)
        if reading.source != self._asked:
            self._asked = reading.source
            self._forget()  # another way, other counters
        return self._batches(source, reading)

    def close(self) -> None:
        """Close the connections to the broker; a further sample opens new ones."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def _opened(self) -> Source:
        """What the broker is asked by. After it was away another release may have come back, which offers other things.

        The best way is looked for again where it is not gone: the plugin of a broker that is just starting comes late.
        """
        second_best = self._settings.rabbitmq_source == "auto" and self._asked not in (None, "native")
        if self._source is not None and second_best and time.monotonic() - self._chosen_s >= CHOOSE_S:
            self.close()
        if self._source is None:
            try:
                self._source, self._chosen_s = choose(self._settings), time.monotonic()
            except FileUnusable as error:
                if self._up is None:
                    raise
                # It was there when we began, and is being renewed.
                raise SourceError(from_settings(self._settings).url, str(error), "denied") from error
        return self._source

    def _forget(self) -> None:
        self._whole.forget()
        self._each.forget()

    def _batches(self, source: Source, reading: Reading) -> list[Batch]:
        types = self._less("types of queues", lambda: self._types.of(reading.queues)) if self._filter.types else {}
        queues = self._filter.queues(reading.queues, types or {})
        keys = self._top.choose(reading.at_s, reading.ts.timestamp(), queues)
        detailed = self._detail(source, keys, queues)
        self._top.told(detailed)
        flow = self._whole.between(reading.at_s, {"": reading.counters}, reading.boots).get("", {})
        # By the time of the sample, not of each answer: rates times the seconds between two samples are what was added.
        counted = {queue.key: queue.counters for queue in detailed if queue.counters}
        flows = self._each.between(reading.at_s, counted, reading.boots)
        kept = {queue.key for queue in detailed}
        rest = rows.rest_rows(reading, [queue for queue in queues if queue.key not in kept])
        self._check(source)
        self._show(reading, queues, detailed)
        return [
            _batch("metrics.rabbitmq_overview", [rows.overview_row(reading, flow, self._checks)]),
            _batch("metrics.rabbitmq_nodes", rows.node_rows(reading)),
            _batch("metrics.rabbitmq_queues", rows.queue_rows(reading, detailed, flows) + rest),
        ]

    def _detail(self, source: Source, keys: list[Key], queues: list[Queue]) -> list[Queue]:
        """What is known of `keys`. Where the broker will not tell more, that is what the look told.

        Depth and consumers are those of the look, as of all other queues: of one moment, and there before the rest.
        """
        wanted = set(keys)
        looked = {queue.key: queue for queue in queues if queue.key in wanted}
        detailed = self._less("detail of queues", lambda: source.detail(keys))
        if detailed is None:
            return list(looked.values())
        detailed = [queue for queue in detailed if queue.key in looked]
        for queue in detailed:
            for name in ("messages", "ready", "unacked", "consumers"):
                if (value := getattr(looked[queue.key], name)) is not None:
                    setattr(queue, name, value)
        return detailed

    def _check(self, source: Source) -> None:
        if time.monotonic() - self._checked_s >= CHECK_S:
            self._checked_s = time.monotonic()
            self._checks = self._less("health checks", source.checks) or []

    def _less(self, what: str, ask: Callable[[], T]) -> T | None:
        """What `ask` gives. None where the broker does not tell, which is logged when it begins and costs no more."""
        try:
            told = ask()
        except SourceError as error:
            if what not in self._quiet:
                log.warning("no %s: %s", what, error)
            self._quiet.add(what)
            return None
        self._quiet.discard(what)
        return told

    def _show(self, reading: Reading, queues: list[Queue], detailed: list[Queue]) -> None:
        self.shown.skipped += reading.skipped
        self.shown.resets = self._whole.resets
        self.shown.reason = "ok"
        self._totals.add(reading.counters, reading.boots, reading.source)
        shown = dict(self._totals.values)
        self.shown.sample = Sample(time.monotonic(), reading, queues, detailed, self._checks, shown)


def collect_rabbitmq(settings: Settings, stop: Event, *, registry: CollectorRegistry | None = None) -> None:
    """Sample `settings.rabbitmq_url` every `settings.rabbitmq_interval_s` seconds into the store until `stop` is set.

    Raises:
        SettingsError: /metrics cannot be served where the settings say.
        ParameterInvalid: the address or a pattern is none.
    """
    registry = registry or CollectorRegistry()
    health = Health("rabbitmq", registry)
    source = RabbitMQ(settings)
    sink = StoreSink(settings, health, health.collector)
    with Exposition(settings, registry, more=source.shown.page) as exposition:
        where = from_settings(settings).url
        log.info("collecting from %s every %g s; metrics on %s", where, settings.rabbitmq_interval_s, exposition.url)
        run(
            source,
            sink,
            health,
            stop,
            interval_s=settings.rabbitmq_interval_s,
            refresh=lambda: refresh(settings),
            refresh_every_s=settings.refresh_every_s,
        )
    source.close()


def collect_once(settings: Settings) -> int:
    """Take one sample into the store. Returns how many queues it saw.

    Raises:
        SourceError: the broker does not answer as it should.
        StoreError: the database cannot be reached.
    """
    source = RabbitMQ(settings)
    try:
        batches = source.take()
    finally:
        source.close()
    with connect(settings) as connection:
        for batch in batches:
            write(connection, batch.table, batch.columns, batch.rows)
    refresh(settings)
    return len(source.shown.sample.queues) if source.shown.sample else 0


def _batch(table: str, found: list[Row]) -> Batch:
    columns = tuple(found[0]) if found else ()
    return Batch(table, columns, [tuple(row[name] for name in columns) for row in found])
