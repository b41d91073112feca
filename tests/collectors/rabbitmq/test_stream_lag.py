"""How far a real consumer by the stream protocol is behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import rstream

from collectors.rabbitmq.api import stream_lags
from collectors.rabbitmq.ask import Ask
from tests.collectors.rabbitmq.test_api import access
from tests.fix_prometheus import wait_until
from tests.fix_rabbitmq import PLUGINS, Broker
from tests.servers import free_port, need

MESSAGES = 200
GUEST = {"username": "guest", "password": "guest"}


class Reader:
    """A consumer that has taken in one message and hangs at the next until it is told to go on."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._goes_on = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self.seen = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._loop.run_until_complete, args=[self._read()])
        thread.start()
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._ends.set)
            thread.join(30)
            self._loop.close()

    def go_on(self) -> None:
        self._loop.call_soon_threadsafe(self._goes_on.set)

    async def _read(self) -> None:
        self._ends = asyncio.Event()
        async with rstream.Consumer("127.0.0.1", self._port, **GUEST) as consumer:
            await consumer.start()
            first = rstream.ConsumerOffsetSpecification(rstream.OffsetType.FIRST, None)
            await consumer.subscribe("lagging", self._took, offset_specification=first, initial_credit=1)
            await self._ends.wait()

    async def _took(self, message: object, context: rstream.MessageContext) -> None:
        self.seen += 1
        await self._goes_on.wait()


async def publish(port: int) -> None:
    async with rstream.Producer("127.0.0.1", port, **GUEST) as producer:
        await producer.create_stream("lagging", exists_ok=True)
        for number in range(MESSAGES):  # one by one, or they would come in one piece
            await producer.send_wait("lagging", b"%d" % number)


@pytest.mark.drill
def test_lag_of_a_consumer_that_hangs(tmp_path: Path) -> None:
    need("rabbitmq-server", package="rabbitmq-server")
    port = free_port()
    listens = f"stream.listeners.tcp.1 = 127.0.0.1:{port}\nstream.advertised_host = 127.0.0.1\n"
    broker = Broker(tmp_path, plugins=(*PLUGINS, "rabbitmq_stream_management"), config=listens)
    broker.start()
    try:
        asyncio.run(publish(port))
        reader = Reader(port)
        with Ask(access(broker.url)) as ask, reader.running():
            wait_until(lambda: stream_lags(ask).get(("/", "lagging"), 0) > 0)
            assert MESSAGES // 2 < stream_lags(ask)["/", "lagging"] <= MESSAGES
            reader.go_on()
            wait_until(lambda: reader.seen == MESSAGES and stream_lags(ask)["/", "lagging"] == 0)
    finally:
        broker.close()
