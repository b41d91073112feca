"""`gaugebook collect otlp` as a process: stopped, killed, and what is left of what it answered with 200."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from store.settings import Settings
from tests.collectors.otlp.exports import CALL, PROTOBUF, encoded, span, traces
from tests.fix_otlp import rows
from tests.fix_prometheus import wait_until
from tests.servers import free_port

PROGRAM = "from pipelines.cli import main; main()"
NOWHERE = "host=127.0.0.1 port=1 user=me"


class Program:
    """The command, as a process of its own."""

    def __init__(self, settings: Settings, folder: Path, *, dsn: str | None = None, spool_mb: int = 64) -> None:
        assert settings.dsn is not None
        self.port = free_port()
        self.log = folder / "log"
        given = {
            "DSN": dsn or settings.dsn.get_secret_value(),
            "SPOOL": folder / "spool",
            "SPOOL_MB": spool_mb,
            "METRICS_PORT": 0,
            "OTLP_PORT": self.port,
        }
        environment = os.environ | {f"GAUGEBOOK_{key}": str(value) for key, value in given.items()}
        command = [sys.executable, "-c", PROGRAM, "collect", "otlp"]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30)

    def post(self, body: bytes) -> httpx2.Response:
        return self.client.post("/v1/traces", content=body, headers={"content-type": PROTOBUF})

    def wait(self) -> None:
        until = time.monotonic() + 60
        while True:
            try:
                assert self.client.get("/healthz").status_code == 200
            except httpx2.TransportError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < until
                time.sleep(0.05)
            else:
                return


@contextmanager
def program(settings: Settings, folder: Path, **how: object) -> Iterator[Program]:
    running = Program(settings, folder, **how)  # type: ignore[arg-type]
    try:
        running.wait()
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        running.client.close()


def flood(running: Program, acknowledged: list[str], ended: threading.Event) -> None:
    """Send calls until the program is gone, and remember those that it took."""
    with httpx2.Client(base_url=running.client.base_url, trust_env=False, timeout=30) as client:
        while not ended.is_set():
            spans = [span({**CALL, "gen_ai.response.id": f"{time.time_ns()}-{n}"}) for n in range(20)]
            try:
                headers = {"content-type": PROTOBUF}
                answer = client.post("/v1/traces", content=encoded(traces(*spans), PROTOBUF), headers=headers)
            except httpx2.TransportError:
                return
            if answer.status_code == 200:
                acknowledged.extend(each.attributes[-1].value.string_value for each in spans)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_taken_is_there(store: Settings, tmp_path: Path, number: int) -> None:
    acknowledged: list[str] = []
    ended = threading.Event()
    with program(store, tmp_path) as running:
        senders = [threading.Thread(target=flood, args=(running, acknowledged, ended)) for _ in range(3)]
        for sender in senders:
            sender.start()
        wait_until(lambda: len(acknowledged) > 500)
        running.process.send_signal(number)
        code = running.process.wait(60)
        ended.set()
        for sender in senders:
            sender.join()
    assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL), running.log.read_text()
    if number == signal.SIGKILL:
        with program(store, tmp_path) as successor:
            successor.process.terminate()
            assert successor.process.wait(60) == 0
    kept = {row["request_id"] for row in rows(store)}
    assert set(acknowledged) <= kept
    assert "Traceback" not in running.log.read_text()


def test_a_database_that_is_away(store: Settings, tmp_path: Path) -> None:
    with program(store, tmp_path, dsn=NOWHERE, spool_mb=4) as running:
        assert running.post(encoded(traces(span()), PROTOBUF)).status_code == 200
        statuses = []
        for _ in range(20):
            answer = running.post(encoded(traces(*(span() for _ in range(1_000))), PROTOBUF))
            statuses.append(answer.status_code)
        assert statuses[0] == 200
        assert statuses[-1] == 503  # the sender keeps what the disk has no room for; nothing that was taken is dropped
        assert int(answer.headers["retry-after"]) > 0
    with program(store, tmp_path) as successor:
        successor.process.terminate()
        assert successor.process.wait(60) == 0
    assert len(rows(store)) == 1 + 1_000 * statuses.count(200)


def test_an_address_that_is_taken(store: Settings, tmp_path: Path) -> None:
    with program(store, tmp_path) as running:
        environment = os.environ | {"GAUGEBOOK_DSN": store.dsn.get_secret_value(), "GAUGEBOOK_METRICS_PORT": "0"}
        command = [sys.executable, "-c", PROGRAM, "collect", "otlp", "--port", str(running.port)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "cannot listen on 127.0.0.1" in ended.stderr
    assert "Traceback" not in ended.stderr
