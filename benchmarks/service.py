"""`gaugebook serve` on one core: rows/s and single rows, each forced to disk, beside the bare framework.

    python benchmarks/service.py [--seconds 10] [--json FILE]

The server is bound to one core; senders and database have the other. A row has 17 fields, as the tap writes them. The
bare framework is FastAPI under the same server: it parses the same JSON, keeps nothing and answers the same.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Thread

sys.path[0] = str(Path(__file__).parents[1])

import psycopg

from benchmarks.parts.figures import Figure, back_ends, save, show
from collectors.service.keys import Keys
from store.settings import Settings
from tests.servers import free_port

SERVER_CORE, OTHER_CORES = {0}, set(range(1, os.cpu_count() or 1)) or {0}
PATH = "/v1/llm/requests"
REACH_ROWS = 20_000.0
MOST_MB = 256.0
WARM_UP_S = 2.0
DELIVER_S = 600.0
ROW = {
    "ts": "2026-10-01T12:00:00.123456+00:00",
    "provider": "openai",
    "model": "gpt-4o",
    "response_model": "gpt-4o-2024-08-06",
    "team": "search",
    "project": "answers",
    "source": "api",
    "status": "ok",
    "http_status": 200,
    "streamed": True,
    "ttft_s": 0.412,
    "duration_s": 1.913,
    "output_tokens_per_s": 61.2,
    "input_tokens": 1200,
    "cached_tokens": 1000,
    "output_tokens": 80,
}
_numbers = count()


def main() -> None:
    """Measure, show and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args()
    os.sched_setaffinity(0, OTHER_CORES)
    with back_ends() as found:
        figures = measure(found["plain"], options.seconds)
    show(figures)
    if options.json:
        save(figures, options.json)


def measure(settings: Settings, seconds: float) -> list[Figure]:
    """Ours and the bare framework, in turn, in batches of 100 and one by one."""
    with tempfile.TemporaryDirectory() as folder, _ours(settings, Path(folder)) as ours, _bare() as bare:
        batches, singles = [], []
        for _ in range(2):
            batches.append([_load(server, 100, 4, seconds) for server in (ours, bare)])
            singles.append([_load(server, 1, 16, seconds) for server in (ours, bare)])
        statuses, peak_mb = _overload(ours, seconds)
        kept = _delivered(settings, ours.accepted)
    print(f"overload: {dict(statuses)}")
    print(f"{kept:,} rows kept of {ours.accepted:,} accepted")
    assert kept == ours.accepted
    rows, bare_rows = (statistics.median(each[n].rate for each in batches) for n in (0, 1))
    one, bare_one = (statistics.median(each[n].rate for each in singles) for n in (0, 1))
    p99, bare_p99 = (1000 * statistics.median(each[n].p99_s for each in singles) for n in (0, 1))
    peer = {"the bare framework": bare_rows}
    return [
        Figure("rows in batches of 100 as JSON", "rows/s", rows, peer, bare_rows, rows / bare_rows, 0.5),
        Figure("the same, at least", "rows/s", rows, peer, REACH_ROWS, rows / REACH_ROWS, 1.0),
        Figure("one row a request", "requests/s", one, {"the bare framework": bare_one}, bare_one, one / bare_one, 0.6),
        Figure(
            "the same, 99 % are answered within",
            "ms",
            p99,
            {"the bare framework": bare_p99},
            bare_p99,
            p99 / bare_p99,
            3.0,
            at_most=True,
        ),
        Figure("memory under overload", "MB", peak_mb, {}, MOST_MB, peak_mb / MOST_MB, 1.0, at_most=True),
    ]


def _delivered(settings: Settings, accepted: int) -> int:
    """Rows in the database, once all that wait in the spool are there."""
    until = time.monotonic() + DELIVER_S
    with psycopg.connect(settings.dsn.get_secret_value(), autocommit=True) as connection:
        while True:
            (kept,) = connection.execute("SELECT count(*) FROM metrics.llm_requests").fetchone()
            if kept >= accepted or time.monotonic() > until:
                return int(kept)
            time.sleep(1)


class Server:
    """Where it listens, and what it has accepted."""

    def __init__(self, port: int, token: str = "") -> None:
        self.port, self.accepted, self.pid = port, 0, 0
        self.head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()


