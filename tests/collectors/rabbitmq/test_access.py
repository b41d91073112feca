"""Who we are to a broker, and how it is told: TLS, passwords, tokens, and that none of it is shown."""

from __future__ import annotations

import logging
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from collectors.address import split_credentials
from collectors.rabbitmq import ask as asking
from collectors.rabbitmq.access import Access, access, from_settings
from collectors.rabbitmq.ask import Ask
from store.errors import FileUnusable, ParameterInvalid, SettingsError, SourceError
from store.settings import load
from tests.certificates import Authority
from tests.fix_rabbitmq import Guarded
from tests.servers import free_port

SECRET = "s3cret"
OVERVIEW = "/api/overview"


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
        access(url)
    assert SECRET not in str(caught.value)


@contextmanager
def server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """The address of a server that answers so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


def say(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"{}") -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_a_secret_is_read_again_when_its_file_changes(tmp_path: Path) -> None:
    heard: list[str | None] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        heard.append(handler.headers["Authorization"])
        say(handler, 200)

    secret = tmp_path / "secret"
    secret.write_text("one\n")
    with server(answer) as url:
        for more in ({"token_file": secret}, {"user": "u", "password_file": secret}):
            with Ask(access(url, **more)) as ask:
                secret.write_text("one\n")
                ask.json(OVERVIEW, dict)
                secret.write_text("another\n")
                ask.json(OVERVIEW, dict)
                secret.unlink()  # as while it is being replaced
                ask.json(OVERVIEW, dict)
                secret.write_text("one\n")
    bearer, basic = ["Bearer one", "Bearer another"], ["Basic dTpvbmU=", "Basic dTphbm90aGVy"]
    assert heard == [*bearer, bearer[1], *basic, basic[1]]


def test_a_secret_that_is_none(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    with pytest.raises(FileUnusable, match="cannot be read: No such file"):
        Ask(access("http://b", token_file=empty))
    empty.write_text("\n")
    with pytest.raises(FileUnusable, match="holds no secret"):
        Ask(access("http://b", token_file=empty))


@pytest.mark.parametrize(
    ("url", "known", "told"),
    [
        ("http://broker:15692", True, True),
        ("http://broker:15692", False, False),
        ("http://other:15692", True, False),
        ("https://other:15691", True, True),
        ("http://a:b@other:15692", False, True),
    ],
)
def test_who_else_is_told(url: str, known: bool, told: bool) -> None:
    mine = access(f"http://u:{SECRET}@broker:15672")
    assert (mine.at(url, known=known).user is not None) == told


def test_what_goes_by_https_never_goes_by_http() -> None:
    assert access(f"https://u:{SECRET}@broker:15671").at("http://broker:15692", known=True).user is None


def test_settings(tmp_path: Path) -> None:
    password = tmp_path / "password"
    made = from_settings(load(rabbitmq_url="http://old:gone@b", rabbitmq_user="u", rabbitmq_password=SECRET))
    assert (made.url, made.user, made.password) == ("http://b", "u", SECRET)
    made = from_settings(load(rabbitmq_url="http://u@b", rabbitmq_password_file=password, rabbitmq_timeout_s=3))
    assert (made.user, made.password_file, made.timeout_s) == ("u", password, 3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rabbitmq_password": SECRET, "rabbitmq_password_file": "f"}, "are both set"),
        ({"rabbitmq_token": SECRET, "rabbitmq_token_file": "f"}, "are both set"),
        ({"rabbitmq_key": "f"}, "needs rabbitmq_cert"),
        ({"rabbitmq_url": f"amqp://u:{SECRET}@b"}, "must look like"),
    ],
)
def test_settings_that_contradict_each_other(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        from_settings(load(**wrong))
    assert SECRET not in str(caught.value)


def test_no_secret_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    settings = load(rabbitmq_url=f"http://u:{SECRET}@127.0.0.1:{free_port()}", rabbitmq_token=SECRET)
    made = from_settings(settings)
    assert SECRET not in repr(made) + str(made) + repr(settings)
    with Ask(made) as ask, pytest.raises(SourceError) as caught:
        ask.json(OVERVIEW, dict)
    assert SECRET not in str(caught.value) + repr(caught.value) + caplog.text


def test_nobody_answers() -> None:
    port = free_port()
    with Ask(access(f"http://127.0.0.1:{port}")) as ask, pytest.raises(SourceError, match="nobody answers") as caught:
        ask.text("/metrics")
    assert caught.value.kind == "down"
    assert caught.value.where == f"http://127.0.0.1:{port}"
    assert pickle.loads(pickle.dumps(caught.value)).kind == "down"


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, b'{"reason":"Login failed"}', "denied", "refuses the user name or the password"),
        (401, b'{"reason":"Not management user"}', "denied", "may not use the management API"),
        (403, b"", "denied", "does not let this user see /api/overview"),
        (503, b"", "wrong", "status 503"),
        (200, b"<html>", "wrong", "not JSON"),
        (200, b"[]", "wrong", "a list, not a dict"),
        (200, b"\xff", "wrong", "not JSON"),
        (200, b"[" * 100_000, "wrong", "not JSON"),
    ],
)
def test_something_else_answers(status: int, body: bytes, kind: str, said: str) -> None:
    with (
        server(lambda handler: say(handler, status, body)) as url,
        Ask(access(url)) as ask,
        pytest.raises(SourceError, match=said) as caught,
    ):
        ask.json(f"{OVERVIEW}?columns=a", dict)
    assert caught.value.kind == kind
    assert "columns" not in str(caught.value)


def test_no_answer_in_time_and_one_that_drips() -> None:
    stop = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/never":
            stop.wait(10)
            return
        handler.send_response(200)
        handler.end_headers()
        while not stop.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    with server(drip) as url:
        try:
            for path in ("/never", "/drips"):
                with Ask(access(url, timeout_s=0.4)) as ask, pytest.raises(SourceError, match="within 0.4 s") as caught:
                    ask.text(path)
                assert caught.value.kind == "slow"
        finally:
            stop.set()


def test_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MOST_BYTES", 1 << 20)
    with (
        server(lambda handler: say(handler, 200, b" " * (2 << 20))) as url,
        Ask(access(url)) as ask,
        pytest.raises(SourceError, match="more than 1 MB"),
    ):
        ask.text("/")


def guarded_access(guarded: Guarded, **more: object) -> Access:
    cert, key = guarded.client
    return access(guarded.url, **{"ca": guarded.authority.ca, "cert": cert, "key": key, **more})


def test_tls_with_a_certificate_of_ours(guarded: Guarded) -> None:
    with Ask(guarded_access(guarded, user="guest", password="guest")) as ask:
        assert ask.json(OVERVIEW, dict)["product_name"] == "RabbitMQ"
    with Ask(guarded_access(guarded).at(guarded.prometheus_url)) as ask:
        assert "rabbitmq_build_info" in ask.text("/metrics")


def test_key_and_certificate_in_one_file(guarded: Guarded, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text("".join(file.read_text() for file in guarded.client))
    with Ask(guarded_access(guarded, cert=both, key=None, user="guest", password="guest")) as ask:
        ask.json(OVERVIEW, dict)


def test_tls_that_fails(guarded: Guarded, tmp_path: Path) -> None:
    stranger = Authority(tmp_path)
    cases: list[tuple[dict[str, object], str]] = [
        ({"cert": None, "key": None}, "GAUGEBOOK_RABBITMQ_CERT|breaks off"),
        ({"ca": stranger.ca}, "its certificate is not trusted .* GAUGEBOOK_RABBITMQ_CA names"),
        ({"ca": None}, "its certificate is not trusted"),
    ]
    for more, said in cases:
        with Ask(guarded_access(guarded, **more)) as ask, pytest.raises(SourceError, match=said) as caught:
            ask.json(OVERVIEW, dict)
        assert caught.value.kind == "down"


def test_certificates_that_are_none(guarded: Guarded, tmp_path: Path) -> None:
    cert, key = guarded.client
    none = tmp_path / "none.pem"
    none.write_text("no certificate")
    for more in ({"ca": none}, {"ca": tmp_path / "gone"}):
        with pytest.raises(FileUnusable, match="holds no certificate of an authority"):
            Ask(guarded_access(guarded, **more))
    for more in ({"cert": none}, {"key": none}, {"cert": key, "key": None}, {"key": tmp_path / "gone"}):
        with pytest.raises(FileUnusable, match="no certificate with its key"):
            Ask(guarded_access(guarded, **more))
    assert cert.is_file()


def test_a_token_of_oauth(guarded: Guarded, tmp_path: Path) -> None:
    claims = {"aud": "rabbitmq", "sub": "collector", "client_id": "collector"}
    good = guarded.issuer.token(scope=["rabbitmq.tag:monitoring", "rabbitmq.read:*/*"], **claims)
    late = guarded.issuer.token(scope=["rabbitmq.tag:monitoring"], exp=1, **claims)
    file = tmp_path / "token"
    file.write_text(late)
    with Ask(guarded_access(guarded, token_file=file)) as ask:
        with pytest.raises(SourceError) as caught:
            ask.json(OVERVIEW, dict)
        assert caught.value.kind == "denied"
        assert late not in str(caught.value)
        file.write_text(good)  # the sidecar has renewed it
        assert ask.json(OVERVIEW, dict)["cluster_name"]
        assert ask.json("/api/whoami", dict)["tags"] == ["monitoring"]


def test_httpx_logs_no_secret(guarded: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Ask(guarded_access(guarded, user="guest", password=SECRET)) as ask, pytest.raises(SourceError):
        ask.json(OVERVIEW, dict)
    assert SECRET not in caplog.text
    assert httpx2.BasicAuth("guest", SECRET)._auth_header not in caplog.text
