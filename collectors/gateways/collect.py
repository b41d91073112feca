"""Scrapes LLM gateways: into rows of `metrics.llm_usage`, and onto /metrics."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from threading import Event

from prometheus_client import CollectorRegistry

from collectors.exposition import Exposition, Health
from collectors.gateways.expose import LastPages, Shown
from collectors.gateways.scrape import COLUMNS, Gateway
from collectors.runner import run
from collectors.sink import Batch, StoreSink
from store.errors import ParameterInvalid, SourceError
from store.rollup import refresh
from store.settings import Settings

log = logging.getLogger(__name__)

TABLE = "metrics.llm_usage"
COLLECTOR = "llm-gateway"
STALE_INTERVALS = 3  # a page is shown on /metrics for so many intervals


class Gateways:
    """A source of `metrics.llm_usage` from one or more gateways; registers its metrics with `registry`."""

    def __init__(self, gateways: Sequence[Gateway], registry: CollectorRegistry, *, interval_s: float) -> None:
        twice = {each.where for each in gateways if [one.where for one in gateways].count(each.where) > 1}
        if twice:
            raise ParameterInvalid("url", f"names {min(twice)} twice: its usage would count twice")
        self._gateways = tuple(gateways)
        self.shown = LastPages(STALE_INTERVALS * interval_s, {each.where: Shown() for each in gateways})
        self._asked = False
        registry.register(self.shown)

    def collect(self) -> list[Batch]:
        """One page of each gateway that answers. What one counted while it was away counts from its last page on.

        Raises:
            SourceError: none answers. One that stops to answer is logged, and once more when it is back.
        """
        rows: list[tuple[object, ...]] = []
        last: SourceError | None = None
        for gateway in self._gateways:
            try:
                rows += self._scrape(gateway)
            except SourceError as error:
                if self.shown.gateways[gateway.where].up or not self._asked:
                    log.warning("%s", error)
                self.shown.gateways[gateway.where].up = False
                last = error
        self._asked = True
        if last is not None and not any(shown.up for shown in self.shown.gateways.values()):
            raise last
        return [Batch(TABLE, COLUMNS, rows)]

    def close(self) -> None:
        for gateway in self._gateways:
            gateway.close()

    def _scrape(self, gateway: Gateway) -> list[tuple[object, ...]]:
        shown = self.shown.gateways[gateway.where]
        scrape = gateway.scrape()
        if not shown.up:
            log.info("%s answers: %s", gateway.where, scrape.kind.name)
        if gateway.growth.resets > shown.resets:
            log.info("%s has begun to count anew", gateway.where)
        if scrape.page.bad_lines:
            log.warning("%s: %d lines cannot be read and are left out", gateway.where, scrape.page.bad_lines)
        shown.up, shown.source, shown.scrape = True, scrape.kind.name, scrape
        shown.resets = gateway.growth.resets
        shown.bad_lines += scrape.page.bad_lines
        return scrape.rows


def collect_gateways(
    settings: Settings,
    urls: Sequence[str],
    stop: Event,
    *,
    interval_s: float,
    kind: str | None = None,
    token: str | None = None,
    registry: CollectorRegistry | None = None,
) -> None:
    """Scrape the gateways at `urls` every `interval_s` seconds into the store until `stop` is set.

    Raises:
        SettingsError: /metrics cannot be served where the settings say.
        ParameterInvalid, UnknownName: an address or the kind is not one.
    """
    registry = registry or CollectorRegistry()
    gateways = [Gateway(url, kind=kind, token=token) for url in urls]
    source = Gateways(gateways, registry, interval_s=interval_s)
    health = Health(COLLECTOR, registry)
    sink = StoreSink(settings, health, health.collector)
    with Exposition(settings, registry) as exposition:
        where = ", ".join(gateway.where for gateway in gateways)
        log.info("collecting from %s every %g s; metrics on %s", where, interval_s, exposition.url)
        run(
            source,
            sink,
            health,
            stop,
            interval_s=interval_s,
            refresh=lambda: refresh(settings),
            refresh_every_s=settings.refresh_every_s,
        )
    source.close()
