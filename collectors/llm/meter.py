"""Measures one call: what the tap saw of it becomes a row for the writer."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from types import TracebackType

from collectors.llm.attribution import Owner, current
from collectors.llm.clean import name
from collectors.llm.decode import Decoder, decoder
from collectors.llm.formats.base import Answer, Asked, Format, Reader, Usage
from collectors.llm.prices import UNKNOWN, Price, price
from collectors.llm.providers import provider
from collectors.llm.record import Request, Status
from collectors.llm.writer import Writer

log = logging.getLogger(__name__)

SOURCE = "tap"
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")  # Azure names the model in the path


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes: its address without the query, and host and port as `host[:port]`."""

    url: str
    netloc: str


class Meter:
    """Starts a `Call` for each request and sends its row to `writer`."""

    def __init__(self, writer: Writer, *, owner: Owner, providers: Mapping[str, str] | None = None) -> None:
        self.writer = writer
        self.providers = dict(providers or {})
        self._owner = owner
        self.guard = Guard(self)

    def begin(self, form: Format, target: Target, asked: Asked) -> Call:
        """A call that is about to be sent."""
        return Call(self, form, target, asked, current().over(self._owner))

    def failed(self, count: int = 1) -> None:
        """Count errors of our own."""
        self.writer.metrics.failures.inc(count)


class Guard:
    """A block whose errors are counted and go no further: a call is never broken by its measurement."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        if not isinstance(error, Exception):
            return False
        log.debug("metering failed", exc_info=error)
        self._meter.failed()
        return True


@dataclass(slots=True, eq=False)
class Call:
    """One request from the moment it is sent. Its methods never raise; it ends once, and then hands over its row.

    `hides`: the application must not see the event that carries nothing but usage, for we asked for it.
    """

    meter: Meter
    form: Format
    target: Target
    asked: Asked
    owner: Owner
    hides: bool = False
    ts: datetime = field(default_factory=lambda: datetime.now(UTC))
    started: float = field(default_factory=perf_counter)
    ended: float | None = None
    http_status: int | None = None
    request_id: str | None = None
    status: Status = "ok"
    error_type: str | None = None
    _reader: Reader | None = None
    _decode: Decoder = bytes
    _events: bool = False

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of the response has arrived."""
        with self.meter.guard:
            self.http_status = status
            self.request_id = name(headers.get("x-request-id"))
            decode = decoder(headers.get("content-encoding", ""))
            kind = headers.get("content-type", "")
            self._events = kind.startswith("text/event-stream") or (not kind and self.asked.streamed and status < 400)
            self.hides = self.hides and self._events and status < 400 and decode is bytes
            if decode is not None:
                self._decode = decode
                self._reader = self.form.reader(events=self._events, hide_usage=self.hides)

    def feed(self, chunk: bytes) -> bytes:
        """Take in a piece of the body; return what the application should see of it now."""
        if self._reader is None:
            return chunk
        with self.meter.guard:
            shown = self._reader.feed(self._decode(chunk), perf_counter())
            return shown if self.hides else chunk
        left, self._reader = self._held(), None  # the body is not what its head says
        return left + chunk

    def finish(self, error: BaseException | None = None) -> bytes:
        """The body has ended, or `error` ended it; return what the application has not seen yet."""
        if self.ended is not None:
            return b""
        self.ended = perf_counter()
        left = self._held()
        answer = self._answer()
        if answer.complete and not answer.error_type:
            pass  # the whole answer was there, whatever happened to the connection afterwards
        elif isinstance(error, Exception):
            self.status, self.error_type = "error", type(error).__name__
        elif error is not None:
            self.status = "cancelled"
        elif self._events and self._reader is not None and not answer.error_type:
            self.status, self.error_type = "error", "incomplete_stream"
        self._submit()
        return left

    def abandon(self) -> None:
        """The application has stopped reading."""
        if self.ended is None:
            self.finish(GeneratorExit())

    def again(self) -> Call:
        """The same call, about to be sent as the application wrote it."""
        return Call(self.meter, self.form, self.target, self.asked, self.owner)

    def row(self) -> Request:
        """The finished row; looks up the price, so not for the caller's own time."""
        answer = self._answer()
        status, error_type = self.status, self.error_type
        if (self.http_status or 0) >= 400 or answer.error_type:
            told = answer.error_type if answer.error_type != "unnamed" else None
            status, error_type = (
                "error",
                told or (f"http_{self.http_status}" if (self.http_status or 0) >= 400 else "unnamed"),
            )
        usage = answer.usage or Usage()
        deployment = _DEPLOYMENT.search(self.target.url)
        model = self.asked.model or (name(deployment[1]) if deployment else None) or answer.model
        whom = provider(self.target.url, self.target.netloc, self.meter.providers)
        cost = self._price(whom, (answer.model, model), usage, answer.service_tier)
        ended = self.started if self.ended is None else self.ended
        return Request(
            ts=self.ts,
            request_id=answer.response_id or self.request_id or str(uuid.uuid4()),
            provider=whom,
            model=model or "unknown",
            response_model=answer.model,
            operation=self.form.operation,
            team=self.owner.team or "unassigned",
            project=self.owner.project or "unassigned",
            environment=self.owner.environment or "default",
            source=SOURCE,
            status=status,
            error_type=error_type,
            http_status=self.http_status,
            streamed=self.asked.streamed,
            ttfc_s=self._since(answer.first_chunk_at),
            ttft_s=self._since(answer.first_token_at),
            duration_s=ended - self.started,
            output_tokens_per_s=_rate(answer, usage),
            input_tokens=usage.input_tokens,
            cached_tokens=usage.cached_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            output_tokens=usage.output_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            usage_source="missing" if answer.usage is None else "reported",
            cost_usd=cost.cost_usd,
            price_version=cost.version,
            attrs={
                key: value
                for key, value in (
                    ("host", self.target.netloc),
                    ("finish_reason", answer.finish_reason),
                    ("service_tier", answer.service_tier),
                )
                if value
            },
        )

    def _price(self, whom: str, models: tuple[str | None, ...], usage: Usage, tier: str | None) -> Price:
        if usage.input_tokens is None or usage.output_tokens is None or usage.audio:
            return UNKNOWN
        for model in filter(None, models):
            found = price(
                provider=whom,
                model=model,
                ts=self.ts,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cached_tokens=usage.cached_tokens or 0,
                cache_write_tokens=usage.cache_write_tokens or 0,
                service_tier=tier,
            )
            if found.cost_usd is not None:
                return found
        return UNKNOWN

    def _answer(self) -> Answer:
        return Answer() if self._reader is None else self._reader.answer

    def _since(self, at: float | None) -> float | None:
        return None if at is None or (self.http_status or 0) >= 400 else at - self.started

    def _held(self) -> bytes:
        if self._reader is not None:
            with self.meter.guard:
                left = self._reader.rest(perf_counter())
                return left if self.hides else b""
        return b""

    def _submit(self) -> None:
        with self.meter.guard:
            if unread := self._answer().unread:
                self.meter.failed(unread)
            self.meter.writer.submit(self.row)


def _rate(answer: Answer, usage: Usage) -> float | None:
    first, last, output = answer.first_token_at, answer.last_token_at, usage.output_tokens
    if first is None or last is None or last <= first or output is None or output < 2:
        return None
    return (output - 1) / (last - first)
