"""Fixture: a real RabbitMQ broker with its management and Prometheus plugins, on free ports and in its own folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pika
import pytest

from tests.certificates import Authority, Issuer
from tests.fix_data import data
from tests.servers import free_port, need

# Debian's /usr/sbin/rabbitmq-server switches to the user rabbitmq and its folders; this is the program behind it.
LAUNCHER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{amqp_port}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management_port}
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = {prometheus_port}
collect_statistics_interval = 500
management.sample_retention_policies.global.minute = 1
management.sample_retention_policies.basic.minute = 1
management.sample_retention_policies.detailed.10 = 1
log.console = true
log.console.level = warning
"""
PLUGINS = ("rabbitmq_management", "rabbitmq_prometheus")


def recording(moment: str, name: str) -> str:
    """A page or an answer of RabbitMQ 3.10.8, recorded at `moment` (`00-empty` to `06-load`); where there are none the test is skipped."""
    path = recordings() / "captured_3.10.8" / moment / name
    return path.read_text(encoding="utf-8")


def recordings() -> Path:
    """The folder of all recordings of RabbitMQ."""
    return data("rabbitmq")


class Broker:
    """One node: `start()` and `stop()` may be called again and again; durable things survive in its folder.

    `plugins` are enabled; `config` is more of `rabbitmq.conf`, whose later lines win. `beside` is another one, which
    has been started and which this one can join.
    """

    def __init__(
        self, folder: Path, *, plugins: Sequence[str] = PLUGINS, config: str = "", beside: Broker | None = None
    ) -> None:
        self.folder, self.plugins, self.config = folder, plugins, config
        self.amqp_port, self.management_port, self.prometheus_port = free_port(), free_port(), free_port()
        self.url = f"http://guest:guest@127.0.0.1:{self.management_port}"
        self.prometheus_url = f"http://127.0.0.1:{self.prometheus_port}"
        self.node = f"gaugebook-{os.getpid()}-{self.amqp_port}@localhost"
        self._epmd_port, self._distribution_port = beside._epmd_port if beside else free_port(), free_port()
        self._beside = beside
        if beside is not None:
            shutil.copy2(beside.folder / ".erlang.cookie", folder)
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float = 90) -> None:
        (self.folder / "rabbitmq.conf").write_text(CONFIG.format_map(vars(self)) + self.config)
        (self.folder / "enabled_plugins").write_text(f"[{','.join(self.plugins)}].\n")
        if (
            self._epmd is None and self._beside is None
        ):  # ours and in the foreground: one that the node starts by itself would outlive the tests
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
        if self._node is not None:  # nothing of it is needed any more, and it takes its time to stop
            self._node.kill()
            self._node.wait(10)
            self._node = None
        if self._epmd is not None:
            self._epmd.terminate()
            self._epmd.wait(10)

    def connect(self) -> pika.BlockingConnection:
        return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.amqp_port, heartbeat=0))

    def ctl(self, *words: str) -> str:
        """What `rabbitmqctl` says. It takes a second or two."""
        program = LAUNCHER.with_name("rabbitmqctl")
        command = [program, "-q", "-n", self.node, *words]
        return subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=True).stdout

    def join(self, other: Broker) -> None:
        """Become a part of the cluster of `other`, and forget everything that was here."""
        self.ctl("stop_app")
        self.ctl("join_cluster", other.node)
        self.ctl("start_app")

    def user(self, name: str, *, tags: str = "", password: str = "s3cret") -> str:
        """The management address for a new user, who may do everything in `/` that the tags do not keep from them."""
        with httpx2.Client(base_url=self.url, trust_env=False, timeout=60) as client:
            client.put(f"/api/users/{name}", json={"password": password, "tags": tags}).raise_for_status()
            rights = {"configure": ".*", "write": ".*", "read": ".*"}
            client.put(f"/api/permissions/%2F/{name}", json=rights).raise_for_status()
        return self.url.replace("guest:guest", f"{name}:{password}")

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        folder = str(self.folder)
        return inherited | {
            "HOME": folder,  # the cookie is made here
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": self.node,
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
                asked = "rabbitmq_management" in self.plugins and f"{self.url}/api/overview"
                if not asked or httpx2.get(asked, timeout=5, trust_env=False).status_code == 200:
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


@dataclass
class Guarded:
    """A broker that lets nobody in without a certificate of `authority`, and knows the tokens of `issuer`.

    By http, without a certificate, it answers at `broker.url`; its plugins for links and streams are on. Its own
    certificate ends within a month.
    """

    broker: Broker
    authority: Authority
    issuer: Issuer
    client: tuple[Path, Path]
    url: str
    prometheus_url: str


GUARDED = """\
listeners.ssl.1 = 127.0.0.1:{amqps}
ssl_options.cacertfile = {ca}
ssl_options.certfile = {cert}
ssl_options.keyfile = {key}
management.ssl.ip = 127.0.0.1
management.ssl.port = {management}
management.ssl.cacertfile = {ca}
management.ssl.certfile = {cert}
management.ssl.keyfile = {key}
management.ssl.verify = verify_peer
management.ssl.fail_if_no_peer_cert = true
prometheus.ssl.ip = 127.0.0.1
prometheus.ssl.port = {prometheus}
prometheus.ssl.cacertfile = {ca}
prometheus.ssl.certfile = {cert}
prometheus.ssl.keyfile = {key}
prometheus.ssl.verify = verify_peer
prometheus.ssl.fail_if_no_peer_cert = true
stream.listeners.tcp.1 = 127.0.0.1:{stream}
auth_backends.1 = internal
auth_backends.2 = rabbit_auth_backend_oauth2
auth_oauth2.resource_server_id = rabbitmq
auth_oauth2.default_key = tests
auth_oauth2.signing_keys.tests = {issuer}
auth_oauth2.algorithms.1 = RS256
"""
MORE_PLUGINS = (
    *("rabbitmq_shovel_management", "rabbitmq_federation_management", "rabbitmq_stream_management"),
    "rabbitmq_auth_backend_oauth2",
)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A running broker with TLS, OAuth 2, shovels, federation and streams."""
    need("rabbitmq-server", package="rabbitmq-server")
    folder = tmp_path_factory.mktemp("guarded")
    authority, issuer = Authority(folder), Issuer(folder)
    cert, key = authority.sign("broker", days=20)
    amqps, management, prometheus, stream = (free_port() for _ in range(4))
    config = GUARDED.format(
        amqps=amqps,
        management=management,
        prometheus=prometheus,
        stream=stream,
        ca=authority.ca,
        cert=cert,
        key=key,
        issuer=issuer.public,
    )
    broker = Broker(folder, plugins=(*PLUGINS, *MORE_PLUGINS), config=config)
    client = authority.sign("collector")
    try:
        broker.start()
        yield Guarded(
            broker, authority, issuer, client, f"https://localhost:{management}", f"https://localhost:{prometheus}"
        )
    finally:
        broker.close()
