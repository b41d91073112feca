"""Fixture: a real Prometheus server, on a free port and in a folder of its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest

from tests.servers import free_port, need

T = TypeVar("T")
CONFIG = """\
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs: [{job_name: gaugebook, file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]}]
"""


class Prometheus:
    """A server that scrapes what `scrape` names, every second."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.url = folder, f"http://127.0.0.1:{port}"

    def scrape(self, *targets: str) -> None:
        """Scrape these `host:port` and no others from now on."""
        listed = ", ".join(f'"{target}"' for target in targets)
        fresh = self.folder / "targets.new"
        fresh.write_text(f'[{{"targets": [{listed}]}}]')
        fresh.rename(self.folder / "targets.json")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The present result of an expression, as in the HTTP API."""
        answer = httpx2.get(f"{self.url}/api/v1/query", params={"query": expression}, trust_env=False)
        found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["result"]
        return found

    def wait_for(self, expression: str, timeout_s: float = 30) -> list[dict[str, Any]]:
        """The result of an expression as soon as it has one."""
        return wait_until(lambda: self.query(expression), timeout_s)


def wait_until(condition: Callable[[], T], timeout_s: float = 30, every_s: float = 0.1) -> T:
    """The first truthy answer of `condition`."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain"
        time.sleep(every_s)
    return answer


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A running Prometheus that scrapes nothing yet."""
    program = need("prometheus", package="prometheus")
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "prometheus.yml").write_text(CONFIG)
    server = Prometheus(folder, port)
    server.scrape()
    arguments = ("--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *arguments], cwd=folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or _ready(server.url))
        assert process.poll() is None, (folder / "log").read_text()
        version = httpx2.get(f"{server.url}/api/v1/status/buildinfo", trust_env=False).json()["data"]["version"]
        print(f"Prometheus {version} on {port}")
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/-/ready", trust_env=False).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False
