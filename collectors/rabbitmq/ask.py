"""One question over HTTP, answered in time and of a bearable size, or a SourceError that says what is wrong."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx2
from httpx2 import codes

from collectors.rabbitmq.access import Access
from store.errors import FileUnusable, SourceError

T = TypeVar("T")

MOST_BYTES = 256 << 20  # of one answer; 10,000 queues take 5 MB


class Ask:
    """Asks the server that `access` leads to. The client opens its connections when it is first used.

    Raises:
        FileUnusable: a certificate, a key or a secret cannot be read from its file.
    """

    def __init__(self, access: Access) -> None:
        self.where = access.url
        self._timeout_s = access.timeout_s
        self._client = access.client()

    def text(self, path: str, *, otherwise: str | None = None) -> str:
        """The body of the answer; what is not UTF-8 in it is replaced. Where there is no `path` (404), `otherwise`.

        Raises:
            SourceError: of kind `down`, `denied`, `slow` or `wrong`.
        """
        status, body = self._get(path)
        if status == codes.NOT_FOUND and otherwise is not None:
            return self.text(otherwise)
        if status != codes.OK:
            raise self._refused(path, status, body)
        return body.decode("utf-8", "replace")

    def json(self, path: str, kind: type[T]) -> T:
        """The answer, which should be a `kind`. Raises what `text` raises."""
        status, body = self._get(path)
        if status != codes.OK:
            raise self._refused(path, status, body)
        return self._parsed(path, body, kind)

    def maybe(self, path: str, kind: type[T]) -> T | None:
        """As `json`; None where there is no such thing (404, or 405 of a path that means something else)."""
        status, body = self._get(path)
        if status in (codes.NOT_FOUND, codes.METHOD_NOT_ALLOWED):
            return None
        if status != codes.OK:
            raise self._refused(path, status, body)
        return self._parsed(path, body, kind)

    def status(self, path: str) -> tuple[int, bytes]:
        """Status and body, whatever the status is.

        Raises:
            SourceError: of kind `down` or `slow`, or `denied` where these credentials are refused (401).
        """
        status, body = self._get(path)
        if status == codes.UNAUTHORIZED:
            raise self._refused(path, status, body)
        return status, body

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _get(self, path: str) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._timeout_s
        body = bytearray()
        try:
            with self._client.stream("GET", self.where + path) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise SourceError(self.where, f"answers {_bare(path)} with more than {MOST_BYTES >> 20} MB")
                    if time.monotonic() > deadline:  # the client's own limit is for each piece
                        raise self._slow(path)
                return response.status_code, bytes(body)
        except (httpx2.ConnectTimeout, httpx2.ConnectError) as error:
            raise SourceError(self.where, f"nobody answers: {_cause(error)}", "down") from error
        except httpx2.TimeoutException as error:
            raise self._slow(path) from error
        except FileUnusable as error:
            raise SourceError(self.where, f"the credentials cannot be read: {error}", "denied") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise SourceError(self.where, f"breaks off: {_cause(error)}", "down") from error

    def _slow(self, path: str) -> SourceError:
        advice = "GAUGEBOOK_RABBITMQ_TIMEOUT_S gives it more"
        reason = f"does not answer {_bare(path)} within {self._timeout_s:g} s. {advice}"
        return SourceError(self.where, reason, "slow")

    def _refused(self, path: str, status: int, body: bytes) -> SourceError:
        if status == codes.UNAUTHORIZED:
            # A user without any tag of the management plugin is told so here, and not with 403.
            tag = b"management" in body.lower()
            reason = (
                "the user may not use the management API"
                if tag
                else "refuses the user name or the password, or the token"
            )
            return SourceError(self.where, f"{reason}. The user also needs: {RIGHTS}", "denied")
        if status == codes.FORBIDDEN:
            return SourceError(self.where, f"does not let this user see {_bare(path)}. It needs: {RIGHTS}", "denied")
        return SourceError(self.where, f"answers {_bare(path)} with status {status}", "wrong")

    def _parsed(self, path: str, body: bytes, kind: type[T]) -> T:
        try:
            answer: Any = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise SourceError(
                self.where, f"answers {_bare(path)} with something that is not JSON. Is it the management API?"
            ) from error
        if not isinstance(answer, kind):
            got, wanted = type(answer).__name__, kind.__name__
            raise SourceError(self.where, f"answers {_bare(path)} with a {got}, not a {wanted}")
        return answer


RIGHTS = "`rabbitmqctl set_user_tags USER monitoring`"


def segment(name: str) -> str:
    """A vhost or a queue as one part of a path.

    >>> segment("a/b")
    'a%2Fb'
    """
    return quote(name, safe="")


def each(source: Callable[[], T], *, without: tuple[str, ...] = ("denied", "wrong")) -> T | None:
    """What `source` gives; None where it raises a SourceError of one of these kinds."""
    try:
        return source()
    except SourceError as error:
        if error.kind not in without:
            raise
        return None


def _bare(path: str) -> str:
    return path.partition("?")[0]


def _cause(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            if isinstance(cause, ssl.SSLCertVerificationError):
                reason = f"its certificate is not trusted ({cause.verify_message})"
                return f"{reason}. GAUGEBOOK_RABBITMQ_CA names the file of its authority"
            return f"TLS: {cause.reason or 'failed'}. Does it want a client certificate (GAUGEBOOK_RABBITMQ_CERT)?"
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
