"""An ASGI application, served from a thread."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from store.errors import SettingsError

MOST_CONNECTIONS = 1_000
BACKLOG = 512
GRACE_S = 10  # for requests that are under way when the server is stopped


@contextmanager
def listening(address: str, port: int, setting: str) -> Iterator[socket.socket]:
    """A socket that listens on `port`, which the setting `setting` names; 0: any free one.

    Raises:
        SettingsError: the address or the port cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = socket.create_server((address, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = f"cannot listen on {address}:{port}: {error.strerror or error}; 0 takes any free port"
        raise SettingsError(setting, f"GAUGEBOOK_{setting.upper()}", reason) from error
    # Its connections inherit this: an answer in two parts would else wait 40 ms for the first to be acknowledged.
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with server:
        yield server


@contextmanager
def serving(
    app: Starlette, listens: socket.socket, name: str, tls: ssl.SSLContext | None = None
) -> Iterator[threading.Thread]:
    """A thread that serves `app`, in plain without `tls`; at the end it answers what is under way."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_S,
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listens]}, name=name, daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield thread
    finally:
        server.should_exit = True
        thread.join()


def url(listens: socket.socket, scheme: str = "http") -> str:
    """Where it listens, as an address of HTTP."""
    host, port = listens.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
