"""A call as budgets see it: what it asks for, and the lease or the refusal that it gets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

KIND = "insufficient_quota"  # what OpenAI calls it; no client tries again for it


@dataclass(frozen=True, slots=True)
class Ask:
    """A call that is about to be sent.

    `key`: the first eight hex digits of the SHA-256 of its API key. `input_tokens`: at least as many as it has.
    `max_output_tokens`: the most that it lets the model generate, in all its answers; None: it does not say.
    `answers`: how many it asks for.
    """

    provider: str
    model: str
    team: str
    project: str
    key: str | None
    input_tokens: int
    max_output_tokens: int | None
    service_tier: str | None = None
    answers: int = 1


@dataclass(frozen=True, slots=True)
class Lease:
    """What is reserved for a call (USD), to be settled when it has ended.

    `max_output_tokens`: what is left allows no more than these in all answers, and the call must say so; None: as it
    was asked.
    """

    lease_id: UUID
    amount_usd: Decimal
    budgets: tuple[str, ...]
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call must not be sent.

    Args:
        budget: the name of the budget that has no room for it; empty where the ledger cannot be reached.
        limit_usd, spent_usd, held_usd: its limit, what its calls have cost, what is reserved for calls under way.
        resets_at: when it is worth trying again (UTC).
        worst_usd: what the call may cost; None: nobody knows.
        output_tokens: the output tokens that this is for, where the call does not name a maximum itself.
        why: `used_up`; `unpriced`: the price of its model is not known; `no_ledger`: the ledger cannot be reached.
    """

    budget: str
    limit_usd: Decimal
    spent_usd: Decimal
    resets_at: datetime
    held_usd: Decimal = Decimal(0)
    worst_usd: Decimal | None = None
    output_tokens: int | None = None
    model: str = "unknown"
    why: Literal["used_up", "unpriced", "no_ledger"] = "used_up"

    @property
    def message(self) -> str:
        """What the application is told.

        >>> until = datetime(2026, 2, 1, tzinfo=UTC)
        >>> refusal = Refusal("search", Decimal(1), Decimal("0.9"), until, Decimal("0.09"), Decimal("0.03"))
        >>> print(refusal.message)  # doctest: +NORMALIZE_WHITESPACE
        budget 'search' has no room for this call, which was not sent: $0.90 of $1.00 is spent, $0.09 is reserved for
        calls under way, and this one may cost $0.03. The budget resets at 2026-02-01 00:00 UTC. `gaugebook budget
        list` shows it
        """
        if self.why == "no_ledger":
            return (
                "the ledger of budgets cannot be reached, and no call is sent without it (llm_budgets is fail_closed): "
                "`gaugebook doctor` says what is wrong"
            )
        if self.why == "unpriced":
            return (
                f"budget {self.budget!r} counts this call, which was not sent: the price of {self.model!r} is not "
                "known (llm_unpriced is refuse). A price file can name it: `gaugebook prices missing`"
            )
        held = f", {dollars(self.held_usd)} is reserved for calls under way" if self.held_usd else ""
        assumed = f" (it names no maximum: {self.output_tokens:,} output tokens)" if self.output_tokens else ""
        worst = "" if self.worst_usd is None else f", and this one may cost {dollars(self.worst_usd)}{assumed}"
        return (
            f"budget {self.budget!r} has no room for this call, which was not sent: {dollars(self.spent_usd)} of "
            f"{dollars(self.limit_usd)} is spent{held}{worst}. The budget resets at {self.resets_at:%Y-%m-%d %H:%M} "
            "UTC. `gaugebook budget list` shows it"
        )

    def retry_after_s(self) -> int:
        """Seconds until it is worth trying again, at least one."""
        return max(1, int((self.resets_at - datetime.now(UTC)).total_seconds()) + 1)

    def body(self, form: str = "openai") -> bytes:
        """The body of a response with status 429, as the clients of a wire format (`openai.chat`, …) read it.

        >>> refusal = Refusal("", Decimal(0), Decimal(0), datetime(2026, 2, 1, tzinfo=UTC), why="no_ledger")
        >>> json.loads(refusal.body())["error"]["code"], json.loads(refusal.body("anthropic.messages"))["error"]["type"]
        ('insufficient_quota', 'rate_limit_error')
        """
        said = self.message
        error: dict[str, object]
        match form.partition(".")[0]:
            case "anthropic":
                error = {"type": "error", "error": {"type": "rate_limit_error", "message": said}}
            case "google" | "gemini":
                error = {"error": {"code": 429, "message": said, "status": "RESOURCE_EXHAUSTED"}}
            case "bedrock":
                error = {"__type": "ServiceQuotaExceededException", "message": said}
            case "cohere":
                error = {"message": said}
            case "ollama":
                error = {"error": said}
            case _:
                error = {"error": {"message": said, "type": KIND, "param": None, "code": KIND}}
        return json.dumps(error).encode()


def dollars(usd: Decimal) -> str:
    """An amount for people: cents, and more digits where there are any.

    >>> dollars(Decimal("1234.5")), dollars(Decimal("0.0031400")), dollars(Decimal("-0.1"))
    ('$1,234.50', '$0.00314', '-$0.10')
    """
    exact = f"{abs(usd):,.6f}"
    shown = exact[:-4] + exact[-4:].rstrip("0")
    return f"-${shown}" if usd < 0 else f"${shown}"
