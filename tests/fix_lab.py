"""A store for notebooks, magics and JupyterLab to read: made once for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store.embedded import EmbeddedServer
from store.settings import Settings, load

BUSY_H = 336


@pytest.fixture(scope="session")
def busy_store(embedded_server: EmbeddedServer, embedded_template: str) -> Iterator[Settings]:
    """Two weeks of requests and queues on the embedded server; who uses it only reads."""
    from tests.analytics.seed import QUEUES, busy_queues, busy_requests, put, put_requests
    from tests.fix_postgres import fresh_database  # a plugin: pytest wants to import it itself

    with fresh_database(embedded_server.conninfo(), template=embedded_template) as dsn:
        settings = load(dsn=dsn)
        put_requests(settings, busy_requests(BUSY_H))
        put(settings, "metrics.rabbitmq_queues", QUEUES, busy_queues(BUSY_H))
        yield settings


@pytest.fixture(scope="session")
def bare_store(embedded_server: EmbeddedServer, embedded_template: str) -> Iterator[Settings]:
    """A migrated store without a row, for those who only read."""
    from tests.fix_postgres import fresh_database

    with fresh_database(embedded_server.conninfo(), template=embedded_template) as dsn:
        yield load(dsn=dsn)
