"""One call, from the moment it is sent until it is a row."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from time import perf_counter, time
from typing import TYPE_CHECKING

from collectors.llm.attribution import Owner
from collectors.llm.clean import name
from collectors.llm.decode import Decoder, decoder
from collectors.llm.estimate import Generated, tokens
from collectors.llm.formats.base import Answer, Asked, Reader, Usage
from collectors.llm.prices import UNKNOWN, Price, price
from collectors.llm.record import Request, Status, UsageSource
from collectors.llm.target import Target

if TYPE_CHECKING:
    from collectors.llm.meter import Meter

SOURCE = "tap"
SPENT = "insufficient_quota"  # the error_type of a call that a budget did not allow
_NOT_SENT = ("Connect", "NewConnection", "NameResolution", "Pool", "Proxy")  # errors from before a request is out
_PARTS = ("cache_write_1h_tokens", "input_audio_tokens", "cached_audio_tokens", "output_audio_tokens", "web_searches")
_IDS = ("x-request-id", "request-id", "x-amzn-requestid")  # the last two: Anthropic, Bedrock

Settle = Callable[[Decimal | None], None]
_NOT_STREAMED = Asked()
_TOGETHER = 8  # pieces of a stream that are read at once: one by one each would find the caches cold
_SMALL = 1024  # bytes of a piece that may wait for the next
_MOST_UNREAD = 256  # pieces of a document, which is read when it is whole, and not in the application's time


@dataclass(slots=True, eq=False)
class Call:
    """One request from the moment it is sent. Its methods never raise; it ends once, and then hands over its row.

    `body`: of the request, until that was parsed; empty where it cannot be read.
    `hides`: the application must not see the event that carries nothing but usage, for we asked for it.
    `settle`: tells a budget what the call has cost (USD; None: nobody knows).
    """

    meter: Meter
    target: Target
    body: bytes
    owner: Owner
    attempt: int = 1
    hides: bool = False
    settle: Settle | None = None
    sent: bool = True
    sent_at: float = field(default_factory=time)  # on the clock of the world, and of this machine
    started: float = field(default_factory=perf_counter)
    ended: float | None = None
    http_status: int | None = None
    request_id: str | None = None
    status: Status = "ok"
    error_type: str | None = None
    _asked: Asked | None = None
    _budget: str | None = None
    _reader: Reader | None = None
    _head: Mapping[str, str] | None = None  # of an answer that is one document, and not read yet
    _unread: list[tuple[bytes, float]] = field(default_factory=list)  # pieces of the body, and when they came
    _read: bool = False  # to its end
    _decode: Decoder = bytes
    _input_guess: int | None = None
    _generated: Generated | None = None

    @property
    def ts(self) -> datetime:
        """When it was sent, UTC."""
        return datetime.fromtimestamp(self.sent_at, UTC)

    @property
    def asked(self) -> Asked:
        """What the request asks for. It is parsed when it is first looked at: as a rule after the call."""
        if self._asked is None:
            self._asked, self.body = self.target.form.asked(self.target.path, self.body), b""
        return self._asked

    @property
    def may_stream(self) -> bool:
        """Whether the request may ask for a stream, as far as that is seen without parsing it."""
        return b'"stream"' in self.body or "stream" in self.target.path

    def guess(self, input_tokens: int) -> None:
        """Estimate what is not reported; the input has about so many tokens."""
        self._input_guess, self._generated = input_tokens, Generated()

    def restart(self) -> None:
        """It is sent now, and not when it began."""
        self.sent_at, self.started, self.sent = time(), perf_counter(), True

    def deny(self, budget: str, status: int) -> None:
        """It is not sent at all, for this budget is spent; the application is told so with this status."""
        self.http_status, self._budget = status, budget
        self.ended = perf_counter()
        self._submit()

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of the response has arrived."""
        hide, self.hides = self.hides, False
        try:
            self.http_status = status
            for header in _IDS:
                if header in headers:
                    self.request_id = headers[header]
                    break
            encoding = headers.get("content-encoding")
            decode = decoder(encoding) if encoding else bytes
            if decode is None:
                return
            self._decode = decode
            json = headers.get("content-type", "").startswith("application/json")
            if json and self._asked is None and not self.may_stream:
                self._head = headers
                return
            hide = hide and status < 400 and decode is bytes
            self._reader = self.target.form.reader(headers=headers, asked=self.asked, hide_usage=hide)
            self.hides = hide and self._reader.streams
        except Exception as error:  # noqa: BLE001
            self.meter.stumbled(error)

    def feed(self, chunk: bytes) -> bytes:
        """Take in a piece of the body; return what the application should see of it now."""
        if self.hides:
            return self._read_piece(chunk, perf_counter())
        self._unread.append((chunk, perf_counter()))
        if self._head is None:
            if len(self._unread) >= _TOGETHER or len(chunk) > _SMALL:
                self._catch_up()
        elif len(self._unread) >= _MOST_UNREAD:
            self._catch_up()
        return chunk

    def _catch_up(self) -> None:
        """Read the pieces that have waited."""
        head, self._head = self._head, None
        if head is not None:
            with self.meter.guard:
                self._reader = self.target.form.reader(headers=head, asked=_NOT_STREAMED)
        unread, self._unread = self._unread, []
        if len(unread) > 1 and self._are_tokens(unread):
            return
        for chunk, at in unread:
            self._read_piece(chunk, at)

    def _are_tokens(self, pieces: list[tuple[bytes, float]]) -> bool:
        """Read them at one go if they tell nothing but tokens, as most of a stream does."""
        reader = self._reader
        if reader is None or self._generated is not None or self._decode is not bytes:
            return False
        try:
            return reader.feed_tokens(b"".join([chunk for chunk, _ in pieces]), pieces[-1][1])
        except Exception as error:  # noqa: BLE001
            self.meter.stumbled(error)
            return False

    def _read_piece(self, chunk: bytes, at: float) -> bytes:
        reader = self._reader
        if reader is None:
            return chunk
        try:  # and no block, which costs as much as all the rest: this runs for every chunk
            data = chunk if self._decode is bytes else self._decode(chunk)
            if self._generated is not None:
                self._generated.feed(data)
            shown = reader.feed(data, at)
            return shown if self.hides else chunk
        except Exception as error:  # noqa: BLE001
            self.meter.stumbled(error)
        left, self._reader = self._held(), None  # the body is not what its head says
        return left + chunk

    def finish(self, error: BaseException | None = None) -> bytes:
        """The body has ended, or `error` ended it; return what the application has not seen yet."""
        if self.ended is not None:
            return b""
        self.ended = perf_counter()
        if error is None and (self._head is not None or (self._reader is not None and not self._reader.streams)):
            self._submit()  # the document is read with the row
            return b""
        left = self._held()
        self._read = True
        answer = self._answer()
        if answer.complete and not answer.error_type:
            pass  # the whole answer was there, whatever happened to the connection afterwards
        elif isinstance(error, Exception):
            self.status, self.error_type = "error", type(error).__name__
        elif error is not None:
            self.status = "cancelled"
        elif self._reader is not None and self._reader.streams and not answer.error_type:
            self.status, self.error_type = "error", "incomplete_stream"
        self._submit()
        return left

    def abandon(self) -> None:
        """The application has stopped reading."""
        if self.ended is None:
            self.finish(GeneratorExit())

    def row(self) -> Request:
        """The finished row; looks up the price, so not for the caller's own time."""
        owed = None
        try:
            if not self._read:
                self._held()
            answer = self._answer()
            if answer.unread:
                self.meter.failed(answer.unread)
            usage, source = self._usage(answer)
            provider = self.meter.provider(self.target)
            cost = self._price(provider, (answer.model, self.asked.model), usage, answer.service_tier)
            owed = self._owed(answer, cost)
            return self._row(provider, answer, usage, source, cost)
        finally:
            if self.settle is not None:
                self.settle(owed)

    def _row(self, provider: str, answer: Answer, usage: Usage, source: UsageSource, cost: Price) -> Request:
        status, error_type = self._outcome(answer)
        ended = self.started if self.ended is None else self.ended
        return Request(
            ts=self.ts,
            request_id=answer.response_id or name(self.request_id) or str(uuid.uuid4()),
            provider=provider,
            model=self.asked.model or answer.model or "unknown",
            response_model=answer.model,
            operation=self.target.form.operation,
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
            usage_source=source,
            cost_usd=cost.cost_usd,
            price_version=cost.version,
            attrs=self._attrs(answer, usage),
        )

    def _attrs(self, answer: Answer, usage: Usage) -> dict[str, object]:
        attrs: dict[str, object] = {"host": self.target.netloc, "attempt": self.attempt}
        told = (
            ("finish_reason", answer.finish_reason),
            ("service_tier", answer.service_tier),
            ("batch", self.asked.batch),
            ("budget", self._budget),
            ("tags", dict(self.owner.tags)),
            *((part, getattr(usage, part)) for part in _PARTS),
        )
        attrs.update((key, value) for key, value in told if value)
        return attrs

    def _outcome(self, answer: Answer) -> tuple[Status, str | None]:
        failed = self.http_status is not None and self.http_status >= 400
        if self._budget is not None:
            return "error", SPENT
        if failed or answer.error_type:
            told = answer.error_type if answer.error_type != "unnamed" else None
            return "error", told or (f"http_{self.http_status}" if failed else "unnamed")
        if self.status == "ok" and answer.refused:
            return "error", answer.refused
        return self.status, self.error_type

    def _usage(self, answer: Answer) -> tuple[Usage, UsageSource]:
        if answer.usage is not None:
            return answer.usage, "reported"
        answered = self.http_status is not None and self.http_status < 400 and not answer.error_type
        if self._generated is None or self._reader is None or not answered:
            return Usage(), "missing"
        return Usage(input_tokens=self._input_guess, output_tokens=tokens(self._generated.characters())), "estimated"

    def _owed(self, answer: Answer, cost: Price) -> Decimal | None:
        """What the provider will bill; None where only the worst case is certain."""
        if answer.usage is not None:
            return cost.cost_usd
        if self.http_status is None:
            return Decimal(0) if not self.sent or (self.error_type or "").startswith(_NOT_SENT) else None
        return Decimal(0) if self.http_status >= 400 else None

    def _price(self, provider: str, models: tuple[str | None, ...], usage: Usage, tier: str | None) -> Price:
        for model in filter(None, models):
            found = price(
                provider=provider, model=model, ts=self.ts, usage=usage, service_tier=tier, batch=self.asked.batch
            )
            if found.cost_usd is not None:
                return found
        return UNKNOWN

    def _answer(self) -> Answer:
        return Answer() if self._reader is None else self._reader.answer

    def _since(self, at: float | None) -> float | None:
        return None if at is None or (self.http_status or 0) >= 400 else at - self.started

    def _held(self) -> bytes:
        if self._unread or self._head is not None:
            self._catch_up()
        if self._reader is not None:
            with self.meter.guard:
                left = self._reader.rest(perf_counter())
                return left if self.hides else b""
        return b""

    def _submit(self) -> None:
        try:
            if not self.meter.writer.submit(self.row) and self.settle is not None:
                self.settle(None)
        except Exception as error:  # noqa: BLE001
            self.meter.stumbled(error)


def _rate(answer: Answer, usage: Usage) -> float | None:
    first, last, output = answer.first_token_at, answer.last_token_at, usage.output_tokens
    if first is None or last is None or last <= first or output is None or output < 2:
        return None
    return (output - 1) / (last - first)
