"""How a broker is reached: its address, who we are to it, and TLS. No secret is ever shown."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from collectors.address import split_credentials
from store.errors import FileUnusable, ParameterInvalid, SettingsError
from store.settings import Settings

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Access:
    """An address and what it wants to see; made by `access` or by `from_settings`.

    Attributes:
        url: without credentials.
        user, password: for basic authentication.
        password_file, token_file: hold the one or the other, and are read again whenever they change.
        token: OAuth 2, sent as a bearer token. A token wins over a password.
        ca: of the authorities that the server's certificate may come from; none: the system's.
        cert, key: our own certificate and its key (which may be in `cert`), where the server asks for one.
        timeout_s: until a server that is silent is given up.
    """

    url: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: Path | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    timeout_s: float = TIMEOUT_S

    def client(self) -> httpx2.Client:
        """A client that says so, to whatever is asked with it.

        Raises:
            FileUnusable: a certificate, a key or a secret cannot be read from its file.
        """
        auth = self._auth()
        # No proxy and no .netrc: a broker is near, and its credentials are those given here. Not compressed: what the
        # broker would spend on that is worth more than the way between two machines that are near.
        return httpx2.Client(
            auth=auth,
            verify=self._trust(),
            timeout=self.timeout_s,
            headers={"Accept-Encoding": "identity"},
            trust_env=False,
        )

    def at(self, url: str, *, known: bool = False) -> Access:
        """The same at another address, with the credentials in that one, if there are any, and otherwise with none.

        `known`: it is of the same broker, and may be told who we are where nobody else can listen: at the same host or
        by TLS, and never by http where the broker itself is asked by https.

        Raises:
            ParameterInvalid: `url` is not an http or https address.
        """
        base, auth = split_credentials(url)
        ours, theirs = urlsplit(self.url), urlsplit(base)
        safe = theirs.scheme == "https" or (ours.scheme == "http" and ours.hostname == theirs.hostname)
        if auth is None and known and safe:
            return replace(self, url=base)
        user, password = auth or (None, None)
        return replace(self, url=base, user=user, password=password, password_file=None, token=None, token_file=None)

    def _auth(self) -> httpx2.Auth | None:
        if self.token_file is not None:
            return _FromFile(self.token_file, None)
        if self.token is not None:
            return _Header(f"Bearer {self.token}")
        if self.user is None:
            return None
        if self.password_file is not None:
            return _FromFile(self.password_file, self.user)
        return _Header(_basic(self.user, self.password or ""))

    def _trust(self) -> ssl.SSLContext | bool:
        if urlsplit(self.url).scheme != "https":
            return True
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            raise FileUnusable(self.ca, f"holds no certificate of an authority (PEM): {_short(error)}") from error
        if self.cert is not None:
            try:
                # An empty password: without one, a locked key would be asked for on the terminal.
                context.load_cert_chain(self.cert, self.key, password="")
            except (OSError, ssl.SSLError) as error:
                files = self.cert if self.key is None else f"{self.cert} and {self.key}"
                raise FileUnusable(files, f"no certificate with its key, unlocked (PEM): {_short(error)}") from error
        return context


def access(url: str, **more: object) -> Access:
    """The access to `url`, such as `http://user:password@host:15672`; `more` as in `Access`.

    Raises:
        ParameterInvalid: `url` is not an http or https address.

    >>> access("https://me:secret@broker:15671")
    Access(url='https://broker:15671', user='me', password_file=None, token_file=None, ca=None, cert=None, key=None, timeout_s=10.0)
    """  # noqa: E501
    base, auth = split_credentials(url)
    if auth is not None:
        more = {"user": auth[0], "password": auth[1]} | more
    return Access(base, **more)  # type: ignore[arg-type]


def from_settings(settings: Settings, *, timeout_s: float | None = None) -> Access:
    """The access that `rabbitmq_url` and the settings beside it describe.

    A user, a password or a token of their own win over those in the address.

    Raises:
        SettingsError: two of them contradict each other, or the address is not one.
    """
    given = {
        name: getattr(settings, f"rabbitmq_{name}")
        for name in ("user", "password_file", "token_file", "ca", "cert", "key")
    }
    more: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    for name in ("password", "token"):
        secret = getattr(settings, f"rabbitmq_{name}")
        if secret is None:
            continue
        if f"{name}_file" in more:
            raise SettingsError(f"rabbitmq_{name}", "settings", f"and rabbitmq_{name}_file are both set; name one")
        more[name] = secret.get_secret_value()
    if settings.rabbitmq_key is not None and settings.rabbitmq_cert is None:
        raise SettingsError("rabbitmq_key", "settings", "needs rabbitmq_cert, the certificate that it is the key of")
    try:
        return access(
            settings.rabbitmq_url, **more, timeout_s=settings.rabbitmq_timeout_s if timeout_s is None else timeout_s
        )
    except ParameterInvalid as error:
        raise SettingsError("rabbitmq_url", "settings", error.reason) from None


class _Header(httpx2.Auth):
    """Says always the same."""

    def __init__(self, value: str) -> None:
        self._value = value

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers["Authorization"] = self._value
        yield request


class _FromFile(httpx2.Auth):
    """A bearer token, or the password of `user`, from a file that somebody else renews."""

    def __init__(self, path: Path, user: str | None) -> None:
        self._path, self._user = path, user
        self._state: tuple[int, ...] = ()
        self._value = ""
        self._read()

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        self._read()
        request.headers["Authorization"] = self._value
        yield request

    def _read(self) -> None:
        try:
            stat = self._path.stat()
            state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if state == self._state:
                return
            secret = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            if self._value:
                return  # it is just being replaced: what was there is the best we have, and the next look tries again
            raise FileUnusable(self._path, f"cannot be read: {_short(error)}") from error
        if not secret or not secret.isprintable():
            if self._value:
                return
            raise FileUnusable(self._path, "holds no secret: one line of text is expected")
        self._state = state
        self._value = f"Bearer {secret}" if self._user is None else _basic(self._user, secret)


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _short(error: Exception) -> str:
    return getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__
