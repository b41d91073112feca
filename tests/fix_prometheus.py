"""Fixtures: real Prometheus servers of both major versions, on free ports and in folders of their own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest

from tests.servers import built, free_port, need

T = TypeVar("T")
CONFIG = """\
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs: [{job_name: gaugebook, file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]}]
"""


class Prometheus:
    """A server that scrapes what `scrape` names, every second, unless its configuration says otherwise.

    `options` are those of the HTTP client: credentials and the certificate where the server wants them.
    """

    def __init__(self, folder: Path, port: int, scheme: str = "http", **options: Any) -> None:
        self.folder, self.port, self.url = folder, port, f"{scheme}://127.0.0.1:{port}"
        self.version = ""
        self.client = httpx2.Client(base_url=self.url, **{"timeout": 30, "trust_env": False, **options})

    def scrape(self, *targets: str) -> None:
        """Scrape these `host:port` and no others from now on."""
        listed = ", ".join(f'"{target}"' for target in targets)
        fresh = self.folder / "targets.new"
        fresh.write_text(f'[{{"targets": [{listed}]}}]')
        fresh.rename(self.folder / "targets.json")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The present result of an expression, as in the HTTP API."""
        answer = self.client.get("/api/v1/query", params={"query": expression})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["result"]
        return found

    def wait_for(self, expression: str, timeout_s: float = 30) -> list[dict[str, Any]]:
        """The result of an expression as soon as it has one."""
        return wait_until(lambda: self.query(expression), timeout_s)

    def ready(self) -> bool:
        try:
            return self.client.get("/-/ready").status_code == httpx2.codes.OK
        except httpx2.HTTPError:
            return False


def wait_until(condition: Callable[[], T], timeout_s: float = 30, every_s: float = 0.1) -> T:
    """The first truthy answer of `condition`."""
    deadline = time.monotonic() + timeout_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain"
        time.sleep(every_s)
    return answer


def prometheus_program(major: int) -> Path:
    """The program `prometheus` of Debian (2), or the one that `.ci/servers` built (3)."""
    return need("prometheus", package="prometheus") if major == 2 else built("prometheus")


@contextmanager
def serving(
    program: Path, folder: Path, *flags: str, config: str = CONFIG, port: int = 0, scheme: str = "http", **options: Any
) -> Iterator[Prometheus]:
    """A Prometheus in `folder`, with what is there already: blocks in `data/`, rules, certificates.

    Args:
        flags: more of the command line.
        config: `prometheus.yml`.
        port: 0 takes any free one.
        options: of the HTTP client.
    """
    server = Prometheus(folder, port or free_port(), scheme, **options)
    (folder / "prometheus.yml").write_text(config)
    server.scrape()
    own = ("--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{server.port}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *own, *flags], cwd=folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: process.poll() is not None or server.ready())
        assert process.poll() is None, (folder / "log").read_text()
        server.version = server.client.get("/api/v1/status/buildinfo").json()["data"]["version"]
        print(f"Prometheus {server.version} on {server.port}")
        yield server
    finally:
        server.client.close()
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def prometheus_2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A running Prometheus 2 that scrapes nothing yet."""
    with serving(prometheus_program(2), tmp_path_factory.mktemp("prometheus-2-")) as server:
        yield server


@pytest.fixture(scope="session")
def prometheus_3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A running Prometheus 3 that scrapes nothing yet."""
    with serving(prometheus_program(3), tmp_path_factory.mktemp("prometheus-3-")) as server:
        yield server


@pytest.fixture(scope="session")
def prometheus(prometheus_2: Prometheus) -> Prometheus:
    """The Prometheus that Debian has."""
    return prometheus_2


@pytest.fixture(params=["prometheus_2", "prometheus_3"])
def any_prometheus(request: pytest.FixtureRequest) -> Prometheus:
    """Both, in turn."""
    server: Prometheus = request.getfixturevalue(request.param)
    return server
