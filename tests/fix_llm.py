"""A tap that is taken out again, and a look at the rows that it wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from psycopg.rows import dict_row

from collectors import llm
from collectors.llm.record import Request
from pipelines.local_llm import LocalLLM
from store.connect import connect
from store.embedded import EmbeddedServer
from store.settings import Settings, load

Rows = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def local_llm() -> Iterator[LocalLLM]:
    """The simulator of an OpenAI-compatible server; set its `plan`."""
    with LocalLLM() as server:
        yield server


@pytest.fixture
def tap(store: Settings, local_llm: LocalLLM) -> Iterator[llm.Tap]:
    """A tap that writes into `store` and prices the simulator as OpenAI."""
    yield llm.install(store, team="tests", providers={local_llm.netloc: "openai"})
    llm.uninstall()


@pytest.fixture
def metered(tap: llm.Tap, store: Settings) -> Rows:
    """All rows in the order they were sent, after a flush; nothing may have gone wrong in the meter."""

    def rows() -> list[dict[str, Any]]:
        assert tap.flush()
        assert tap.registry.get_sample_value("llm_metering_failures_total") == 0
        with connect(store) as connection:
            return (
                connection.cursor(row_factory=dict_row)
                .execute("SELECT * FROM metrics.llm_requests ORDER BY ts")
                .fetchall()
            )

    return rows


@pytest.fixture(scope="session")
def shared_store(embedded_server: EmbeddedServer, embedded_template: str) -> Iterator[Settings]:
    """A database for tests that write into it and do not read it: making a fresh one takes longer than most of them."""
    from tests.fix_postgres import fresh_database  # a plugin: pytest wants to import it itself

    with fresh_database(embedded_server.conninfo(), template=embedded_template) as dsn:
        yield load(dsn=dsn)


class Watched:
    """The rows of a tap as they are handed over, in the order they were sent; nothing may have gone wrong in the meter."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        self.settings, self._options = settings, options
        self._rows: list[Request] = []
        self.tap = self.install()

    def install(self) -> llm.Tap:
        """Put a tap in, with nothing seen so far."""
        llm.uninstall()
        self._rows.clear()
        self.tap = llm.install(self.settings, **self._options)
        self.tap.watch(self._rows.append)
        return self.tap

    def __call__(self) -> list[dict[str, Any]]:
        assert self.tap.flush()
        assert self.tap.registry.get_sample_value("llm_metering_failures_total") == 0
        return [asdict(row) for row in sorted(self._rows, key=lambda row: row.ts)]


@pytest.fixture
def watched(shared_store: Settings, local_llm: LocalLLM, tmp_path: Path) -> Iterator[Watched]:
    """Like `metered`, without a database of its own."""
    settings = shared_store.model_copy(update={"spool": tmp_path / "spool"})
    yield Watched(settings, team="tests", providers={local_llm.netloc: "openai"})
    llm.uninstall()
