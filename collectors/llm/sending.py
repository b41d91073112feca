"""What happens to a request before it is sent: whose it is, which attempt, what it may cost, what else it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from collectors.llm import attempts
from collectors.llm.attribution import HEADER, of_headers
from collectors.llm.call import Call
from collectors.llm.formats.base import Format
from collectors.llm.meter import Meter
from collectors.llm.target import Target

if TYPE_CHECKING:
    from collectors.llm.budget import Refusal
    from collectors.llm.gate import Gate

REFUSALS = (400, 422)  # bad request, unprocessable: how a server answers a field that it does not know
TOLD = frozenset(  # the headers of a request that tell something about it, besides our own
    (
        *("authorization", "api-key", "x-api-key", "x-goog-api-key"),
        *("amz-sdk-request", "content-digest", "content-encoding", "x-stainless-retry-count"),
    )
)
HEARD = frozenset({"content-type", "content-encoding", "x-request-id", "request-id"})  # those of a response
HEARD_OF_AWS = "x-amzn-"
_MOST_REFUSING = 1_000
_FAILED = 400


@dataclass(frozen=True, slots=True)
class Denied:
    """The answer to a request that is not sent, for its budget is spent."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Sending:
    """One request on its way to the provider.

    `headers`: those in `TOLD` and our own, by lower-case name; `original`: the body as the application wrote it, empty
    where it cannot be read; `plain`: what to send in its place; `asking`: the same, also asking for the stream's usage.
    None: the one before.
    """

    call: Call
    headers: dict[str, str]
    original: bytes
    strips: bool
    plain: bytes | None = None
    asking: bytes | None = None

    @property
    def body(self) -> bytes | None:
        """What to send; None: what the application wrote."""
        return self.plain if self.asking is None else self.asking

    @property
    def changed(self) -> bool:
        """Whether the request that goes out is another than the application's."""
        return self.strips or self.asking is not None or self.plain is not None

    def failed(self, error: BaseException) -> None:
        """There is no answer."""
        self.call.finish(error)
        if isinstance(error, Exception):
            self._note_failure()

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of the answer has arrived."""
        self.call.answered(status, headers)
        if status >= _FAILED and attempts.retryable(status):
            self._note_failure()
        else:
            attempts.done()

    def _note_failure(self) -> None:
        with self.call.meter.guard:
            attempts.failed(self.call.target, self.original, self.call.attempt)


class Sender:
    """What the transports of all libraries ask before they send; one for each tap.

    Args:
        meter: makes the calls.
        ask_for_usage: ask for the usage of streams that do not.
        gate: lets through what the budgets allow; None: everything.
    """

    def __init__(self, meter: Meter, *, ask_for_usage: bool, gate: Gate | None = None) -> None:
        self.meter = meter
        self.gate = gate
        self._ask_for_usage = ask_for_usage
        self._refusing: set[str] = set()

    def begin(self, target: Target, headers: dict[str, str], body: bytes) -> Sending | None:
        """A request that is about to be sent; None where our own code fails. `headers`: as in `Sending`."""
        try:
            if "content-encoding" in headers:
                body = b""
            ours = HEADER in " ".join(headers)
            call = self.meter.begin(
                target, body, of_headers(headers) if ours else None, attempts.attempt(headers, target, body)
            )
            call.sent = self.gate is None
            sending = Sending(call, headers, body, strips=ours and HEADER not in headers.get("authorization", ""))
            if self._ask_for_usage and call.may_stream:
                self._ask(sending)
        except Exception as error:  # noqa: BLE001
            self.meter.stumbled(error)
            return None
        return sending

    def admit(self, sending: Sending) -> Denied | None:
        """Ask the budgets; blocks for a round trip to the database. What it returns is the answer: nothing is sent."""
        if self.gate is None:
            return None
        with self.meter.guard:
            refusal = self.gate.enter(sending, may_change=not _signed(sending.headers))
            if refusal is not None:
                denied = _denied(refusal, sending.call.target.form)
                sending.call.deny(refusal.budget, denied.status)
                return denied
            if sending.plain is not None and sending.asking is not None:
                sending.asking = sending.call.target.form.ask_for_usage(sending.plain)
        return None

    def refused(self, sending: Sending, refusal: bytes) -> bool:
        """Whether this answer refuses our question for usage; then `sending` no longer asks, nor does any other."""
        if b"stream_options" not in refusal and b"include_usage" not in refusal:
            return False
        if len(self._refusing) < _MOST_REFUSING:
            self._refusing.add(sending.call.target.netloc)
        sending.asking, sending.call.hides = None, False
        sending.call.restart()
        return True

    def _ask(self, sending: Sending) -> None:
        call = sending.call
        asked = call.asked
        if not asked.streamed or asked.wants_usage or _signed(sending.headers):
            return
        if call.target.netloc not in self._refusing:
            sending.asking = call.target.form.ask_for_usage(sending.original)
            call.hides = sending.asking is not None


def _signed(headers: Mapping[str, str]) -> bool:
    """Whether the body is signed, so that nobody may change it. AWS also names the headers that are."""
    return headers.get("authorization", "").startswith("AWS4-") or "content-digest" in headers


def _denied(refusal: Refusal, form: Format) -> Denied:
    body, status = refusal.body(form.name), 429
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-should-retry": "false",
        "retry-after": str(refusal.retry_after_s()),
    }
    if form.name.startswith("bedrock"):  # botocore reads the class of an error here, and would send a 429 again
        headers["x-amzn-errortype"], status = "ServiceQuotaExceededException", 400
    return Denied(status, headers, body)
