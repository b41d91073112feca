"""Reading Prometheus beside its peers: 200 series of 30 days, one sample a minute, from a real server.

    python benchmarks/prometheus.py [--series 200] [--days 30] [--repeats 5] [--data FOLDER] [--json FILE]

The server is Debian's, its data is made by promtool. Each way of reading runs in a process of its own, so that its
memory and its first use are its own too. `--data` keeps the data, or takes what is there: making it takes a minute.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[1])

import httpx2

from benchmarks.parts import prom_data
from benchmarks.parts.figures import Figure, save, show
from tests.servers import free_port, need

MOST_S, MOST_MB, MOST_FIRST_S = 2.0, 700.0, 1.0
OVER_HTTPX, OVER_CLIENT = 10.0, 30.0
FIRSTS = 5  # processes whose first read is compared with the second
PART = 4  # prometheus-api-client reads so small a part of the time: a quarter


def main() -> None:
    """Make the data, measure, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=200)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=5, help="reads after the first; their median counts")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="keep the data here, and take them from here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gaugebook-bench-") as scratch:
        data = arguments.data or Path(scratch) / "data"
        if not data.is_dir():
            prom_data.make(data, series=arguments.series, days=arguments.days)
        with _server(data, Path(scratch)) as url:
            figures = measure(url, days=arguments.days, repeats=arguments.repeats)
    show(figures)
    if arguments.json:
        save(figures, arguments.json)


def measure(url: str, *, days: int, repeats: int) -> list[Figure]:
    """The figures of the server at `url`."""
    start, end = prom_data.START, prom_data.START + days * 86_400 - 60
    part = prom_data.START + days * 86_400 // PART - 60
    ours = _run("ours", url, start, end, repeats)
    stepped = _run("ours at steps", url, start, end, repeats)
    ours_part = _run("ours", url, start, part, repeats)
    httpx_whole = _run("query_range over httpx", url, start, end, 0)
    client = _run("prometheus-api-client", url, start, part, 0)
    print(
        f"{ours['samples']:,} samples: {ours}\nat steps: {stepped}\nhttpx: {httpx_whole}\n"
        f"{ours_part['samples']:,} samples: {ours_part}\nprometheus-api-client: {client}"
    )
    assert ours["samples"] == stepped["samples"] == httpx_whole["samples"]
    assert ours_part["samples"] == client["samples"]
    millions = f"{ours['samples'] / 1e6:g} million samples"
    slower = max(ours["s"], stepped["s"])
    peers = {"query_range over httpx": httpx_whole["s"]}
    parts = {"prometheus-api-client": client["s"]}
    memory = {"query_range over httpx": httpx_whole["mb"], "prometheus-api-client, a quarter": client["mb"]}
    apart = max(abs(each["sum"] - httpx_whole["sum"]) / abs(httpx_whole["sum"]) for each in (ours, stepped))
    again = [_run("ours", url, start, end, 1) for _ in range(FIRSTS)]
    first = statistics.median(each["first_s"] - each["s"] for each in again)
    mb = max(ours["mb"], stepped["mb"])
    return [
        Figure(f"read {millions}, as stored", "s", ours["s"], peers, None, ours["s"], MOST_S, at_most=True),
        Figure(f"read {millions}, at steps", "s", stepped["s"], peers, None, stepped["s"], MOST_S, at_most=True),
        Figure("the first read of a process takes more", "s", first, {}, None, first, MOST_FIRST_S, at_most=True),
        Figure("memory of the process, at most", "MB", mb, memory, None, mb, MOST_MB, at_most=True),
        Figure("sum against query_range's, apart by", "share", apart, {}, None, apart, 0.0, at_most=True),
        Figure(f"{millions}, against query_range", "s", slower, peers, None, httpx_whole["s"] / slower, OVER_HTTPX),
        Figure(
            f"{ours_part['samples'] / 1e6:g} million samples, against prometheus-api-client",
            "s",
            ours_part["s"],
            parts,
            None,
            client["s"] / ours_part["s"],
            OVER_CLIENT,
        ),
    ]


def _run(way: str, url: str, start: int, end: int, repeats: int) -> dict[str, Any]:
    program = Path(__file__).parent / "parts" / "prom_read.py"
    words = [sys.executable, program, way, url, str(start), str(end), str(repeats)]
    ended = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@contextmanager
def _server(data: Path, scratch: Path) -> Iterator[str]:
    port = free_port()
    (scratch / "prometheus.yml").write_text("global: {}\n")
    flags = (f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=100y", "--config.file=prometheus.yml")
    program = need("prometheus", package="prometheus")
    with (scratch / "log").open("wb") as log:
        words = [program, *flags, f"--web.listen-address=127.0.0.1:{port}"]
        process = subprocess.Popen(words, cwd=scratch, stdout=log, stderr=log)
    try:
        for _ in range(600):
            try:
                if httpx2.get(f"http://127.0.0.1:{port}/-/ready", trust_env=False).status_code == httpx2.codes.OK:
                    break
            except httpx2.HTTPError:
                pass
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


if __name__ == "__main__":
    main()
