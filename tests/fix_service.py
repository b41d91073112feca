"""A service that runs, and keys to it."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from psycopg.rows import dict_row

from collectors.service.keys import Keys, file_of
from collectors.service.serve import serve
from store.connect import connect
from store.settings import Settings
from tests.servers import free_port

REQUEST = {"ts": "2026-10-01T12:00:00Z", "request_id": "r1"}


class Serving:
    """A service in a thread of its own, that writes into the database of `settings`."""

    def __init__(
        self,
        settings: Settings,
        *,
        port: int | None = None,
        ca: Path | None = None,
        cert: tuple[Path, Path] | None = None,
    ) -> None:
        ports = {"service_port": port or free_port(), "metrics_port": free_port()}
        self.settings = settings.model_copy(update=ports)
        self.keys = Keys(file_of(self.settings))
        if not self.keys.all():
            self.token = self.keys.add("all", ["ingest:llm", "ingest:rabbitmq"], [])
        self.registry = CollectorRegistry()
        self.url = f"{'https' if ca else 'http'}://127.0.0.1:{self.settings.service_port}"
        context = ssl.create_default_context(cafile=ca)
        if cert:
            context.load_cert_chain(*cert)
        self.client = httpx2.Client(base_url=self.url, trust_env=False, timeout=30, verify=context)
        self._stop = Event()
        self._thread = Thread(target=serve, args=(self.settings, self._stop), kwargs={"registry": self.registry})
        self._thread.start()
        deadline = time.monotonic() + 30
        while not self._answers():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    @staticmethod
    def alone(settings: Settings) -> None:
        """Serve in this thread: what keeps it from starting is raised here."""
        serve(settings.model_copy(update={"service_port": 0, "metrics_port": 0}), Event())

    def post(self, rows: object, path: str = "/v1/llm/requests", *, token: str = "", **headers: str) -> httpx2.Response:
        """Send rows; bytes as they are, anything else as JSON."""
        content = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
        sent = {"content-type": "application/json", "authorization": f"Bearer {token or self.token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, content=content, headers=sent)

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0

    def rows(self, table: str = "metrics.llm_requests") -> list[dict[str, Any]]:
        """All rows in the order of their time. Stops the service, which delivers them."""
        self.close()
        with connect(self.settings) as connection:
            return connection.cursor(row_factory=dict_row).execute(f"SELECT * FROM {table} ORDER BY ts, 2").fetchall()

    def close(self) -> None:
        self.client.close()  # under TLS an open connection is waited for
        if self._thread.is_alive():
            self._stop.set()
            self._thread.join(30)
            assert not self._thread.is_alive()

    def _answers(self) -> bool:
        try:
            return self.client.get("/healthz").status_code == 200
        except httpx2.TransportError:
            assert self._thread.is_alive()
            return False


@pytest.fixture
def door(any_store: Settings, tmp_path: Path) -> Iterator[Serving]:
    running = Serving(any_store.model_copy(update={"spool": tmp_path / "spool", "service_keys": tmp_path / "keys"}))
    yield running
    running.close()
