"""A network that can be cut: a port through which a test reaches its server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from psycopg.conninfo import conninfo_to_dict

from store.settings import Settings


class Proxy:
    """A TCP port in front of a server. While it is cut it swallows all that comes, from both sides."""

    def __init__(self, connect: Callable[[], socket.socket]) -> None:
        """`connect`: opens a connection to the server."""
        self._connect = connect
        self._cut = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @classmethod
    def of_port(cls, port: int) -> Self:
        """In front of a port of the loopback interface."""
        return cls(lambda: socket.create_connection(("127.0.0.1", port)))

    @classmethod
    def of_database(cls, settings: Settings) -> Self:
        """In front of the Unix socket of the database that `settings` name."""
        there = conninfo_to_dict(settings.dsn.get_secret_value())

        def connect() -> socket.socket:
            far = socket.socket(socket.AF_UNIX)
            far.connect(f"{there['host']}/.s.PGSQL.{there['port']}")
            return far

        return cls(connect)

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Nothing passes; afterwards the connections of before are gone, which nobody was told."""
        self._cut.set()
        try:
            yield
        finally:
            pairs, self._pairs = self._pairs, []
            self._cut.clear()
            for pair in pairs:
                _end(pair)

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes who waits for a connection
        self._listening.close()
        for pair in self._pairs:
            _end(pair)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
                far = self._connect()
            except OSError:
                return
            self._pairs.append((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                if not self._cut.is_set():
                    other.sendall(data)
        if not self._cut.is_set():
            _end((one, other))


def _end(pair: tuple[socket.socket, socket.socket]) -> None:
    for one in pair:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
