"""A store that write-back jobs look at: filled once, and emptied of what they wrote before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store.connect import connect
from store.embedded import EmbeddedServer
from store.settings import Settings, load

WRITTEN = (
    *("forecasts", "forecast_totals", "anomalies", "change_points", "budget_outlooks", "queue_outlooks"),
    *("scorer_states", "report_run", "report_job"),
)


@pytest.fixture(scope="session")
def filled_store(
    embedded_server: EmbeddedServer, embedded_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Requests, queues and budgets as `tests.pipelines.seeded` has them."""
    from tests.fix_postgres import fresh_database  # a plugin: pytest wants to import it itself
    from tests.pipelines.seeded import fill

    with fresh_database(embedded_server.conninfo(), template=embedded_template) as dsn:
        settings = load(dsn=dsn, reports=tmp_path_factory.mktemp("reports"))
        fill(settings)
        yield settings


@pytest.fixture
def seeded(filled_store: Settings) -> Settings:
    """The store as it was filled, with nothing written back."""
    with connect(filled_store) as connection:
        for table in WRITTEN:
            connection.execute(f"DELETE FROM analytics.{table}")
    return filled_store
