"""A broker with 10,000 queues, and a collector as its user starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pika
import pytest

from analytics import load as series
from collectors.rabbitmq.collect import RabbitMQ
from store.connect import connect
from store.settings import Settings, load
from tests.collectors.rabbitmq import crowd
from tests.fix_prometheus import Prometheus, wait_until
from tests.fix_rabbitmq import Broker
from tests.servers import free_port, need, open_folder

QUEUES, TOP, WAITING = 10_000, 50, 1_000
PROGRAM = "from pipelines.cli import main; main()"

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def crowded() -> Iterator[Broker]:
    """A broker as it is installed, with very many queues; a message waits in each tenth."""
    need("rabbitmq-server", package="rabbitmq-server")
    with open_folder() as folder:
        broker = Broker(folder, config="collect_statistics_interval = 5000\n")
        try:
            broker.start()
            crowd.make(broker, QUEUES, waiting=WAITING)
            yield broker
        finally:
            broker.close()


@contextmanager
def collecting(store: Settings, broker: Broker, log: Path, **settings: object) -> Iterator[tuple[str, int]]:
    """`gaugebook collect rabbitmq` in a process of its own: the address of its /metrics and its id."""
    port = free_port()
    variables = {
        "DSN": store.dsn.get_secret_value(),
        "METRICS_PORT": port,
        "RABBITMQ_URL": broker.url,
        "RABBITMQ_INTERVAL_S": 2,
        **{f"RABBITMQ_{name.upper()}": value for name, value in settings.items()},
    }
    environment = os.environ | {f"GAUGEBOOK_{name}": str(value) for name, value in variables.items()}
    with log.open("wb") as out:
        command = [sys.executable, "-c", PROGRAM, "collect", "rabbitmq"]
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        yield f"127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        assert process.wait(60) == 0, log.read_text()


def metrics(target: str) -> str:
    try:
        return httpx2.get(f"http://{target}/metrics", timeout=30, trust_env=False).text
    except httpx2.HTTPError:
        return ""


def value(page: str, name: str) -> float:
    return next(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))


def status(process: int, name: str) -> int:
    """Kilobytes."""
    return int(Path(f"/proc/{process}/status").read_text().partition(f"{name}:")[2].split()[0])


def cpu_s(process: int) -> float:
    parts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def test_ten_thousand_queues(store: Settings, crowded: Broker, prometheus: Prometheus, tmp_path: Path) -> None:
    with collecting(store, crowded, tmp_path / "log") as (target, process):
        wait_until(lambda: "rabbitmq_queue_messages{" in metrics(target), 60)
        prometheus.scrape(target)
        seconds, samples, spent = [], samples_of(store), cpu_s(process)
        while samples_of(store) < samples + 10:
            seconds.append(value(metrics(target), "gaugebook_collector_duration_seconds"))
            time.sleep(2)
        cpu = (cpu_s(process) - spent) / (samples_of(store) - samples)
        page = metrics(target)
        per_queue = sum('queue="' in line for line in page.splitlines())
        print(f"collections of {min(seconds):.2f} to {max(seconds):.2f} s; {cpu:.2f} s of CPU with three scrapes each")
        resident, most = status(process, "VmRSS") / 1024, status(process, "VmHWM") / 1024
        print(f"{per_queue} series of queues; memory {resident:.0f} MB, at most {most:.0f} MB")
        assert min(seconds) < 1.0
        assert per_queue / QUEUES <= 5
        assert most < 120
        assert value(page, "gaugebook_collector_skipped_samples_total") == 0
        (found,) = prometheus.wait_for("sum(rabbitmq_queue_messages)")
        assert float(found["value"][1]) == WAITING
        prometheus.scrape()
    with connect(store) as connection:
        newest = "ts = (SELECT max(ts) FROM metrics.rabbitmq_queues)"
        rows = connection.execute(
            f"SELECT count(*), sum(messages), count(*) FILTER (WHERE queue = '') FROM metrics.rabbitmq_queues WHERE {newest}"
        ).fetchone()
        rest = connection.execute(
            f"SELECT sum((attrs->>'queues')::int) FROM metrics.rabbitmq_queues WHERE queue = '' AND {newest}"
        ).fetchone()
    assert rows == (TOP + len(crowd.VHOSTS), WAITING, len(crowd.VHOSTS))
    assert rest == (QUEUES - TOP,)
    assert set(series.queue_metrics(store)["queue"]) <= {crowd.name(number)[1] for number in range(QUEUES)}


def samples_of(store: Settings) -> int:
    with connect(store) as connection:
        return int(connection.execute("SELECT count(*) FROM metrics.rabbitmq_overview").fetchone()[0])


def test_who_reads_metrics_does_not_hold_up_the_collection(crowded: Broker) -> None:
    source = RabbitMQ(load(rabbitmq_url=crowded.url, rabbitmq_interval_s=60))

    def best() -> float:
        taken = []
        for _ in range(4):
            began = time.monotonic()
            source.collect()
            taken.append(time.monotonic() - began)
        return min(taken)

    source.collect()
    alone = best()
    stop, pages = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            pages.append(len(b"".join(source.shown.page())))
            time.sleep(0.2)  # a server that scrapes five times a second

    reader = threading.Thread(target=read)
    reader.start()
    beside = best()
    stop.set()
    reader.join()
    source.close()
    print(f"a collection takes {alone:.2f} s alone, {beside:.2f} s while {len(pages)} pages were read")
    assert beside < max(1.5 * alone, 1.0)


def test_the_queue_that_matters_gets_detail_among_ten_thousand(crowded: Broker) -> None:
    source = RabbitMQ(load(rabbitmq_url=crowded.url, rabbitmq_interval_s=60, rabbitmq_top=10, rabbitmq_vhosts="/"))
    source.collect()
    vhost, name = crowd.name(QUEUES - 1)
    assert vhost == "/"
    with crowded.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for _ in range(200):
            channel.basic_publish("", name, b"body", pika.BasicProperties(timestamp=int(time.time()) - 3600))

    def detailed() -> dict[tuple[str, str], int | None]:
        source.collect()
        sample = source.shown.sample
        assert {queue.vhost for queue in sample.queues} == {"/"}
        return {queue.key: queue.counters.get("published") for queue in sample.detailed}

    wait_until(lambda: detailed().get((vhost, name)) == 200, every_s=1)
    ages = {queue.name: queue.head_timestamp for queue in source.shown.sample.detailed}
    assert ages[name] is None or ages[name] == pytest.approx(time.time() - 3600, abs=60)
    source.close()
