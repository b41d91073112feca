"""Lets a call through where its budgets allow it, and tells them afterwards what it has cost."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

from collectors.llm.budget import Ask, Budgets, Lease, Refusal
from collectors.llm.ceiling import lowered
from collectors.llm.estimate import most_tokens
from collectors.llm.sending import Sending

_KEYS = ("x-api-key", "api-key", "x-goog-api-key")
_SHOWN = 8
_SEVERAL = re.compile(rb'"(?:n|best_of|candidateCount)"\s*:\s*(\d{1,4})\b')  # OpenAI, its completions, Gemini
AGAIN = timedelta(minutes=1)


class Gate:
    """What stands between the transports and the ledger of budgets."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets

    def enter(self, sending: Sending, *, may_change: bool) -> Refusal | None:
        """Reserve what the call may cost; blocks for a round trip. None: it may be sent, as `sending` now says.

        `may_change`: the body is not signed, so that its ceiling of output tokens can be lowered.
        """
        call = sending.call
        asked, owner = call.asked, call.owner
        provider = call.meter.provider(call.target)
        answer = self._budgets.reserve(
            Ask(
                provider=provider,
                model=asked.model or "unknown",
                team=owner.team or "unassigned",
                project=owner.project or "unassigned",
                key=_key(sending.headers),
                input_tokens=most_tokens(sending.original),
                max_output_tokens=asked.max_output_tokens,
                service_tier=asked.service_tier,
                answers=_answers(sending.original),
            )
        )
        if answer is None or isinstance(answer, Refusal):
            return answer
        if answer.max_output_tokens is not None:
            ceiling = answer.max_output_tokens // _answers(sending.original)
            sending.plain = lowered(sending.original, call.target.form.name, provider, ceiling) if may_change else None
            if sending.plain is None:  # it would be sent as it is, and may cost more than is left
                self._budgets.settle(answer, Decimal(0))
                return self._no_room(answer)
        call.settle = partial(self._budgets.settle, answer)
        if call.ended is not None:  # its task was cancelled while we asked
            call.settle(Decimal(0))
        return None

    def _no_room(self, lease: Lease) -> Refusal:
        left = self._budgets.left()
        name = min(lease.budgets, key=lambda name: left[name][0] if name in left else Decimal(0), default="")
        rest, limit = left.get(name, (Decimal(0), Decimal(0)))
        return Refusal(name, limit, limit - rest, datetime.now(UTC) + AGAIN)


def _answers(body: bytes) -> int:
    """How many answers a request asks for; each may be as long as the ceiling says."""
    found = _SEVERAL.search(body)
    return max(1, int(found[1])) if found else 1


def _key(headers: Mapping[str, str]) -> str | None:
    """The first hex digits of the SHA-256 of the API key that a request carries, or of the name of its AWS key."""
    authorization = headers.get("authorization", "")
    found = next((headers[name] for name in _KEYS if name in headers), None)
    if found is None and authorization:
        scheme, _, rest = authorization.partition(" ")
        found = rest.partition("Credential=")[2].partition("/")[0] if scheme.startswith("AWS4-") else rest
    return hashlib.sha256(found.encode()).hexdigest()[:_SHOWN] if found else None
