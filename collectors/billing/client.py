"""Fetches a provider's reports page by page, with patience for a busy server and none for a loop."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
from httpx2 import codes

from collectors.billing.fields import NotAReport
from collectors.billing.provider import Ask, Provider, Reading
from store.errors import ParameterInvalid, SourceError

ATTEMPTS = 6
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
BUSY = {codes.REQUEST_TIMEOUT, codes.TOO_MANY_REQUESTS, 500, 502, 503, 504, 529}
MOST_PAGES = 10_000  # more than fifty years of days
KEY = re.compile(r"[!-~]{1,1000}")
NEAR = ("127.0.0.1", "::1", "localhost")


class Reports:
    """The reports of `provider` at `base_url`. The key goes into a header and nowhere else.

    Args:
        provider: whose reports.
        key: an admin key; an ordinary key is refused by the provider.
        base_url: another address than the provider's own.
        wait: called with seconds; sleeps.

    Raises:
        ParameterInvalid: the key cannot be one, or `base_url` is no https address (http is for this machine alone).
    """

    def __init__(
        self,
        provider: Provider,
        key: str,
        *,
        base_url: str | None = None,
        timeout_s: float = 60.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.where = _checked(base_url or provider.base_url)
        if not KEY.fullmatch(key):
            raise ParameterInvalid(provider.key_setting, "is not a key: it must be one word of printable ASCII")
        self._provider, self._wait = provider, wait
        near = urlsplit(self.where).hostname in NEAR
        self._client = httpx2.Client(
            base_url=self.where, headers=provider.headers(key), timeout=timeout_s, trust_env=not near
        )

    def read(self, ask: Ask) -> Iterator[Reading]:
        """The pages of one report, in order.

        Raises:
            SourceError: the provider refuses the key, stays away, or says something that is not such a report.
        """
        seen: set[str] = set()
        page: str | None = None
        for _ in range(MOST_PAGES):
            reading = self._read(ask, page)
            yield reading
            if not reading.more:
                return
            page = reading.next_page
            if page is None or page in seen:
                raise SourceError(self.where, f"{ask.path} says that there is more, and not where")
            seen.add(page)
        raise SourceError(self.where, f"{ask.path} has more than {MOST_PAGES} pages; ask for fewer days at once")

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _read(self, ask: Ask, page: str | None) -> Reading:
        response = self._get(ask, page)
        try:
            return self._provider.read(parsed(response.content), ask.kind)
        except NotAReport as error:
            raise SourceError(self.where, f"{ask.path} is not the report it should be: {error}") from error

    def _get(self, ask: Ask, page: str | None) -> httpx2.Response:
        problem = "does not answer"
        for attempt in range(ATTEMPTS):
            asked_s: float | None = None
            try:
                response = self._client.get(ask.path, params=ask.query(page))
            except httpx2.TimeoutException:
                problem = "does not answer in time"
            except httpx2.TransportError as error:
                problem = f"does not answer: {type(error).__name__}"
            else:
                if response.status_code == codes.OK:
                    return response
                if response.status_code not in BUSY:
                    raise SourceError(self.where, self._refusal(response.status_code, ask.path))
                problem = f"answers {ask.path} with status {response.status_code}"
                asked_s = _seconds(response.headers.get("retry-after"))
            if attempt + 1 < ATTEMPTS:
                self._wait(back_off_s(attempt) if asked_s is None else min(asked_s, LONGEST_WAIT_S))
        raise SourceError(self.where, f"{problem}, {ATTEMPTS} times. Try again later; nothing was imported")

    def _refusal(self, status: int, path: str) -> str:
        # The body is left out: what a provider says of a key repeats parts of it.
        if status in (codes.UNAUTHORIZED, codes.FORBIDDEN):
            name = f"GAUGEBOOK_{self._provider.key_setting.upper()}"
            return f"refuses the key for {path}: {name} must be an admin key of the organisation, not a project's"
        return f"answers {path} with status {status}"


def parsed(content: bytes | str) -> dict[str, Any]:
    """The JSON object `content`, with its fractions exact.

    Raises:
        NotAReport: it is something else.
    """
    try:
        found = json.loads(content, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise NotAReport("it is not JSON") from None
    if not isinstance(found, dict):
        raise NotAReport("it is not a JSON object")
    return found


def back_off_s(attempt: int) -> float:
    """Seconds to wait after the failure number `attempt` from 0: twice as long each time, with some chance in it."""
    return float(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**attempt) * random.uniform(0.5, 1.0))  # noqa: S311 - no secret


def _seconds(header: str | None) -> float | None:
    try:
        found = float(header) if header else -1.0
    except ValueError:  # a date: rare, and our own waiting time serves as well
        return None
    return found if 0 <= found < float("inf") else None


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise ParameterInvalid("base-url", "must look like https://api.example.com, without credentials")
    if parts.scheme == "http" and host not in NEAR:
        raise ParameterInvalid("base-url", f"would send the admin key to {host} unencrypted; use https")
    return url.strip().rstrip("/")
