"""All that an operator runs, for real and in processes of its own, each of which can be killed, frozen and cut off."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.settings import load
from tests.certificates import Authority
from tests.deploy.receivers import Desk, desk
from tests.deploy.site import DEPLOY, ports
from tests.drill.hastened import hastened
from tests.drill.workers import Consumer, Publisher
from tests.fix_alertmanager import Alertmanager
from tests.fix_postgres import QUICK
from tests.fix_prometheus import Prometheus, prometheus_program, wait_until
from tests.fix_rabbitmq import Broker
from tests.llm_server import LLMServer
from tests.network import Proxy
from tests.servers import free_port, need, open_folder
from tests.store.faults import tiny_disk

ROOT = Path(__file__).parents[2]
OURS = (sys.executable, "-c", "from pipelines.cli import main; main()")
QUEUE = "orders"
TEAMS = {  # what each calls: one call in 20 s while all is quiet
    "search": {"to": "openai", "model": "gpt-4o-mini"},
    "support": {"to": "openai", "model": "gpt-4o"},
    "research": {"to": "openai", "model": "gpt-4"},
    "mail": {"to": "anthropic", "model": "claude-haiku-4-5"},
}
QUIET_PER_S = 0.05
SCHEDULE = '[queues]\nwrite = "queues"\ncron = "0 3 * * *"\n'
TLS = """\
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.certfile = {cert}
ssl_options.keyfile = {key}
"""


class Timed(list[Any]):
    """A list that knows when each of its items came, by the monotonic clock."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[float] = []

    def append(self, item: Any) -> None:
        self.at.append(time.monotonic())
        super().append(item)

    def since(self, moment: float) -> Iterator[tuple[float, Any]]:
        """What came after a moment, with the moment at which it came."""
        return ((at, item) for at, item in zip(self.at, list(self), strict=False) if at >= moment)


