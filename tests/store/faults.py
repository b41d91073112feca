"""What goes wrong between a collector and its database, made to happen, and the count of what it cost."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from collectors.sink import StoreSink
from store.connect import connect
from store.embedded import EmbeddedServer
from store.rollup import refresh
from store.settings import PREFIX, TEST_PREFIX, Settings, load
from tests.network import Proxy
from tests.store.load import COLLECTOR, batch
from tests.store.tallies import Told


@contextmanager
def sink_of(settings: Settings, collector: str = COLLECTOR, told: Told | None = None) -> Iterator[StoreSink]:
    """A sink that delivers at once."""
    sink = StoreSink(settings, told or Told(), collector, linger_s=0.02)
    try:
        yield sink
    finally:
        sink.close(0.0)


class Load:
    """The load generator as a process of its own; it may be killed and started again, and goes on counting."""

    def __init__(self, settings: Settings, *, pause_s: float = 0.005) -> None:
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(PREFIX) or key.startswith(TEST_PREFIX)
        }
        given = {
            "DSN": settings.dsn.get_secret_value() if settings.dsn else "",
            "HOME": settings.home,
            "SPOOL": settings.spool,
            "SPOOL_FSYNC": settings.spool_fsync,
            "DEAD_LETTERS": settings.dead_letters,
        }
        self._environment = kept | {PREFIX + key: str(value) for key, value in given.items() if value}
        self._pause_s = pause_s
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""
        self.acknowledged = 0  # every number below it

    def start(self) -> None:
        """Start it where it does not run, and wait until it has acknowledged something."""
        if self._process is None:
            # What a killed process spooled and could not tell any more is spooled again: that is one row as well.
            command = [sys.executable, "-m", "tests.store.load", str(self.acknowledged), str(self._pause_s)]
            root = Path(__file__).parents[2]
            self._process = subprocess.Popen(command, cwd=root, env=self._environment, stdout=subprocess.PIPE)
            self._wait_for_one()

    def goes_on(self, at_least: int = 1) -> None:
        """Wait until it has acknowledged so many batches more."""
        for _ in range(at_least):
            self._wait_for_one()

    def run_for(self, seconds: float) -> None:
        """Let it run."""
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            self._read(left_s)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            while self._read(10):
                pass
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def _wait_for_one(self) -> None:
        before, end = self.acknowledged, time.monotonic() + 60
        while self.acknowledged == before:
            assert time.monotonic() < end, "the load stands still"
            assert self._read(1) is not None or self._process.poll() is None, "the load has ended"

    def _read(self, timeout_s: float) -> bool | None:
        """Read what it says; False at its end, None where it says nothing for so long."""
        assert self._process is not None
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], timeout_s)[0]:
            return None
        said = os.read(self._process.stdout.fileno(), 1 << 16)
        *lines, self._unread = (self._unread + said).split(b"\n")
        if lines:
            self.acknowledged = int(lines[-1])
        if not said:
            self._unread = b""
        return bool(said)


def kill_server(server: EmbeddedServer) -> None:
    """kill -9 of the postmaster; its children end when they notice."""
    with suppress(OSError, ValueError, IndexError):
        os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


def kill_often(settings: Settings, *, writer: bool, server: bool, rounds: int) -> None:
    """Kill the one, the other or both at random moments under load, then count."""
    embedded, load, moments = EmbeddedServer(settings.home), Load(settings), random.Random(rounds)
    try:
        for _ in range(rounds):
            load.start()
            until_it_answers(embedded)
            load.run_for(moments.uniform(0.0, 1.0))
            if server:
                kill_server(embedded)
            if writer:
                load.kill()
        load.start()
        load.goes_on()
    finally:
        load.kill()
    deliver_the_rest(settings)
    count(settings, load.acknowledged)


def until_it_answers(server: EmbeddedServer, timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not server.answers():
        assert time.monotonic() < end, f"nobody has started the server again: {server.log.read_text()[-2000:]}"
        time.sleep(0.02)


def deliver_the_rest(settings: Settings, timeout_s: float = 120.0) -> Told:
    """What the next start of the collector does."""
    told = Told()
    sink = StoreSink(settings, told, COLLECTOR, linger_s=0.0)
    assert sink.flush(timeout_s)
    sink.close()
    return told


def count(settings: Settings, acknowledged: int) -> None:
    """No acknowledged row is lost, and none is there twice: neither in the table nor in the rollups."""
    with connect(settings) as connection:
        found = [row[0] for row in connection.execute("SELECT input_tokens FROM metrics.llm_requests")]
    lost, doubled = set(range(acknowledged)) - set(found), len(found) - len(set(found))
    assert (len(lost), doubled) == (0, 0)
    refresh(settings)
    with connect(settings) as connection:
        rolled = connection.execute(
            "SELECT sum(requests), sum(input_tokens) FROM metrics.llm_metrics_hourly"
        ).fetchone()
    assert rolled == (len(found), sum(found))


@contextmanager
def tiny_disk(folder: Path, megabytes: int) -> Iterator[Path | None]:
    """A file system of that size at `folder`; None where we may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def database(settings: Settings) -> sql.Identifier:
    return sql.Identifier(str(conninfo_to_dict(settings.dsn.get_secret_value())["dbname"]))


