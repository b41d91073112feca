"""Reads a response body: a stream event by event as it arrives, or one document when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from collectors.llm.formats.base import Answer, Asked, Reader
from collectors.llm.formats.sse import LIMIT_BYTES
from collectors.llm.formats.values import document, error_type

_STREAMS: Final = ("event-stream", "eventstream", "ndjson", "jsonl", "stream+json")


class Seen(NamedTuple):
    """What an event held: any chunk of the response; a token; usage and nothing else."""

    chunk: bool = False
    token: bool = False
    only_usage: bool = False


NOTHING: Final = Seen()
CHUNK: Final = Seen(chunk=True)
TOKEN: Final = Seen(chunk=True, token=True)
ONLY_USAGE: Final = Seen(chunk=True, only_usage=True)


class Splitter(Protocol):
    """Cuts a byte stream into events; joined, they are the stream. `held`: of the event that has not ended yet."""

    held: bytearray

    def feed(self, data: bytes) -> list[bytes]:
        """The events that `data` completes."""
        ...

    def rest(self) -> bytes:
        """What is left when the stream has ended."""
        ...


class Grammar(Protocol):
    """What the events of one stream mean; made anew for each stream."""

    def is_token(self, event: bytes) -> bool:
        """Whether all that this event can tell is that a token came; asked for each event, so it must be cheap."""
        ...

    def read(self, event: bytes, answer: Answer) -> Seen:
        """Take what the event tells into `answer`."""
        ...

    def settle(self, answer: Answer) -> None:
        """The stream has ended: take in what was put off, and drop what was only provisional."""
        ...


ReadBody = Callable[[dict[str, Any], Answer], None]


def streams(headers: Mapping[str, str], asked: Asked) -> bool:
    """Whether a response is a stream: its media type says so, or the request did and the media type is of no use."""
    kind = (headers.get("content-type") or "").lower()
    if kind.startswith("application/json"):  # nearly always
        return False
    return any(name in kind for name in _STREAMS) or (asked.streamed and "json" not in kind and "html" not in kind)


class StreamReader:
    """Reads a streamed response. Whatever happens in it, the application gets its bytes.

    `read_body`: reads an answer (an error, as a rule) that is no stream although its head says so.
    """

    streams = True

    def __init__(self, splitter: Splitter, grammar: Grammar, read_body: ReadBody, *, hide_usage: bool = False) -> None:
        self.answer = Answer()
        self._splitter, self._grammar, self._read_body = splitter, grammar, read_body
        self._is_token = grammar.is_token
        self._hide_usage = hide_usage

    def feed_tokens(self, data: bytes, at: float) -> bool:
        if self._splitter.held or not self._is_token(data):
            return False
        self.answer.last_token_at = at
        return True

    def feed(self, data: bytes, at: float) -> bytes:
        if self.feed_tokens(data, at):
            return data
        return self._take(self._splitter.feed(data), at)

    def rest(self, at: float) -> bytes:
        left = self._splitter.rest()
        shown = self._take([left], at) if left else b""
        if left and self.answer.first_chunk_at is None:
            try:
                self._read_body(document(left), self.answer)
            except Exception:  # noqa: BLE001
                self.answer.unread += 1
        self._grammar.settle(self.answer)
        return shown

    def _take(self, events: list[bytes], at: float) -> bytes:
        answer, shown = self.answer, []
        for event in events:
            if self._is_token(event):
                answer.last_token_at = at
                shown.append(event)
                continue
            try:
                seen = self._grammar.read(event, answer)
            except Exception:  # noqa: BLE001
                answer.unread += 1
                seen = NOTHING
            if seen.chunk and answer.first_chunk_at is None:
                answer.first_chunk_at = at
            if seen.token:
                if answer.first_token_at is None:
                    answer.first_token_at = at
                answer.last_token_at = at
            if not (seen.only_usage and self._hide_usage):
                shown.append(event)
        return b"".join(shown)


class BodyReader:
    """Reads a response that comes as one JSON document: an answer that was not streamed, or an error."""

    streams = False

    def __init__(self, read_body: ReadBody, find: Callable[[bytes], dict[str, Any]] = document) -> None:
        """`find`: takes out of the bytes of the body what `read_body` needs."""
        self.answer = Answer()
        self._read_body, self._find = read_body, find
        self._body = bytearray()

    def feed_tokens(self, data: bytes, at: float) -> bool:  # noqa: ARG002
        return False

    def feed(self, data: bytes, at: float) -> bytes:  # noqa: ARG002 - when it came matters to streams only
        if len(self._body) <= LIMIT_BYTES:
            self._body += data
        return data

    def rest(self, at: float) -> bytes:  # noqa: ARG002
        if len(self._body) <= LIMIT_BYTES:
            self._read_body(self._find(bytes(self._body)), self.answer)
        self._body.clear()
        return b""


def read_error(body: Mapping[str, Any], answer: Answer) -> None:
    """Take in the error that a body or an event tells, if it does."""
    answer.error_type = error_type(body) or answer.error_type


def reader(
    headers: Mapping[str, str],
    asked: Asked,
    *,
    stream: Callable[[], tuple[Splitter, Grammar]],
    read_body: ReadBody,
    hide_usage: bool = False,
) -> Reader:
    """The reader that fits the head of a response."""
    if not streams(headers, asked):
        return BodyReader(read_body)
    splitter, grammar = stream()
    return StreamReader(splitter, grammar, read_body, hide_usage=hide_usage)
