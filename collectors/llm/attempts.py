"""Which attempt of one request a call is: as the client tells, else counted."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from contextvars import ContextVar

_RETRYABLE = frozenset({408, 409, 425, 429})  # and every 5xx: what clients send again
_AWS = re.compile(r"attempt=(\d{1,4})")

_failed: ContextVar[tuple[int, int] | None] = ContextVar("gaugebook_llm_failed", default=None)


def attempt(headers: Mapping[str, str], target: Hashable, body: bytes) -> int:
    """The number of this attempt, from 1.

    The clients made by Stainless (openai, anthropic, groq) and botocore say it in a header. For the others: one more
    than the last failed attempt of this context, where that sent the same body to the same address.

    Args:
        headers: of the request, by lower-case name.
        target: where it goes.
        body: what is about to be sent; an empty one is never the same as another.
    """
    retries = headers.get("x-stainless-retry-count")
    if retries is not None and retries.isdecimal():
        return int(retries[:4]) + 1
    if "amz-sdk-request" in headers:
        told = _AWS.search(headers["amz-sdk-request"])
        if told:
            return int(told[1])
    last = _failed.get()
    return last[1] + 1 if last is not None and body and last[0] == hash((target, body)) else 1


def failed(target: Hashable, body: bytes, number: int) -> None:
    """Remember, in this context, that this attempt has failed. Of the body no more than a hash is kept."""
    _failed.set((hash((target, body)), number))


def done() -> None:
    """The last attempt of this context was answered."""
    if _failed.get() is not None:
        _failed.set(None)


def retryable(status: int) -> bool:
    """Whether clients send a request again that was answered so."""
    return status >= 500 or status in _RETRYABLE
