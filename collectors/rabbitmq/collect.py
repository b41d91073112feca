"""Samples a RabbitMQ broker: into rows for the store, and onto /metrics."""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable
from datetime import UTC, datetime
from threading import Event

from prometheus_client import CollectorRegistry

from collectors.exposition import Exposition, Health
from collectors.rabbitmq import parse
from collectors.rabbitmq.expose import LastSample, Sample
from collectors.rabbitmq.parse import Row
from collectors.rabbitmq.rates import Counters, Rates
from collectors.rabbitmq.source import Answers, Management
from collectors.runner import run
from collectors.sink import Batch, StoreSink
from store.connect import connect
from store.errors import SourceError
from store.rollup import refresh
from store.settings import Settings
from store.write import write

log = logging.getLogger(__name__)

STALE_INTERVALS = 3  # a sample is shown on /metrics for so many intervals


class RabbitMQ:
    """A source of `metrics.rabbitmq_overview`, `_nodes` and `_queues`; registers its metrics with `registry`."""

    def __init__(self, url: str, registry: CollectorRegistry, *, interval_s: float) -> None:
        self._management = Management(url)
        self._queue_rates, self._overview_rates = Rates(), Rates()
        self._uptimes: dict[str, float] = {}
        self._up: bool | None = None
        self.shown = LastSample(stale_s=STALE_INTERVALS * interval_s)
        registry.register(self.shown)

    @property
    def where(self) -> str:
        """The broker's address, without credentials."""
        return self._management.where

    def collect(self) -> list[Batch]:
        """One sample, all rows with the same `ts` (UTC).

        Raises:
            SourceError: the broker does not answer as it should. It is logged where it did before.
        """
        try:
            answers = self._management.ask()
        except SourceError as error:
            if self._up is not False:
                log.warning("%s", error)
            self._up = self.shown.up = False
            self._forget()
            raise
        if not self._up:
            log.info("%s answers: RabbitMQ %s", self.where, answers.overview.get("rabbitmq_version"))
        self._up = self.shown.up = True
        return self._batches(answers)

    def take(self) -> list[Batch]:
        """One sample, for who wants no more. Raises what `collect` raises and logs nothing."""
        return self._batches(self._management.ask())

    def close(self) -> None:
        self._management.close()

    def _batches(self, answers: Answers) -> list[Batch]:
        sample = self.shown.sample = self._sample(answers)
        return [
            _batch("metrics.rabbitmq_overview", [sample.overview]),
            _batch("metrics.rabbitmq_nodes", sample.nodes),
            _batch("metrics.rabbitmq_queues", sample.queues),
        ]

    def _sample(self, answers: Answers) -> Sample:
        ts, at_s = datetime.now(UTC), time.monotonic()
        overview = parse.overview_row(ts, answers.overview)
        cluster = overview["cluster"]
        nodes = [row for node in answers.nodes if (row := parse.node_row(ts, cluster, node))]
        queues = [row for queue in answers.queues if (row := parse.queue_row(ts, cluster, queue))]
        if self._restarted(nodes):
            self._forget()
        _add_rates(self._overview_rates, at_s, {cluster: overview}, parse.OVERVIEW_COUNTERS)
        keyed: dict[Hashable, Row] = {(row["vhost"], row["queue"]): row for row in queues}
        _add_rates(self._queue_rates, at_s, keyed, parse.QUEUE_COUNTERS)
        return Sample(at_s, overview, nodes, list(keyed.values()))

    def _restarted(self, nodes: list[Row]) -> bool:
        before, self._uptimes = self._uptimes, {row["node"]: row["uptime_s"] or 0.0 for row in nodes}
        return any(uptime_s < before.get(node, 0.0) for node, uptime_s in self._uptimes.items())

    def _forget(self) -> None:
        # After a restart the counters begin at 0 and may have passed their old values: no fall would show.
        self._queue_rates.forget()
        self._overview_rates.forget()


def collect_rabbitmq(settings: Settings, stop: Event, *, registry: CollectorRegistry | None = None) -> None:
    """Sample `settings.rabbitmq_url` every `settings.rabbitmq_interval_s` seconds into the store until `stop` is set.

    Raises:
        SettingsError: /metrics cannot be served where the settings say.
        ParameterInvalid: the address is not one.
    """
    registry = registry or CollectorRegistry()
    health = Health("rabbitmq", registry)
    source = RabbitMQ(settings.rabbitmq_url, registry, interval_s=settings.rabbitmq_interval_s)
    sink = StoreSink(settings, health, health.collector)
    with Exposition(settings, registry) as exposition:
        log.info(
            "collecting from %s every %g s; metrics on %s", source.where, settings.rabbitmq_interval_s, exposition.url
        )
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
    registry = CollectorRegistry()
    source = RabbitMQ(settings.rabbitmq_url, registry, interval_s=settings.rabbitmq_interval_s)
    try:
        batches = source.take()
    finally:
        source.close()
    with connect(settings) as connection:
        for batch in batches:
            write(connection, batch.table, batch.columns, batch.rows)
    refresh(settings)
    return len(batches[-1].rows)


def _add_rates(rates: Rates, at_s: float, rows: dict[Hashable, Row], names: dict[str, str]) -> None:
    counters: dict[Hashable, Counters] = {
        key: {name: row[f"{name}_total"] for name in names} for key, row in rows.items()
    }
    for key, per_second in rates.between(at_s, counters).items():
        rows[key].update({f"{name}_per_s": rate for name, rate in per_second.items()})


def _batch(table: str, rows: list[Row]) -> Batch:
    columns = tuple(rows[0]) if rows else ()
    return Batch(table, columns, [tuple(row[name] for name in columns) for row in rows])
