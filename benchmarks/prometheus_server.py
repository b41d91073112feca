"""What our configuration costs a real Prometheus with `--queues`: bytes a sample, time for the rules, memory.

Depths walk at random in a tenth of the queues between two scrapes; the others stand. 480 scrapes make a block of two
hours, as at 15 s: `python benchmarks/prometheus_server.py --queues 500 --seconds 480` for the bytes, for the
time of the rules `python benchmarks/prometheus_server.py --queues 10000 --seconds 300 --interval 15`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path[0] = str(Path(__file__).parents[1])

from collectors.rabbitmq.expose import Sample, Shown
from collectors.rabbitmq.reading import Node, Queue, Reading
from tests.deploy.site import FASTER, ports, site
from tests.fix_prometheus import Prometheus

RULES = "max by (rule_group) (prometheus_rule_group_last_duration_seconds)"


class Broker:
    """What the collector and the plugin would say of a broker with `count` queues, the first 50 of them in detail."""

    def __init__(self, count: int) -> None:
        self.queues = [
            Queue("/", f"team-{i % 20}.orders.{i}", messages=100, ready=90, unacked=10, consumers=2)
            for i in range(count)
        ]
        for queue in self.queues[:50]:
            queue.counters = dict.fromkeys(("published", "delivered", "acked", "redelivered"), 0)
        self._chance = random.Random(7)  # noqa: S311

    def step(self) -> None:
        for queue in self._chance.sample(self.queues, max(1, len(self.queues) // 10)):
            step = self._chance.randint(-20, 20)
            queue.ready = max(0, (queue.ready or 0) + step)
            queue.messages = queue.ready + (queue.unacked or 0)
        for queue in self.queues[:50]:
            for name in queue.counters:
                queue.counters[name] += self._chance.randint(0, 100)

    def ours(self) -> bytes:
        self.step()
        now = time.monotonic()
        node = Node("rabbit@a", running=True, values={"memory_bytes": 1e8 + self._chance.randint(0, 10**7)})
        reading = Reading(datetime.now(UTC), now, "shop", "3.10.8", "25", "native", nodes=[node], queues=self.queues)
        shown = Shown(60, Sample(now, reading, self.queues, self.queues[:50]), "ok")
        page = shown.page()
        return page if isinstance(page, bytes) else b"".join(page)

    def plugin(self) -> bytes:
        lines = ['rabbitmq_identity_info{rabbitmq_node="rabbit@a",rabbitmq_cluster="shop"} 1\n']
        for queue in self.queues:
            labels = f'{{vhost="/",queue="{queue.name}"}}'
            lines.append(f"rabbitmq_detailed_queue_messages{labels} {queue.messages}\n")
            lines.append(f"rabbitmq_detailed_queue_consumers{labels} {queue.consumers}\n")
        return "".join(lines).encode()


@contextmanager
def serving_pages(broker: Broker) -> Iterator[str]:
    """The `host:port` of both pages."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = broker.plugin() if self.path.startswith("/metrics/detailed") else broker.ours()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            with suppress(BrokenPipeError):  # it stops while it scrapes
                self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def one(server: Prometheus, expression: str) -> float:
    """The value of an expression; 0 where there is none."""
    found = server.query(expression)
    return float(found[0]["value"][1]) if found else 0.0


def measure(major: int, queues: int, seconds: float, interval_s: int, *, detailed: bool) -> dict[str, float]:
    """Figures of one server, by what they are."""
    with tempfile.TemporaryDirectory() as name, serving_pages(Broker(queues)) as pages:
        changes = ports() | {"127.0.0.1:9466": pages} | ({"127.0.0.1:15692": pages} if detailed else {})
        FASTER.update({text: f"_interval: {interval_s}s" for text in FASTER if text.startswith("_interval")})
        FASTER["_timeout: 10s"] = f"_timeout: {min(10, interval_s)}s"
        FASTER["[5m]"] = "[5m]"
        rules_s: list[float] = []
        with site(major, Path(name), changes, "--web.enable-admin-api") as server:
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                time.sleep(2 * interval_s)
                rules_s.append(sum(float(row["value"][1]) for row in server.query(RULES)))
            snapshot = server.client.post("/api/v1/admin/tsdb/snapshot", timeout=60).json()["data"]["name"]
            samples = size = 0
            for block in (Path(name) / "data/snapshots" / snapshot).iterdir():
                samples += json.loads((block / "meta.json").read_text())["stats"]["numSamples"]
                size += sum(path.stat().st_size for path in block.rglob("*") if path.is_file())
            return {
                "series": one(server, "prometheus_tsdb_head_series"),
                "of them recorded": one(server, 'count({__name__=~".+:.+"})'),
                "samples": samples,
                "bytes a sample": size / samples,
                "ms for all rules, median": 1000 * sorted(rules_s)[len(rules_s) // 2],
                "ms for all rules, least of the last half": 1000 * min(rules_s[len(rules_s) // 2 :]),
                "memory, MB": one(server, 'process_resident_memory_bytes{job="prometheus"}') / 1e6,
            }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queues", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--interval", type=int, default=1, help="seconds between two scrapes")
    parser.add_argument("--major", type=int, nargs="*", default=[2])
    parser.add_argument("--detailed", action="store_true", help="scrape the plugin's /metrics/detailed as well")
    given = parser.parse_args()
    table = Table("Prometheus", "queues", "what", "measured")
    for major in given.major:
        figures = measure(major, given.queues, given.seconds, given.interval, detailed=given.detailed)
        for what, value in figures.items():
            table.add_row(str(major), f"{given.queues:,}", what, f"{value:,.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
