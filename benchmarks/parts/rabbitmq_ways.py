"""One way to look at a broker, in a process of its own: how long it takes, and what memory.

python -m benchmarks.parts.rabbitmq_ways WAY URL PROMETHEUS_URL TIMES
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

WAYS = ("ours", "full /api/queues", "/api/queues?columns=", "prometheus_client over /metrics/per-object")
COLUMNS = (
    "name,vhost,messages,messages_ready,messages_unacknowledged,consumers,"
    "message_stats.publish,message_stats.deliver_get,message_stats.ack"
)


def ours(url: str, prometheus_url: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """The collector with its defaults, and the page that it serves."""
    from collectors.rabbitmq.collect import RabbitMQ
    from store.settings import load

    source = RabbitMQ(load(rabbitmq_url=url, rabbitmq_prometheus_url=prometheus_url))
    return source.collect, lambda: b"".join(source.shown.page())


def listed(url: str, query: str) -> Callable[[], object]:
    """The management API, as rabbitmq_exporter and many scripts ask it."""
    import httpx2

    client = httpx2.Client(base_url=url, timeout=300, trust_env=False)
    return lambda: client.get(f"/api/queues{query}").json()


def parsed(prometheus_url: str) -> Callable[[], object]:
    """The plugin's page of every object through the parser of the Prometheus client library."""
    import httpx2
    from prometheus_client.parser import text_string_to_metric_families

    client = httpx2.Client(base_url=prometheus_url, timeout=300, trust_env=False)
    return lambda: list(text_string_to_metric_families(client.get("/metrics/per-object").text))


def main() -> None:
    """Print the figures as JSON."""
    way, url, prometheus_url, times = sys.argv[1:]
    page: Callable[[], object] | None = None
    if way == WAYS[0]:
        look, page = ours(url, prometheus_url)
    elif way == WAYS[3]:
        look = parsed(prometheus_url)
    else:
        look = listed(url, "" if way == WAYS[1] else f"?columns={COLUMNS}")
    look()  # connections are made once
    walls, cpus = [], []
    for _ in range(int(times)):
        wall, cpu = time.perf_counter(), time.process_time()
        look()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        shown = page() if page else b""
    found = {"wall_s": min(walls), "cpu_s": min(cpus), "rss_mb": resident_mb()}
    if isinstance(shown, bytes) and shown:
        found["series"] = float(sum(b'queue="' in line for line in shown.splitlines()))
    print(json.dumps(found))


def resident_mb() -> float:
    """Memory of this process, at its highest."""
    said = Path("/proc/self/status").read_text(encoding="ascii")
    return int(said.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
