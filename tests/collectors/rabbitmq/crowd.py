"""Very many queues on one broker, made fast."""

from __future__ import annotations

import httpx2
import pika

from tests.fix_rabbitmq import Broker

VHOSTS = ("/", "orders", "mail")


def name(number: int) -> tuple[str, str]:
    """The vhost and the name of a queue."""
    return VHOSTS[number % len(VHOSTS)], f"team-{number % 40:02}.service-{number % 500:03}.work-{number:05}"


def make(broker: Broker, count: int, *, waiting: int = 0) -> None:
    """Declare `count` queues in three vhosts; one message waits in each of the first `waiting`."""
    keys = [name(number) for number in range(count)]
    definitions = {
        "vhosts": [{"name": vhost} for vhost in VHOSTS],
        "permissions": [
            {"user": "guest", "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"} for vhost in VHOSTS
        ],
        "queues": [
            {"vhost": vhost, "name": queue, "durable": False, "auto_delete": False, "arguments": {}}
            for vhost, queue in keys
        ],
    }
    answer = httpx2.post(f"{broker.url}/api/definitions", json=definitions, timeout=600, trust_env=False)
    assert answer.status_code == httpx2.codes.NO_CONTENT, answer.text
    for vhost in VHOSTS:
        parameters = pika.ConnectionParameters("127.0.0.1", broker.amqp_port, vhost, heartbeat=0)
        with pika.BlockingConnection(parameters) as connection:
            channel = connection.channel()
            for where, queue in keys[:waiting]:
                if where == vhost:
                    channel.basic_publish("", queue, b"body")
