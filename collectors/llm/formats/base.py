"""What every format offers the tap: a Protocol, and the plain values that pass through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for. `model`: None when the body does not say; `wants_usage`: asks for its stream's usage."""

    model: str | None = None
    streamed: bool = False
    wants_usage: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as a provider reported them; None: not reported.

    `input_tokens` include those read from and written to a cache, `output_tokens` include reasoning.
    `audio`: some of them are audio tokens, which have prices of their own.
    """

    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio: bool = False


@dataclass(slots=True)
class Answer:
    """What has been read of a response so far. The `_at` are seconds on the clock that `feed` was given.

    `complete`: the provider said that it has finished; a stream without this was cut off.
    `unread`: events that our own code stumbled over.
    """

    response_id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    first_chunk_at: float | None = None
    first_token_at: float | None = None
    last_token_at: float | None = None
    error_type: str | None = None
    finish_reason: str | None = None
    service_tier: str | None = None
    complete: bool = False
    unread: int = 0


class Reader(Protocol):
    """Reads one response body as it arrives; any split of the bytes gives the same `answer`."""

    answer: Answer

    def feed(self, data: bytes, at: float) -> bytes:
        """Take the next bytes, which arrived at `at` (s); return those that the application should see now."""
        ...

    def rest(self, at: float) -> bytes:
        """The body has ended at `at` (s): read what is left; return what the application has not seen yet."""
        ...


class Format(Protocol):
    """One provider's way of speaking HTTP."""

    operation: str

    def matches(self, path: str) -> bool:
        """Whether a POST to this path is a call of this format."""
        ...

    def asked(self, body: bytes) -> Asked:
        """Read a request body; whatever it holds, this does not raise."""
        ...

    def ask_for_usage(self, body: bytes) -> bytes | None:
        """The same request, asking for the usage of its stream; None where that cannot be done."""
        ...

    def reader(self, *, events: bool, hide_usage: bool = False) -> Reader:
        """A reader of one response.

        `events`: the body is an event stream; `hide_usage`: keep the usage-only event from the application.
        """
        ...
