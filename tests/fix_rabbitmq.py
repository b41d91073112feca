"""Fixture: a real RabbitMQ broker with its management plugin, on free ports and in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pika
import pytest

from tests.servers import free_port, need

# Debian's /usr/sbin/rabbitmq-server switches to the user rabbitmq and its folders; this is the program behind it.
LAUNCHER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{amqp_port}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management_port}
collect_statistics_interval = 500
log.console = true
log.console.level = warning
"""


class Broker:
    """One node: `start()` and `stop()` may be called again and again; durable things survive in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.amqp_port, self.management_port = free_port(), free_port()
        self.url = f"http://guest:guest@127.0.0.1:{self.management_port}"
        self._epmd_port, self._distribution_port = free_port(), free_port()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float = 90) -> None:
        (self.folder / "rabbitmq.conf").write_text(CONFIG.format_map(vars(self)))
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
        if self._epmd is None:  # ours and in the foreground: one that the node starts by itself would outlive the tests
            self._epmd = subprocess.Popen([need("epmd", package="erlang-base"), "-port", str(self._epmd_port)])
        with (self.folder / "console.log").open("ab") as log:
            self._node = subprocess.Popen(
                [LAUNCHER], cwd=self.folder, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._wait(time.monotonic() + timeout_s)

    def stop(self) -> None:
        if self._node is not None:
            self._node.terminate()
            self._node.wait(60)
            self._node = None

    def close(self) -> None:
        self.stop()
        if self._epmd is not None:
            self._epmd.terminate()
            self._epmd.wait(10)

    def connect(self) -> pika.BlockingConnection:
        return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.amqp_port, heartbeat=0))

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        folder = str(self.folder)
        return inherited | {
            "HOME": folder,  # the cookie is made here
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": f"gaugebook-{os.getpid()}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/none.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{folder}/config",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RUNNING_UNDER_SYSTEMD": "true",  # the launcher then becomes the node, and a signal reaches it
        }

    def _wait(self, deadline: float) -> None:
        assert self._node is not None
        while time.monotonic() < deadline:
            if self._node.poll() is not None:
                break
            try:
                if httpx2.get(f"{self.url}/api/overview", timeout=5, trust_env=False).status_code == 200:
                    self.connect().close()
                    return
            except (httpx2.HTTPError, pika.exceptions.AMQPConnectionError):
                pass
            time.sleep(0.2)
        raise RuntimeError(f"the broker did not start:\n{(self.folder / 'console.log').read_text()[-4000:]}")


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A running broker. A test that stops it must start it again."""
    need("rabbitmq-server", package="rabbitmq-server")
    broker = Broker(tmp_path_factory.mktemp("rabbitmq"))
    try:
        broker.start()
        version = httpx2.get(f"{broker.url}/api/overview", trust_env=False).json()["rabbitmq_version"]
        print(f"RabbitMQ {version} on {broker.management_port}")
        yield broker
    finally:
        broker.close()
