"""A server that answers every request with the same bytes, cut where the test says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def answering(
    pieces: Sequence[bytes], *, pause_s: float = 0.0, hold_s: float = 0.0
) -> Iterator[tuple[str, list[bytes]]]:
    """Its URL, and the requests that it has had. It writes `pieces` with a pause between, waits, and hangs up."""
    requests: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            head, _, body = request.partition(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
            )
            while len(body) < length:
                body += connection.recv(65536)
            requests.append(head + b"\r\n\r\n" + body)
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause_s)
            time.sleep(hold_s)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
    finally:
        listener.close()
