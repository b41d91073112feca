"""Receives OTLP until it is told to stop."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from prometheus_client import CollectorRegistry

from collectors.exposition import Exposition, Health
from collectors.llm import prices
from collectors.llm.attribution import Owner
from collectors.otlp.intake import Intake
from collectors.otlp.metrics import Metrics
from collectors.otlp.receive import Receiver
from collectors.otlp.rows import EVENTS, SPANS
from collectors.runner import Periodic
from collectors.web.admission import Admission
from collectors.web.incoming import Incoming
from collectors.web.keep import Keeper
from collectors.web.serving import listening, serving, url
from store.errors import SourceError
from store.rollup import refresh
from store.settings import Settings

log = logging.getLogger(__name__)

COLLECTOR = "otlp"
TICK_S = 0.5


def collect_otlp(settings: Settings, stop: Event, *, registry: CollectorRegistry | None = None) -> None:
    """Receive OTLP at `settings.otlp_address`:`settings.otlp_port` until `stop` is set.

    What was answered with 200 is in the store or waits in the spool.

    Raises:
        SettingsError: the address or a port cannot be had.
        SpoolError: the folder of the spool cannot be used.
        SourceError: the server ended before it was told to.
    """
    registry = registry or CollectorRegistry()
    health, metrics = Health(COLLECTOR, registry), Metrics(registry)
    admission = Admission(max(settings.otlp_in_flight_mb, settings.otlp_body_mb) << 20)
    limit = settings.otlp_body_mb << 20
    owner = Owner(settings.team, settings.project, settings.environment)
    prices.use(settings.llm_prices)

    def refresh_rollups() -> None:
        refresh(settings)

    with (
        listening(settings.otlp_address, settings.otlp_port, "otlp_port") as listens,
        Exposition(settings, registry) as exposition,
    ):
        keeper = Keeper(_with_events(settings), health, COLLECTOR)
        metrics.watch(lambda: admission.in_flight, keeper.waiting_rows)
        intake = Intake(keeper, metrics, owner=owner, limit=limit)
        periodic = Periodic(refresh_rollups, settings.refresh_every_s)
        try:
            with (
                ThreadPoolExecutor(1, thread_name_prefix="otlp") as worker,
                serving(Receiver(intake, Incoming(admission, limit), metrics, worker).app(), listens, "otlp") as server,
            ):
                log.info("receiving OTLP at %s; metrics on %s", url(listens), exposition.url)
                while server.is_alive() and not stop.wait(TICK_S):
                    health.succeeded(0.0)
                    periodic.tick()
                admission.open = False
        finally:
            keeper.close()
            periodic.close()
    if not stop.is_set():
        where = f"{settings.otlp_address}:{settings.otlp_port}"
        raise SourceError(where, "the server has ended by itself; the log says why")


def _with_events(settings: Settings) -> Settings:
    """The rule of precedence with events right behind spans, where it is about spans at all."""
    sources = settings.source_precedence
    if SPANS not in sources or EVENTS in sources:
        return settings
    behind = sources.index(SPANS) + 1
    return settings.model_copy(update={"source_precedence": (*sources[:behind], EVENTS, *sources[behind:])})