def administration(settings: Settings) -> psycopg.Connection:
    dsn = make_conninfo(settings.dsn.get_secret_value(), dbname="postgres")
    return psycopg.connect(dsn, autocommit=True)


def two_writers_of_the_same_rows(settings: Settings, *, batches: int) -> None:
    told = Told()

    def run(first: int) -> None:
        with sink_of(settings, told=told) as sink:
            for number in range(batches):
                start = (number + first) % batches * 20
                sink.write(batch(start, start + 20))
                time.sleep(0.01)
            assert sink.flush(60)

    writers = [threading.Thread(target=run, args=[first]) for first in (0, batches // 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    count(settings, batches * 20)
    assert told["wrote"] == batches * 20


def the_network_is_cut(settings: Settings, *, for_s: float) -> None:
    """A collector behind a network that swallows everything for a while."""
    proxy, told = Proxy.of_database(settings), Told()
    with sink_of(through(proxy, settings), told=told) as sink:
        first = 0

        def load_for(seconds: float) -> None:
            nonlocal first
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                began = time.monotonic()
                sink.write(batch(first, first + 20))
                assert time.monotonic() - began < 2.0  # it does not wait for the database
                first += 20
                time.sleep(0.005)

        load_for(0.5)
        with proxy.cut():
            load_for(for_s)
        load_for(0.5)
        assert sink.flush(120)
    proxy.close()
    count(settings, first)
    assert told["wrote"] <= first  # an answer that was swallowed makes new rows look like duplicates


def through(proxy: Proxy, settings: Settings) -> Settings:
    dsn = make_conninfo(settings.dsn.get_secret_value(), host="127.0.0.1", port=proxy.port, sslmode="disable")
    return load(dsn=dsn, connect_timeout_s=2)


def the_disk_under_the_spool_fills_up(settings: Settings, folder, told: Told) -> None:
    """Rows are refused while it is full; those that were acknowledged come through, and so do later ones."""
    settings = settings.model_copy(update={"spool": folder, "spool_fsync": "each"})
    with administration(settings) as boss, sink_of(settings, told=told) as sink:
        name = database(settings)
        boss.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        acknowledged, number = [], 0
        while told["dropped disk"] < 400 and number < 1_000_000:
            before = told["dropped disk"]
            sink.write(batch(number, number + 20))
            if told["dropped disk"] == before:
                acknowledged += range(number, number + 20)
            number += 20
        boss.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
        assert sink.flush(60)
        sink.write(batch(number, number + 20))
        acknowledged += range(number, number + 20)
        assert sink.flush(60)
    assert told["dropped disk"] == 400
    with connect(settings) as connection:
        found = [row[0] for row in connection.execute("SELECT input_tokens FROM metrics.llm_requests ORDER BY 1")]
    assert found == acknowledged


def the_disk_under_the_server_fills_up(settings: Settings, folder: Path) -> None:
    """The server runs in `folder`, a small file system; it may stop working, and starts again when there is room."""
    told, ballast, number = Told(), folder / "ballast", 20
    with sink_of(settings, told=told) as sink:
        sink.write(batch(0, 20))
        assert sink.flush(60)
        with ballast.open("wb") as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 20))
        os.truncate(ballast, ballast.stat().st_size - (2 << 20))
        end = time.monotonic() + 120
        while told["failed"] < 2:
            assert time.monotonic() < end, "the disk is not full"
            sink.write(batch(number, number + 200))
            number += 200
            time.sleep(0.005)
        ballast.unlink()
        assert sink.flush(120)
    count(settings, number)
