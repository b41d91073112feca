"""A receiver that runs, and a look at the rows that it wrote."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx2
import pytest
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry
from psycopg.rows import dict_row

from collectors.otlp.collect import collect_otlp
from store.connect import connect
from store.settings import Settings
from tests.collectors.otlp.exports import PROTOBUF, encoded
from tests.servers import free_port


class Receiver:
    """A receiver in a thread of its own, that writes into the database of `settings`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings.model_copy(update={"otlp_port": free_port(), "metrics_port": free_port()})
        self.registry = CollectorRegistry()
        self.url = f"http://127.0.0.1:{self.settings.otlp_port}"
        self.client = httpx2.Client(base_url=self.url, trust_env=False, timeout=30)
        self._stop = Event()
        self._thread = Thread(target=collect_otlp, args=(self.settings, self._stop), kwargs={"registry": self.registry})
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._answers():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def post(
        self, signal: str, body: bytes | Message, content_type: str = PROTOBUF, encoding: str = "", **headers: str
    ) -> httpx2.Response:
        content = encoded(body, content_type) if isinstance(body, Message) else body
        if encoding == "gzip":
            content = gzip.compress(content)
        if encoding:
            headers["content-encoding"] = encoding
        return self.client.post(f"/v1/{signal}", content=content, headers={"content-type": content_type, **headers})

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def rows(self) -> list[dict[str, Any]]:
        """All rows in the order of their time. Stops the receiver, which delivers them."""
        self.close()
        return rows(self.settings)

    def close(self) -> None:
        if self._thread.is_alive():
            self._stop.set()
            self._thread.join(30)
            assert not self._thread.is_alive()
        self.client.close()

    def _answers(self) -> bool:
        try:
            return self.client.get("/healthz").status_code == 200
        except httpx2.TransportError:
            assert self._thread.is_alive()
            return False


def rows(settings: Settings) -> list[dict[str, Any]]:
    with connect(settings) as connection:
        query = "SELECT * FROM metrics.llm_requests ORDER BY ts, request_id"
        return connection.cursor(row_factory=dict_row).execute(query).fetchall()


@pytest.fixture
def receiver(store: Settings, tmp_path: Path) -> Iterator[Receiver]:
    running = Receiver(store.model_copy(update={"spool": tmp_path / "spool", "team": "tests"}))
    yield running
    running.close()


@pytest.fixture(scope="session")
def recordings(data_folder: Path) -> Path:
    """What two real instrumentations have sent."""
    if not (data_folder / "otlp").is_dir():
        pytest.skip(f"no recordings of OTLP in {data_folder}")
    return data_folder / "otlp"
