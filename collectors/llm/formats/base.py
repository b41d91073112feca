"""What every format offers the tap: a Protocol, and the plain values that pass through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from collectors.llm.usage import Usage

__all__ = ["Answer", "Asked", "Format", "Reader", "Usage"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for; None where neither its path nor its body says.

    `wants_usage`: it asks for the usage of its stream. `max_output_tokens`: the most that it lets the model generate,
    in all answers together where it asks for several. `batch`: it is answered at the price of a batch.
    """

    model: str | None = None
    streamed: bool = False
    wants_usage: bool = False
    max_output_tokens: int | None = None
    service_tier: str | None = None
    batch: bool = False


@dataclass(slots=True)
class Answer:
    """What has been read of a response so far. The `_at` are seconds on the clock that `feed` was given.

    `complete`: the provider said that it has finished; a stream without this was cut off.
    `usage`: of a stream that was cut off it is None, for what had been told by then was not yet the whole.
    `refused`: `refusal` where the model declined, `content_filter` where a filter stopped it.
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
    refused: str | None = None
    complete: bool = False
    unread: int = 0


class Reader(Protocol):
    """Reads one response body as it arrives; any split of the bytes gives the same `answer`.

    `streams`: the body is a stream of events, which tells its end (`Answer.complete`); else it is one document.
    """

    answer: Answer
    streams: bool

    def feed_tokens(self, data: bytes, at: float) -> bool:
        """Take the next bytes if they tell nothing but tokens, the last at `at` (s); False: they are not taken."""
        ...

    def feed(self, data: bytes, at: float) -> bytes:
        """Take the next bytes, which arrived at `at` (s); return those that the application should see now."""
        ...

    def rest(self, at: float) -> bytes:
        """The body has ended at `at` (s): read what is left; return what the application has not seen yet."""
        ...


class Format(Protocol):
    """One provider's way of speaking HTTP.

    `name`: such as `openai.chat`; `operation`: `chat`, `text_completion`, `embeddings` or `generate_content`;
    `provider`: whom the format implies where the host says nothing; None: only the host can tell.
    """

    name: str
    operation: str
    provider: str | None

    def matches(self, host: str, path: str) -> bool:
        """Whether a POST to this path (without its query) is a call of this format; `host` is without its port."""
        ...

    def asked(self, path: str, body: bytes) -> Asked:
        """Read a request; whatever it holds, this does not raise. `body` is empty where it cannot be read."""
        ...

    def ask_for_usage(self, body: bytes) -> bytes | None:
        """The same request, asking for the usage of its stream; None where that cannot be done or is not needed."""
        ...

    def reader(self, *, headers: Mapping[str, str], asked: Asked, hide_usage: bool = False) -> Reader:
        """A reader of one response.

        `headers`: of the response; `get` with a lower-case name must find them (a mapping that ignores case will do).
        `hide_usage`: keep the event that carries nothing but usage from the application; only for a stream that
        `ask_for_usage` has asked, and only one that is not compressed. A body that is no stream ignores it.
        """
        ...