class Load:
    """What came of a measurement: rows/s, and the time within which 99 % of the requests were answered."""

    def __init__(self, rows: int, took_s: float, waits_s: list[float]) -> None:
        self.rate = rows / took_s
        self.p99_s = statistics.quantiles(waits_s, n=100)[98]


def _load(server: Server, batch: int, senders: int, seconds: float) -> Load:
    """`senders` connections, each with a request at a time, for `seconds` after a warm-up."""
    waits: list[float] = []
    began = time.perf_counter() + WARM_UP_S
    until = began + seconds
    rows = [0] * senders
    answered = [0] * senders

    def run(number: int) -> None:
        connection = socket.create_connection(("127.0.0.1", server.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (at := time.perf_counter()) < until:
            body = _body(batch)
            connection.sendall(server.head + str(len(body)).encode() + b"\r\n\r\n" + body)
            _accepted(connection, batch)
            answered[number] += batch
            if at >= began:
                waits.append(time.perf_counter() - at)
                rows[number] += batch
        connection.close()

    _in_threads([Thread(target=run, args=(number,)) for number in range(senders)])
    server.accepted += sum(answered)
    return Load(sum(rows), seconds, waits)


def _overload(server: Server, seconds: float) -> tuple[Counter[int], float]:
    """Statuses of 24 senders that send 3.7 MB each and do not wait as they are told to, and megabytes at most."""
    statuses: Counter[int] = Counter()
    until = time.monotonic() + seconds
    padded = _TEMPLATE[:-1] + b', "attrs": {"x": "' + 400 * b"y" + b'"}}'

    def run() -> None:
        while time.monotonic() < until:
            body = _body(4_500, padded)
            try:
                with socket.create_connection(("127.0.0.1", server.port)) as connection:
                    connection.sendall(server.head + str(len(body)).encode() + b"\r\n\r\n" + body)
                    status = int(connection.recv(65536)[9:12])
            except OSError:
                status = 0
            statuses[status] += 1

    _in_threads([Thread(target=run) for _ in range(24)])
    server.accepted += 4_500 * statuses[200]
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    return statuses, int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


_TEMPLATE = json.dumps({**ROW, "request_id": "#"}).encode()


def _body(batch: int, row: bytes = _TEMPLATE) -> bytes:
    first = next(_numbers) * 10_000
    return b"[" + b",".join(row.replace(b"#", b"r%012d" % (first + n)) for n in range(batch)) + b"]"


def _in_threads(threads: list[Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _accepted(connection: socket.socket, batch: int) -> None:
    """Read an answer, which has to say that all rows are accepted."""
    got = connection.recv(65536)
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    assert b" 200 " in head[:16], (head, body)
    assert json.loads(body)["accepted"] == batch, body


@contextmanager
def _ours(settings: Settings, folder: Path) -> Iterator[Server]:
    keys = folder / "keys.json"
    server = Server(free_port(), Keys(keys).add("load", ["ingest:llm"], []))
    given = {
        "DSN": settings.dsn.get_secret_value() if settings.dsn else "",
        "SPOOL": folder / "spool",
        "SPOOL_MB": 8192,
        "SERVICE_PORT": server.port,
        "SERVICE_KEYS": keys,
        "METRICS_PORT": 0,
    }
    environment = os.environ | {f"GAUGEBOOK_{key}": str(value) for key, value in given.items()}
    with _running([sys.executable, "-m", "pipelines.cli", "serve"], environment, server) as process:
        yield server
        process.terminate()
        assert process.wait(600) == 0


@contextmanager
def _bare() -> Iterator[Server]:
    server = Server(free_port())
    command = [sys.executable, "-m", "benchmarks.parts.service_bare", str(server.port)]
    with _running(command, dict(os.environ), server):
        yield server


@contextmanager
def _running(command: list[str], environment: dict[str, str], server: Server) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, cwd=sys.path[0])
    server.pid = process.pid
    os.sched_setaffinity(process.pid, SERVER_CORE)
    try:
        while True:
            assert process.poll() is None
            try:
                socket.create_connection(("127.0.0.1", server.port)).close()
            except OSError:
                time.sleep(0.05)
            else:
                break
        yield process
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
