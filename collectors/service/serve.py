"""Serves until it is told to stop."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from threading import Event

from prometheus_client import CollectorRegistry

from collectors.exposition import Exposition, Health
from collectors.llm import prices
from collectors.runner import Periodic
from collectors.service.app import Service
from collectors.service.door import Door
from collectors.service.keys import Keys, file_of
from collectors.service.metrics import Metrics
from collectors.service.rows import KINDS
from collectors.web.admission import Admission
from collectors.web.incoming import Incoming
from collectors.web.keep import Keeper
from collectors.web.serving import listening, serving, url
from collectors.web.tls import server_context
from store.errors import SourceError
from store.rollup import refresh
from store.settings import Settings

log = logging.getLogger(__name__)

COLLECTOR = "service"
TICK_S = 0.5


def is_loopback(address: str) -> bool:
    """Whether nobody but this machine reaches it.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    return ip_address(address).is_loopback


def serve(settings: Settings, stop: Event, *, registry: CollectorRegistry | None = None) -> None:
    """Take rows at `settings.service_address`:`settings.service_port` until `stop` is set.

    What was accepted is on disk: forced there before the answer, unless the setting `spool_fsync` says otherwise.

    Raises:
        SettingsError: the address or a port cannot be had, or a certificate cannot be used.
        FileUnusable: the file of the keys cannot be read.
        SpoolError: the folder of the spool cannot be used.
        SourceError: the server ended before it was told to.
    """
    if "spool_fsync" not in settings.model_fields_set:
        settings = settings.model_copy(update={"spool_fsync": "each"})
    registry = registry or CollectorRegistry()
    health, metrics = Health(COLLECTOR, registry), Metrics(registry, [kind.path for kind in KINDS])
    admission = Admission(max(settings.service_in_flight_mb, settings.service_body_mb) << 20)
    limit = settings.service_body_mb << 20
    tls = server_context(settings.service_cert, settings.service_cert_key, settings.service_client_ca, "service_cert")
    keys = Keys(file_of(settings))
    if not keys.all():
        log.warning("nobody has a key yet: `gaugebook key add NAME --scope ingest:llm` makes one")
    prices.use(settings.llm_prices)
    metrics.watch(lambda: admission.in_flight)

    def refresh_rollups() -> None:
        refresh(settings)

    with (
        listening(settings.service_address, settings.service_port, "service_port") as listens,
        Exposition(settings, registry) as exposition,
    ):
        keeper = Keeper(settings, health, COLLECTOR)
        periodic = Periodic(refresh_rollups, settings.refresh_every_s)
        try:
            with (
                ThreadPoolExecutor(1, thread_name_prefix="service") as worker,
                ThreadPoolExecutor(1, thread_name_prefix="service-gate") as gate,
            ):
                door = Door(keeper, metrics, limit=limit)
                app = Service(keys, door, Incoming(admission, limit), metrics, worker, gate).app()
                with serving(app, listens, "service", tls) as server:
                    where = url(listens, "https" if tls else "http")
                    log.info("taking rows at %s; metrics on %s", where, exposition.url)
                    if tls is None and not is_loopback(listens.getsockname()[0]):
                        log.warning("keys come in plain HTTP: name a certificate in service_cert")
                    while server.is_alive() and not stop.wait(TICK_S):
                        health.succeeded(0.0)
                        periodic.tick()
                    admission.open = False
        finally:
            keeper.close()
            periodic.close()
    if not stop.is_set():
        where = f"{settings.service_address}:{settings.service_port}"
        raise SourceError(where, "the server has ended by itself; the log says why")
