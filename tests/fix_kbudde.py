"""Fixture: the real kbudde/rabbitmq_exporter beside the broker of `fix_rabbitmq`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.servers import built, free_port

if TYPE_CHECKING:  # plugins: pytest wants to import them itself
    from tests.fix_rabbitmq import Broker


@contextmanager
def exporting(
    management_port: int, folder: Path, *, user: str = "guest", password: str = "guest", **environment: str
) -> Iterator[str]:
    """The address of an exporter's /metrics; it asks the broker's management API at each scrape.

    Args:
        environment: more of its settings, as `RABBIT_EXPORTERS="exchange,node,overview,queue"`.
    """
    from tests.fix_prometheus import wait_until

    program, port = built("rabbitmq_exporter"), free_port()
    settings = {
        "RABBIT_URL": f"http://127.0.0.1:{management_port}",
        "RABBIT_USER": user,
        "RABBIT_PASSWORD": password,
        "PUBLISH_ADDR": "127.0.0.1",
        "PUBLISH_PORT": str(port),
        "RABBIT_EXPORTERS": "exchange,node,overview,queue",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program], cwd=folder, env={**os.environ, **settings, **environment}, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}/metrics"
    try:
        wait_until(lambda: process.poll() is not None or _answers(url))
        assert process.poll() is None, (folder / "log").read_text()
        yield url
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def kbudde_exporter(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the /metrics of an exporter of `broker`."""
    with exporting(broker.management_port, tmp_path_factory.mktemp("kbudde")) as url:
        yield url


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, trust_env=False).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False
