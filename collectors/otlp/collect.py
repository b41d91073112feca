"""Receives OTLP until it is told to stop."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from collectors.exposition import Exposition, Health
from collectors.llm import prices
from collectors.llm.attribution import Owner
from collectors.otlp.admission import Admission
from collectors.otlp.intake import Intake
from collectors.otlp.keep import COLLECTOR, Keeper
from collectors.otlp.metrics import Metrics
from collectors.otlp.receive import Receiver
from collectors.runner import Periodic
from store.errors import SettingsError, SourceError
from store.rollup import refresh
from store.settings import Settings

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 1_000
BACKLOG = 512
GRACE_S = 10  # for requests that are under way when the receiver is stopped
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

    with _listening(settings) as listening, Exposition(settings, registry) as exposition:
        keeper = Keeper(settings, health)
        metrics.watch(lambda: admission.in_flight, keeper.waiting_rows)
        intake = Intake(keeper, metrics, owner=owner, limit=limit)
        periodic = Periodic(refresh_rollups, settings.refresh_every_s)
        try:
            with (
                ThreadPoolExecutor(1, thread_name_prefix="otlp") as worker,
                _serving(Receiver(intake, admission, metrics, worker, limit=limit).app(), listening) as server,
            ):
                log.info("receiving OTLP at %s; metrics on %s", _url(listening), exposition.url)
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


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    address, port = settings.otlp_address, settings.otlp_port
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = f"cannot listen on {address}:{port}: {error.strerror or error}; 0 takes any free port"
        raise SettingsError("otlp_port", "GAUGEBOOK_OTLP_PORT", reason) from error
    with server:
        yield server


@contextmanager
def _serving(app: Starlette, listening: socket.socket) -> Iterator[threading.Thread]:
    """A thread that serves `app`; at the end of the block it answers what is under way, and ends."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="otlp-server", daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield thread
    finally:
        server.should_exit = True
        thread.join()


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
