"""A Prometheus server: how it is reached, and its HTTP API with patience for a busy one."""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx2
from httpx2 import codes
from pydantic_core import from_json

from analytics.prom.faults import refused
from store.errors import FileUnusable, ParameterInvalid, SourceError

DEFAULT_URL = "http://127.0.0.1:9090"
NEAR = ("127.0.0.1", "::1", "localhost")
BUSY = {codes.REQUEST_TIMEOUT, codes.TOO_MANY_REQUESTS, 502, 503, 504}
DENIED = {codes.UNAUTHORIZED, codes.FORBIDDEN}
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 30.0
# What Prometheus, Thanos and Mimir say of a query that asks for too much at once.
TOO_MUCH = ("too many samples", "maximum resolution", "timed out", "exceeded sample limit", "deadline exceeded")


class TooMuch(Exception):
    """The server would answer if less were asked for at once. The message is its own."""


@dataclass(frozen=True)
class Server:
    """Where a Prometheus is and how to get in.

    Args:
        url: its address, with the path that it is served under; `user:password@` in it is taken as the next two.
        user: for basic auth.
        password: the password, or a `Path` to a file with it.
        token: a bearer token, or a `Path` to a file with one.
        ca: PEM file of the authorities to trust in place of the system's.
        certificate: PEM file of a client certificate.
        key: PEM file of its key, where it is not in the same file.
        headers: more headers, such as {"X-Scope-OrgID": "team"}.
        timeout_s: seconds without a byte after which the server counts as away.
        attempts: how often something is asked before that is an error; waits grow from a quarter of a second.
    """

    url: str = DEFAULT_URL
    user: str | None = None
    password: str | Path | None = field(default=None, repr=False)
    token: str | Path | None = field(default=None, repr=False)
    ca: str | Path | None = None
    certificate: str | Path | None = None
    key: str | Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 120.0
    attempts: int = 4

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            hidden = self.url.rpartition("@")[2]  # what is in front of it may be a password
            raise ParameterInvalid("url", f"expected an address such as {DEFAULT_URL}, got {hidden!r}")
        if parts.username is not None:
            object.__setattr__(self, "user", self.user or unquote(parts.username))
            object.__setattr__(self, "password", self.password or unquote(parts.password or ""))
        bare = (parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", "")
        object.__setattr__(self, "url", urlunsplit(bare))
        if self.user is not None and self.token is not None:
            raise ParameterInvalid("token", "a user with a password, or a token: not both")

    @property
    def near(self) -> bool:
        """Whether it is on this machine, so that no proxy is asked."""
        return urlsplit(self.url).hostname in NEAR

    def authorization(self) -> tuple[tuple[str, str] | None, dict[str, str]]:
        """User and password, and the headers that every request has.

        Raises:
            FileUnusable: a file with a secret cannot be read.
        """
        headers = dict(self.headers)
        if self.token is not None:
            headers["Authorization"] = f"Bearer {_secret(self.token, 'token')}"
        return (None if self.user is None else (self.user, _secret(self.password or "", "password"))), headers

    def tls(self) -> ssl.SSLContext | None:
        """What is trusted and shown; None for plain HTTP.

        Raises:
            FileUnusable: a file is not what it should be.
        """
        if not self.url.startswith("https:"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise FileUnusable(self.ca, f"holds no certificates of authorities: {_said(error)}") from None
        if self.certificate is not None:
            try:
                context.load_cert_chain(self.certificate, self.key)
            except (OSError, ssl.SSLError) as error:
                reason = f"is no certificate with its key: {_said(error)}"
                raise FileUnusable(self.certificate, reason) from None
        return context


class Api:
    """The HTTP API of a server. Use it in a `with` statement."""

    def __init__(self, server: Server | str, *, wait: Callable[[float], None] = time.sleep) -> None:
        self.server = server if isinstance(server, Server) else Server(server)
        self.where = self.server.url
        self._wait = wait
        auth, headers = self.server.authorization()
        self._client = httpx2.Client(
            auth=auth,
            headers=headers,
            timeout=httpx2.Timeout(self.server.timeout_s, connect=min(10.0, self.server.timeout_s)),
            trust_env=not self.server.near,
            verify=self.server.tls() or False,  # over plain HTTP there is nothing to verify
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def ask(self, path: str, form: Mapping[str, str], query: str | None = None) -> Any:
        """The `data` of an answer to `path`, such as "query_range"; `query` is what an error shows.

        Raises:
            QueryRefused: the query is wrong or cannot be carried out.
            TooMuch: it asks for too much at once.
            SourceError: the server does not answer as it should.
        """
        return self.patiently(lambda: self._ask("POST", path, form, query))

    def look(self, path: str) -> Any:
        """The `data` of an answer to a GET of `path`; None where the server does not have it or does not show it."""
        try:
            return self.patiently(lambda: self._ask("GET", path, {}, None))
        except SourceError as error:
            if error.kind == "down":
                raise
            return None

    @contextmanager
    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
        """The answer to `body`, not read yet."""
        with self._client.stream("POST", f"{self.where}/api/v1/{path}", content=body, headers=headers) as response:
            yield response

    def patiently(self, act: Callable[[], Any]) -> Any:
        """What `act` returns, tried again with growing waits while the server is busy or away.

        Raises:
            SourceError: it stays so.
        """
        attempts = max(1, self.server.attempts)
        for attempt in range(1, attempts + 1):
            asked_s = None
            try:
                return act()
            except Busy as busy:
                problem, kind, asked_s = str(busy), "slow", busy.asked_s
            except httpx2.TimeoutException as error:
                problem, kind = f"no answer in {self.server.timeout_s:g} s", "slow"
                problem = "no connection in time" if isinstance(error, httpx2.ConnectTimeout) else problem
            except httpx2.TransportError as error:
                problem, kind = f"does not answer: {_said(error)}", "down"
                if _untrusted(error):
                    problem = f"no trusted connection: {_said(error)}"
                    raise SourceError(self.where, problem, "down") from error
            except httpx2.HTTPError as error:
                raise SourceError(self.where, f"is no Prometheus: {_said(error)}") from error
            if attempt < attempts:
                wait_s = FIRST_WAIT_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)  # noqa: S311
                self._wait(min(LONGEST_WAIT_S, wait_s if asked_s is None else asked_s))
        tries = f", {attempts} times" if attempts > 1 else ""
        raise SourceError(self.where, f"{problem}{tries}", "down" if kind == "down" else "slow")

    def refuse(self, response: httpx2.Response, path: str) -> None:
        """Raise what the status of an answer, read as far as it is short, means; nothing where it is OK."""
        status = response.status_code
        if status == codes.OK:
            return
        if status in DENIED:
            what = "asks for credentials" if status == codes.UNAUTHORIZED else "does not allow this"
            raise SourceError(self.where, f"{what} (status {status}): check user and password, or token", "denied")
        if status in BUSY:
            raise Busy(f"is busy: status {status} to {path}", _seconds(response.headers.get("retry-after")))
        raise SourceError(self.where, f"answers {path} with status {status}: {_text(response)}")

    @cached_property
    def build(self) -> dict[str, str]:
        """What the server says of its version; empty where it says nothing."""
        return self.look("status/buildinfo") or {}

    @cached_property
    def version(self) -> tuple[int, int] | None:
        """Major and minor version of a Prometheus; None where it is another program, or does not say."""
        numbers = self.build.get("version", "").split(".")
        if "application" in self.build or len(numbers) < 2 or not all(number.isdecimal() for number in numbers[:2]):
            return None
        return int(numbers[0]), int(numbers[1])

    @cached_property
    def flags(self) -> dict[str, str]:
        """The server's flags; empty where it does not show them."""
        return self.look("status/flags") or {}

    def _ask(self, method: str, path: str, form: Mapping[str, str], query: str | None) -> Any:
        url = f"{self.where}/api/v1/{path}"
        response = self._client.post(url, data=form) if method == "POST" else self._client.get(url, params=form)
        if response.status_code == codes.METHOD_NOT_ALLOWED and method == "POST":
            return self._ask("GET", path, form, query)
        try:
            body = from_json(response.content)
        except ValueError:
            body = None
        if not isinstance(body, dict) or body.get("status") not in ("success", "error"):
            self.refuse(response, path)
            raise SourceError(self.where, f"answers {path} with something that is not Prometheus' JSON")
        if body["status"] == "success":
            return body.get("data")
        message = str(body.get("error"))
        if any(words in message for words in TOO_MUCH):
            raise TooMuch(message)
        if query is not None and body.get("errorType") in ("bad_data", "execution"):
            raise refused(self.where, query, message)
        self.refuse(response, path)
        raise SourceError(self.where, f"answers {path} with an error: {message}")


class Busy(Exception):
    """The server may answer later, after `asked_s` seconds where it says so."""

    def __init__(self, problem: str, asked_s: float | None = None) -> None:
        super().__init__(problem)
        self.asked_s = asked_s


def _secret(given: str | Path, what: str) -> str:
    if isinstance(given, str):
        return given
    try:
        return given.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnusable(given, f"cannot be read: {type(error).__name__}; it should hold the {what}") from None


def _untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdecimal() else None


def _said(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _text(response: httpx2.Response) -> str:
    """The beginning of an answer that is an error, in one line."""
    try:
        body = response.read()
    except httpx2.HTTPError:
        return "the rest is lost"
    return " ".join(body[:300].decode(errors="replace").split()) or "no more"
