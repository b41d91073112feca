"""Fixtures: Prometheus servers of both major versions with a history that promtool wrote, and a proxy that spoils it."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx2
import pytest

from tests.fix_prometheus import Prometheus, prometheus_program, serving
from tests.servers import need

START = 1_793_404_800  # 2026-10-31, midnight UTC
HOURS = 30
KEEP = "--storage.tsdb.retention.time=100y"
EXTERNAL = """\
global:
  scrape_interval: 1s
  external_labels:
    cluster: "north: 'one'"
    replica: b
"""
Point = tuple[float, str]  # seconds, value
Family = tuple[str, str, list[tuple[str, list[Point]]]]  # name, type, series by their labels


def history() -> Iterable[Family]:
    """What the fixtures serve: walks, odd values, uneven times, resets, gaps, and names that need care."""
    made = random.Random(5)
    minutes = [START + 60 * k for k in range(60 * HOURS)]
    walk = [(f'queue="q{n}",vhost="/"', [(t, str(made.randint(0, 500))) for t in minutes]) for n in range(6)] + [
        ('queue="half",vhost="/",cluster="mine"', [(t, str(made.random())) for t in minutes if t % 600 < 90])
    ]
    yield "t_walk", "gauge", walk
    odd = ["NaN", "+Inf", "-Inf", "0", "-0", "1e-320", "1.7976931348623157e308", "-1.5"]
    yield "t_odd", "gauge", [('kind="all"', [(t, odd[n % len(odd)]) for n, t in enumerate(minutes[:500])])]
    uneven, t = [], float(START)
    while t < START + 3600 * HOURS:
        t += made.choice((0.001, 0.25, 14.997, 15.0, 15.003, 60.0, 299.999, 300.0, 300.001, 601.0))
        uneven.append((round(t, 3), str(made.choice((made.gauss(0, 1), 7.0)))))
    yield "t_uneven", "gauge", [('a="1"', uneven)]
    total, counted = 0, []
    for t in minutes:
        total = 0 if made.random() < 0.01 else total + made.randint(0, 50)
        counted.append((t, str(total)))
    yield "t_counted_total", "counter", [("", counted)]
    few = [(START + 10, "1"), (START + 20, "2")]
    yield (
        "t_names",
        "gauge",
        [
            (r'say="a \"quoted\" \\ word",ds="1",y="2"', few),
            (r'say="two\nlines"', few),
            ('say="emoji 🐇 ünd"', few),
        ],
    )


def write_blocks(folder: Path, families: Iterable[Family]) -> None:
    """Blocks of a Prometheus in `folder`, by promtool."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    text = folder.with_suffix(".txt")
    with text.open("w") as file:
        for name, kind, series in families:
            file.write(f"# TYPE {name.removesuffix('_total') if kind == 'counter' else name} {kind}\n")
            for labels, points in series:
                file.writelines(f"{name}{{{labels}}} {value} {seconds:.3f}\n" for seconds, value in points)
        file.write("# EOF\n")
    words = ("tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=48h", "--quiet")
    program = need("promtool", package="prometheus")
    made = subprocess.run([program, *words, text, folder], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


@pytest.fixture(scope="session", params=[2, 3])
def past(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus of each major version with `history`, and with external labels that none of its queries shows."""
    program = prometheus_program(request.param)
    folder = tmp_path_factory.mktemp("past")
    write_blocks(folder / "data", history())
    with serving(program, folder, KEEP, config=EXTERNAL) as server:
        yield server


@dataclass
class Spoiler:
    """A proxy: by path what it answers instead (status, headers), and what it does to the bytes of remote read."""

    upstream: str
    url: str = ""
    refuse: dict[str, tuple[int, dict[str, str]]] = field(default_factory=dict)
    only: int | None = None  # refuse so many times, and no oftener
    cut: int | None = None  # bytes of an answer to remote read that come through
    flip: int | None = None  # the byte that is flipped
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        name = path.partition("?")[0].removeprefix("/api/v1/")
        self.asked.append(name)
        self.headers.append(headers)
        if name in self.refuse and self.only != 0:
            self.only = None if self.only is None else self.only - 1
            status, more = self.refuse[name]
            return status, more, b"not now"
        sent = {
            k: v for k, v in headers.items() if k not in ("host", "content-length", "accept-encoding", "connection")
        }
        found = httpx2.request(method, self.upstream + path, headers=sent, content=body, trust_env=False, timeout=60)
        content = bytearray(found.content)
        if name == "read":
            if self.flip is not None:
                content[self.flip] ^= 0x10
            content = content[: self.cut]
        kept = {k: v for k, v in found.headers.items() if k in ("content-type", "content-encoding")}
        if found.headers.get("content-encoding") == "gzip":
            del kept["content-encoding"]
        return found.status_code, kept, bytes(content)


@contextmanager
def spoiled(upstream: str) -> Iterator[Spoiler]:
    """A proxy in front of `upstream`."""
    spoiler = Spoiler(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            given = {k.lower(): v for k, v in self.headers.items()}
            status, headers, content = spoiler.answer(self.command, self.path, given, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *_args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    spoiler.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield spoiler
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
