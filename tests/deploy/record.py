"""Records what a broker with every kind of queue, its collector and Alertmanager show: `python -m tests.deploy.record`.

The pages in `recorded/` are its work; they are recorded anew when a panel asks for a name that is not in them.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import httpx2
import pika

from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.settings import load
from tests.deploy.site import alertmanager, collector
from tests.fix_postgres import QUICK
from tests.fix_rabbitmq import PLUGINS, Broker
from tests.servers import free_port, open_folder

HERE = Path(__file__).with_name("recorded")
QUEUES = {
    "orders": {"x-max-length": 20_000, "x-queue-type": "classic"},
    "mail": {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "mail.dead-letters", "x-message-ttl": 500},
    "mail.dead-letters": {},
    "payments": {"x-queue-type": "quorum"},
    "audit": {"x-queue-type": "stream"},
    "full": {"x-max-length": 5, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "mail.dead-letters"},
}


def main() -> None:
    """Start all of it on free ports, let it work for some seconds, and keep the pages."""
    HERE.mkdir(exist_ok=True)
    stream = free_port()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = Broker(
            folder,
            plugins=(*PLUGINS, "rabbitmq_stream_management"),
            config=f"stream.listeners.tcp.1 = 127.0.0.1:{stream}\n",
        )
        stack.callback(broker.close)
        broker.start()
        home = stack.enter_context(open_folder())
        server = EmbeddedServer(home, configuration=QUICK)
        server.start()
        stack.callback(server.stop)
        port = free_port()
        settings = load(
            dsn=server.conninfo(),
            rabbitmq_url=broker.url,
            rabbitmq_prometheus_url=(broker.prometheus_url,),
            rabbitmq_interval_s=1.0,
            metrics_port=port,
            spool=folder / "spool",
        )
        migrate(settings)
        stack.enter_context(collector(settings))
        _work(broker)
        host = socket.gethostname()  # what a cluster that nobody names is called after
        pages = {
            "rabbitmq": _get(f"{broker.prometheus_url}/metrics"),
            "rabbitmq-detailed": _get(
                f"{broker.prometheus_url}/metrics/detailed?family=queue_coarse_metrics&family=queue_consumer_count"
            ),
            "gaugebook-rabbitmq": _get(f"http://127.0.0.1:{port}/metrics"),
        }
        called = free_port()
        place = folder / "alertmanager"
        place.mkdir()
        with alertmanager(place, called, free_port()):
            page = _get(f"http://127.0.0.1:{called}/metrics").splitlines(keepends=True)
            pages["alertmanager"] = "".join(line for line in page if "alertmanager_" in line)
        for name, text in pages.items():
            ours = text.replace(broker.node, "rabbit@broker").replace(
                broker.node.replace("localhost", host), "rabbit@broker"
            )
            lines = [line for line in ours.splitlines() if line and not line.startswith("# HELP")]
            (HERE / f"{name}.prom").write_text("\n".join(lines) + "\n")
            print(name, len(lines), "lines")
        shutil.rmtree(place)


def _work(broker: Broker, seconds: float = 12) -> None:
    """Publish to every queue, consume from some, fetch, redeliver, and lose a message for want of a binding."""
    with closing(broker.connect()) as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=20)
        for name, arguments in QUEUES.items():
            channel.queue_declare(name, durable=True, arguments=arguments)
        stop = threading.Event()
        reader = threading.Thread(target=_read, args=(broker, stop))
        reader.start()
        end, sent = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            stamp = pika.BasicProperties(timestamp=int(time.time()), delivery_mode=2)
            for name in QUEUES:
                channel.basic_publish("", name, b"x" * 200, stamp)
            channel.basic_publish("", "nowhere", b"lost")
            if sent % 10 == 0:
                channel.basic_get("orders", auto_ack=True)
                channel.basic_get("payments", auto_ack=False)
                channel.basic_get("mail.dead-letters", auto_ack=False)
            sent += 1
            time.sleep(0.02)
        channel.basic_recover(requeue=True)
        time.sleep(2)
        stop.set()
        reader.join()


def _read(broker: Broker, stop: threading.Event) -> None:
    with closing(broker.connect()) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", "payments", b"confirmed")
        channel.basic_qos(prefetch_count=5)
        channel.basic_consume("orders", lambda ch, method, *_: ch.basic_ack(method.delivery_tag))
        channel.basic_consume("audit", lambda ch, method, *_: ch.basic_ack(method.delivery_tag))
        channel.basic_consume("payments", lambda *_: None, auto_ack=True)
        while not stop.is_set():
            connection.process_data_events(0.1)


def _get(url: str) -> str:
    return httpx2.get(url, timeout=30, trust_env=False).raise_for_status().text


if __name__ == "__main__":
    main()
