"""The management API: addresses, credentials, and brokers that do not answer as they should."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from collectors.rabbitmq.source import Management, split_credentials
from store.errors import ParameterInvalid, SourceError
from tests.servers import free_port

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "base", "auth"),
    [
        ("http://broker:15672", "http://broker:15672", None),
        ("https://u@broker/", "https://broker", ("u", "")),
        ("http://u:p%40%2F%3A@[::1]:15672/rabbit/", "http://[::1]:15672/rabbit", ("u", "p@/:")),
    ],
)
def test_credentials_leave_the_address(url: str, base: str, auth: tuple[str, str] | None) -> None:
    assert split_credentials(url) == (base, auth)


@pytest.mark.parametrize(
    "url", ["", "broker:15672", f"amqp://u:{SECRET}@b", f"http://u:{SECRET}@b:port", "http://[::1"]
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ParameterInvalid, match="must look like") as caught:
        Management(url)
    assert SECRET not in str(caught.value)


def test_nobody_answers() -> None:
    port = free_port()
    with (
        Management(f"http://u:{SECRET}@127.0.0.1:{port}") as management,
        pytest.raises(SourceError, match=f"127.0.0.1:{port}: does not answer") as caught,
    ):
        management.ask()
    assert SECRET not in str(caught.value)


@pytest.fixture
def other_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of something that answers everything with the test's status and body."""
    status, body = request.param

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://u:{SECRET}@127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("other_server", "reason"),
    [
        ((503, b""), "status 503"),
        ((200, b"<html>"), "JSON"),
        ((200, b"[]"), "a list, not a dict"),
        ((200, b"\xff"), "JSON"),
    ],
    indirect=["other_server"],
)
def test_something_else_answers(other_server: str, reason: str) -> None:
    with Management(other_server) as management, pytest.raises(SourceError, match=reason) as caught:
        management.ask()
    assert SECRET not in str(caught.value)
