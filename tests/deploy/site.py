"""What an operator sets up, on free ports: the files of deploy/, a collector, Alertmanager, and one who is called."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2

from collectors.rabbitmq.collect import collect_rabbitmq
from store.settings import Settings
from tests.fix_prometheus import Prometheus, prometheus_program, serving, wait_until
from tests.servers import free_port, need

DEPLOY = Path(__file__).parents[2] / "deploy/prometheus"
FASTER = {  # nobody waits five minutes for a test
    "_interval: 15s": "_interval: 1s",
    "_interval: 30s": "_interval: 1s",
    "_interval: 1m": "_interval: 1s",
    "_timeout: 10s": "_timeout: 1s",
    "[5m]": "[10s]",
    "for: 30s": "for: 4s",
    "batch_send_deadline: 5s": "batch_send_deadline: 1s",
}


def changed(text: str, changes: dict[str, str]) -> str:
    """`text` with other ports and shorter times."""
    for old, new in {**changes, **FASTER}.items():
        text = text.replace(old, new)
    return text


@contextmanager
def site(
    major: int, folder: Path, changes: dict[str, str], *flags: str, more: str = "", **options: Any
) -> Iterator[Prometheus]:
    """A Prometheus with our prometheus.yml and rules, that scrapes itself too; `more` is added to the configuration."""
    port = free_port()
    changes = {**changes, "127.0.0.1:9090": f"127.0.0.1:{port}"}
    shutil.copytree(DEPLOY / "rules", folder / "rules")
    for rules in (folder / "rules").iterdir():
        rules.write_text(changed(rules.read_text(), {}))
    config = (DEPLOY / "prometheus.yml").read_text() + more
    with serving(
        prometheus_program(major), folder, *flags, config=changed(config, changes), port=port, **options
    ) as server:
        yield server


@contextmanager
def collector(settings: Settings) -> Iterator[None]:
    """`gaugebook collect rabbitmq`, in a thread."""
    stop = threading.Event()
    thread = threading.Thread(target=collect_rabbitmq, args=(settings, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@dataclass
class Called:
    """Who is called: `alerts` that came, each as Alertmanager's webhook tells it."""

    port: int
    alerts: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def called() -> Iterator[Called]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answers.alerts += json.loads(self.rfile.read(int(self.headers["content-length"])))["alerts"]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        answers = Called(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield answers
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def alertmanager(folder: Path, port: int, receiver: int) -> Iterator[None]:
    """Debian's Alertmanager, that calls `receiver`."""
    program = need("prometheus-alertmanager", package="prometheus-alertmanager")
    (folder / "alertmanager.yml").write_text(
        "route: {receiver: us, group_by: [alertname, site], group_wait: 1s, group_interval: 1s}\n"
        f"receivers: [{{name: us, webhook_configs: [{{url: 'http://127.0.0.1:{receiver}/'}}]}}]\n"
    )
    flags = ("--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address=")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, *flags, f"--web.listen-address=127.0.0.1:{port}"], cwd=folder, stdout=log, stderr=log
        )
    try:
        wait_until(lambda: process.poll() is not None or _ready(port))
        assert process.poll() is None, (folder / "log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(30)


def ports() -> dict[str, str]:
    """The addresses in prometheus.yml, each with one that is free."""
    named = (9093, 15692, 9466, 9467, 9468, 9469, 9470, 9091)
    return {f"127.0.0.1:{port}": f"127.0.0.1:{free_port()}" for port in named}


def _ready(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/-/ready", trust_env=False).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False
