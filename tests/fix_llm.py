"""A tap that is taken out again, and a look at the rows that it wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from psycopg.rows import dict_row

from collectors import llm
from pipelines.local_llm import LocalLLM
from store.connect import connect
from store.settings import Settings

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