class Program:
    """A child process that is started, killed, frozen and started again. What it says is in `log`."""

    def __init__(self, name: str, command: tuple[object, ...], folder: Path, **environment: object) -> None:
        self.name, self._command, self._folder = name, [str(word) for word in command], folder
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GAUGEBOOK_")}
        self._environment = kept | {key: str(value) for key, value in environment.items()}
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )

    def tell(self, line: str) -> None:
        """Put a line into its input."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, also of one that is frozen."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class Live:
    """What runs, by name: `programs` are collector, otlp, tick, caller, prometheus and alertmanager."""

    def __init__(self, told: Desk, folder: Path, stack: ExitStack) -> None:
        self.folder, self.told = folder, told
        self.pagerduty, self.slack = Timed(), Timed()
        told.pagerduty, told.slack = self.pagerduty, self.slack
        self.ports = ports() | {"127.0.0.1:9090": f"127.0.0.1:{free_port()}"}
        self.programs: dict[str, Program] = {}
        self._stack = stack
        self._folders = iter(range(100))
        self.authority = Authority(self._folder("authority"))
        self.broker = self._broker()
        self.store = EmbeddedServer(stack.enter_context(open_folder()), configuration=QUICK)
        stack.callback(self.store.stop)
        self.store.start()
        migrate(load(dsn=self.store.conninfo()))
        self.servers = {name: stack.enter_context(LLMServer()) for name in ("openai", "anthropic")}
        self.ways = {
            "management": self._way(lambda: self.broker.management_port),
            "plugin": self._way(lambda: self.broker.prometheus_port),
            **{name: self._way(lambda name=name: self.servers[name].port) for name in self.servers},
        }
        self._ours()
        self.alertmanager, self.prometheus = self._watchers()
        self.publisher = Publisher(self.broker, QUEUE, 2)
        stack.callback(self.publisher.close)
        self.consumer = Consumer(self.broker, QUEUE)
        stack.callback(self.consumer.close)

    def start(self) -> None:
        """Start all of it, and Prometheus last: what it has not met yet cannot be missed."""
        for name in ("collector", "otlp", "tick", "caller", "alertmanager"):
            self.programs[name].start()
        wait_until(lambda: b"ready" in self.programs["caller"].log.read_bytes(), 60)
        self.quiet()
        wait_until(self.alertmanager.ready, 30)
        wait_until(lambda: all(self._listens(port) for port in (9466, 9467, 9470)), 60)
        self.programs["prometheus"].start()
        wait_until(self.prometheus.ready, 30)
        wait_until(lambda: len(self.prometheus.query("up == 1")) == 8, 60)

    def quiet(self) -> None:
        """Every team calls its model now and then."""
        for team in TEAMS:
            self.call(team)

    def call(self, team: str, per_s: float = QUIET_PER_S, *, fails: int = 0, **plan: object) -> None:
        """From now on a team calls so often; every so many calls fail; `plan`: as in `tests.dialects.plan`."""
        asked = {"team": team, **TEAMS[team], "per_s": per_s, "fails": fails, "plan": plan}
        self.programs["caller"].tell(json.dumps(asked))

    def kill(self, name: str) -> None:
        self.programs[name].kill()

    def again(self, name: str) -> None:
        """Start what was killed."""
        self.programs[name].start()
        if name == "caller":
            wait_until(lambda: self.programs[name].log.read_bytes().count(b"ready") > 1, 60)
            self.quiet()

    def freeze(self, name: str) -> None:
        self.programs[name].signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self.programs[name].signal(signal.SIGCONT)

    def kill_broker(self) -> None:
        os.kill(int((self.broker.folder / "pid").read_text()), signal.SIGKILL)

    def broker_again(self) -> None:
        self.broker.stop()
        self.broker.start()

    def certificate(self, *, days: int) -> None:
        """The broker's certificate ends in so many days."""
        self.authority.sign("broker", days=days)

    def kill_server(self, name: str) -> None:
        """kill -9 of a provider."""
        self.servers[name]._process.kill()

    def server_again(self, name: str) -> None:
        self.servers[name] = self._stack.enter_context(LLMServer())

    def active(self, alert: str) -> bool:
        """Whether an alert is pending or fires, says Prometheus."""
        return bool(self.prometheus.query(f'ALERTS{{alertname="{alert}"}}'))

    def _broker(self) -> Broker:
        need("rabbitmq-server", package="rabbitmq-server")
        cert, key = self.authority.sign("broker", days=300)
        config = TLS.format(port=free_port(), cert=cert, key=key)
        broker = Broker(self._folder("rabbitmq"), config=config)
        self._stack.callback(broker.close)
        broker.start()
        return broker

    def _way(self, port: Any) -> Proxy:
        """A network to a port that can be cut. Where nobody listens, whoever calls is hung up on."""

        def connect() -> socket.socket:
            try:
                return socket.create_connection(("127.0.0.1", port()))
            except OSError:
                far, gone = socket.socketpair()
                gone.close()
                return far

        way = Proxy(connect)
        self._stack.callback(way.close)
        return way

    def _ours(self) -> None:
        """Our own programs, as an operator starts them."""
        spool = self._stack.enter_context(tiny_disk(self._folder("spool"), 8))
        self.spool = spool
        dsn, port = self.store.conninfo(), self._port
        schedule = self.folder / "schedule.toml"
        schedule.write_text(SCHEDULE)

        def ours(name: str, *words: object, command: tuple[object, ...] = OURS, **settings: object) -> None:
            home = self._folder(name)
            variables = {"DSN": dsn, "HOME": home, "SPOOL": home / "spool", **settings}
            environment = {f"GAUGEBOOK_{key}": value for key, value in variables.items()}
            program = Program(name, (*command, *words), home, PYTHONPATH=ROOT, OMP_NUM_THREADS=1, **environment)
            self.programs[name] = program
            self._stack.callback(program.kill)

        ours(
            "collector",
            *("collect", "rabbitmq"),
            RABBITMQ_URL=f"http://guest:guest@127.0.0.1:{self.ways['management'].port}",
            RABBITMQ_PROMETHEUS_URL=f"http://127.0.0.1:{self.ways['plugin'].port}",
            RABBITMQ_INTERVAL_S=5,
            RABBITMQ_TIMEOUT_S=10 / 3,
            METRICS_PORT=port(9466),
            SPOOL=spool or self.folder / "collector/spool",
        )
        ours("otlp", "collect", "otlp", METRICS_PORT=port(9467), OTLP_PORT=free_port())
        ours("tick", "tick", "--forever", "--schedule", schedule, "--listen", f"127.0.0.1:{port(9470)}")
        addresses = json.dumps({name: f"127.0.0.1:{self.ways[name].port}" for name in self.servers})
        teams = json.dumps([{"team": team, **calls} for team, calls in TEAMS.items()])
        caller = (sys.executable, "-m", "tests.drill.caller", addresses, teams)
        ours("caller", command=caller, METRICS_PORT=port(9469))

    def _watchers(self) -> tuple[Alertmanager, Prometheus]:
        """Alertmanager and Prometheus, with the files that are shipped and shorter times."""
        place = self._folder("alertmanager")
        (place / "alertmanager.yml").write_text(hastened(self.told.config()))
        here = self.ports["127.0.0.1:9093"]
        flags = ("--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address=")
        program = need("prometheus-alertmanager", package="prometheus-alertmanager")
        command: tuple[object, ...] = (program, *flags, f"--web.listen-address={here}")
        self.programs["alertmanager"] = Program("alertmanager", command, place, **self.told.environment)
        place = self._folder("prometheus")
        (place / "rules").mkdir()
        for rules in (DEPLOY / "rules").glob("*.yml"):
            (place / "rules" / rules.name).write_text(hastened(rules.read_text()))
        (place / "prometheus.yml").write_text(self._scrapes())
        command = (prometheus_program(2), *self._flags())
        self.programs["prometheus"] = Program("prometheus", command, place)
        for name in ("alertmanager", "prometheus"):
            self._stack.callback(self.programs[name].kill)
        alertmanager, prometheus = Alertmanager(self._port(9093)), Prometheus(place, self._port(9090))
        self._stack.callback(alertmanager.client.close)
        self._stack.callback(prometheus.client.close)
        return alertmanager, prometheus

    def _scrapes(self) -> str:
        text = hastened((DEPLOY / "prometheus.yml").read_text())
        for shipped, free in {**self.ports, "127.0.0.1:15692": f"127.0.0.1:{self.broker.prometheus_port}"}.items():
            text = text.replace(shipped, free)
        config: Mapping[str, Any] = yaml.safe_load(text)
        jobs = [job for job in config["scrape_configs"] if job["job_name"] != "gaugebook-gateways"]  # none runs here
        return yaml.safe_dump({**config, "scrape_configs": jobs})

    def _flags(self) -> list[str]:
        """The command line that is shipped, elsewhere."""
        (line,) = re.findall(r'^ARGS="(.*)"$', (DEPLOY / "prometheus.default").read_text(), re.MULTILINE)
        elsewhere = {
            "--config.file": "prometheus.yml",
            "--storage.tsdb.path": "data",
            "--web.listen-address": self.ports["127.0.0.1:9090"],
        }
        flags = dict(flag.split("=", 1) for flag in shlex.split(line))
        return [f"{name}={value}" for name, value in {**flags, **elsewhere}.items()]

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def _port(self, shipped: int) -> int:
        return int(self.ports[f"127.0.0.1:{shipped}"].rpartition(":")[2])

    def _listens(self, shipped: int) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port(shipped))).close()
        except OSError:
            return False
        return True


@contextmanager
def living() -> Iterator[Live]:
    """All of it, started and quiet."""
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder())
        (folder / "desk").mkdir()
        live = Live(stack.enter_context(desk(folder / "desk")), folder, stack)
        live.start()
        yield live
