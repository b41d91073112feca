"""`gaugebook collect`, as its user meets it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from store.connect import connect
from store.settings import Settings
from tests.fix_postgres import waiting_hours
from tests.fix_prometheus import wait_until
from tests.fix_rabbitmq import Broker
from tests.servers import free_port

PROGRAM = "from pipelines.cli import main; main()"


def environment(settings: Settings) -> dict[str, str]:
    assert settings.dsn is not None
    return os.environ | {"GAUGEBOOK_DSN": settings.dsn.get_secret_value(), "GAUGEBOOK_METRICS_PORT": "0"}


def samples(settings: Settings) -> int:
    with connect(settings) as connection:
        return int(connection.execute("SELECT count(*) FROM metrics.rabbitmq_overview").fetchone()[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_it_is_told_to_stop(store: Settings, broker: Broker, tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", PROGRAM, "collect", "rabbitmq", "--url", broker.url, "--interval", "0.5"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment(store), stdout=log, stderr=log)
    try:
        wait_until(lambda: samples(store) >= 3)
        process.send_signal(number)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    heard = (tmp_path / "log").read_text()
    assert "metrics on http://127.0.0.1:" in heard
    assert f"http://127.0.0.1:{broker.management_port} answers: RabbitMQ" in heard
    assert "guest" not in heard
    assert not waiting_hours(store)


@pytest.mark.parametrize(
    ("address", "reason"),
    [("http://u:s3cret@127.0.0.1:{port}", "nobody answers"), ("amqp://u:s3cret@127.0.0.1:{port}", "must look like")],
)
def test_a_broker_that_is_not_there(store: Settings, address: str, reason: str) -> None:
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        "collect",
        "rabbitmq",
        "--once",
        "--url",
        address.format(port=free_port()),
    ]
    ended = subprocess.run(command, env=environment(store), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "s3cret" not in ended.stderr


def test_it_starts_while_the_database_is_away(store: Settings, broker: Broker, tmp_path: Path) -> None:
    away = environment(store) | {
        "GAUGEBOOK_DSN": f"host=127.0.0.1 port={free_port()} user=me",
        "GAUGEBOOK_SPOOL": str(tmp_path / "spool"),
    }
    words = ["collect", "rabbitmq", "--url", broker.url, "--interval", "0.5"]
    log = tmp_path / "log"
    for variables in (away, environment(store) | {"GAUGEBOOK_SPOOL": str(tmp_path / "spool")}):
        with log.open("ab") as out:
            process = subprocess.Popen([sys.executable, "-c", PROGRAM, *words], env=variables, stdout=out, stderr=out)
        try:
            wait_until(lambda: "answers: RabbitMQ" in log.read_text())
            if variables is not away:
                wait_until(lambda: samples(store) >= 3)
            else:
                wait_until(lambda: any(path.stat().st_size > 200 for path in (tmp_path / "spool").glob("*/0*")))
        finally:
            process.terminate()
            assert process.wait(60) == 0
    said = log.read_text()
    assert "Rows wait in the spool" in said
    assert "wait in" in said
