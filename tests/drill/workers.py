"""Who publishes to a queue and who consumes from it, in threads that outlive their broker."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import Any

import pika
from pika.exceptions import AMQPError

from tests.fix_rabbitmq import Broker

STEP_S = 0.1


class Worker:
    """Works on a connection, and on a new one when it breaks, until closed; not while `off` is set."""

    def __init__(self, broker: Broker, queue: str) -> None:
        self._broker, self._queue = broker, queue
        self.off, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            if not self.off.is_set():
                try:
                    with closing(self._broker.connect()) as connection:
                        channel = connection.channel()
                        channel.queue_declare(self._queue, durable=True)
                        self._work(connection, channel)
                except (AMQPError, OSError):
                    pass
            self._closed.wait(1)

    def _work(self, connection: pika.BlockingConnection, channel: Any) -> None:
        raise NotImplementedError

    def _goes_on(self) -> bool:
        return not self._closed.is_set() and not self.off.is_set()


class Publisher(Worker):
    """Publishes `per_s` messages a second."""

    def __init__(self, broker: Broker, queue: str, per_s: float) -> None:
        self.per_s = per_s
        super().__init__(broker, queue)

    def _work(self, connection: pika.BlockingConnection, channel: Any) -> None:
        due, last_s = 0.0, time.monotonic()
        while self._goes_on():
            connection.process_data_events(STEP_S)
            now_s = time.monotonic()
            due, last_s = due + self.per_s * (now_s - last_s), now_s
            for _ in range(int(due)):
                channel.basic_publish("", self._queue, b"one")
            due -= int(due)


class Consumer(Worker):
    """Takes `PER_S` messages a second at most."""

    PER_S = 20

    def _work(self, connection: pika.BlockingConnection, channel: Any) -> None:
        def take(channel: Any, method: Any, *_: object) -> None:
            self._closed.wait(1 / self.PER_S)
            channel.basic_ack(method.delivery_tag)

        channel.basic_qos(prefetch_count=2)
        channel.basic_consume(self._queue, take)
        while self._goes_on():
            connection.process_data_events(STEP_S)


def flood(broker: Broker, queue: str, messages: int) -> float:
    """Put so many messages into a queue; when they were in it, by the monotonic clock."""
    with closing(broker.connect()) as connection:
        channel = connection.channel()
        for _ in range(messages):
            channel.basic_publish("", queue, b"1")
    return time.monotonic()


def purge(broker: Broker, queue: str) -> None:
    """Throw away what waits in a queue."""
    with closing(broker.connect()) as connection:
        connection.channel().queue_purge(queue)
