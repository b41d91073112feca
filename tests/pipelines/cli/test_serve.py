"""`gaugebook key` and `gaugebook serve`, as processes: stopped, killed, and what is left of what was accepted."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import httpx2
import pytest

from collectors.client import Client
from store.connect import connect
from store.errors import SourceError
from store.settings import Settings
from tests.fix_prometheus import wait_until
from tests.servers import free_port

PROGRAM = [sys.executable, "-c", "from pipelines.cli import main; main()"]


@pytest.fixture
def environment(store: Settings, tmp_path: Path) -> dict[str, str]:
    assert store.dsn is not None
    given = {
        "DSN": store.dsn.get_secret_value(),
        "SPOOL": tmp_path / "spool",
        "METRICS_PORT": 0,
        "SERVICE_PORT": free_port(),
        "SERVICE_KEYS": tmp_path / "keys.json",
    }
    return os.environ | {f"GAUGEBOOK_{name}": str(value) for name, value in given.items()}


def ran(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def started(environment: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        process = subprocess.Popen([*PROGRAM, "serve"], env=environment, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{environment['GAUGEBOOK_SERVICE_PORT']}/healthz"

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx2.get(url, trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False

    wait_until(answers, 60)
    return process


def test_keys(environment: dict[str, str]) -> None:
    assert "No key yet" in ran(environment, "key", "list").stdout
    made = ran(environment, "key", "add", "shop", "--scope", "ingest:llm", "--team", "shop", "--team", "web")
    assert re.fullmatch(r"gbk_[0-9a-f]{12}_[\w-]{43}\n", made.stdout), made.stderr
    listed = ran(environment, "key", "list").stdout
    assert all(word in listed for word in ("shop", "ingest:llm", "shop, web"))
    file = Path(environment["GAUGEBOOK_SERVICE_KEYS"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert made.stdout.strip().rpartition("_")[2] not in file.read_text()
    for words, says in (
        (("add", "shop", "--scope", "read"), "there is a key 'shop'"),
        (("add", "other", "--scope", "write"), "'write' is none; there are ingest:llm"),
        (("add", "a b", "--scope", "read"), "'a b' is not made of letters"),
        (("remove", "shpo"), "no key 'shpo': did you mean 'shop'?"),
    ):
        refused = ran(environment, "key", *words)
        assert (refused.returncode, says in refused.stderr, "Traceback" in refused.stderr) == (2, True, False), refused
    assert ran(environment, "key", "remove", "shop").returncode == 0
    assert "No key yet" in ran(environment, "key", "list").stdout
    file.write_text("{")
    assert "holds no keys" in ran(environment, "key", "list").stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_accepted_is_there_once(
    store: Settings, environment: dict[str, str], tmp_path: Path, number: int
) -> None:
    key = ran(environment, "key", "add", "all", "--scope", "ingest:llm").stdout.strip()
    url = f"http://127.0.0.1:{environment['GAUGEBOOK_SERVICE_PORT']}"
    accepted: list[str] = []

    def flood(sender: int) -> None:
        with Client(url, key, tries=1) as client:
            for turn in range(10_000):
                names = [f"{sender}-{turn}-{n}" for n in range(20)]
                try:
                    client.llm_requests({"ts": "2026-10-01T12:00:00Z", "request_id": name} for name in names)
                except SourceError:
                    return
                accepted.extend(names)

    log = tmp_path / "log"
    running = started(environment, log)
    senders = [threading.Thread(target=flood, args=(sender,)) for sender in range(3)]
    for sender in senders:
        sender.start()
    wait_until(lambda: len(accepted) > 500)
    running.send_signal(number)
    code = running.wait(60)
    for sender in senders:
        sender.join()
    assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL), log.read_text()
    if number == signal.SIGKILL:
        successor = started(environment, log)
        successor.terminate()
        assert successor.wait(60) == 0
    with connect(store) as connection:
        kept = [name for (name,) in connection.execute("SELECT request_id FROM metrics.llm_requests")]
    assert len({*kept}) == len(kept)
    assert {*accepted} <= {*kept}
    assert "Traceback" not in log.read_text()
    assert key not in log.read_text()
