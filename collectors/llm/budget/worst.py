"""The worst case of a call: what it costs if every token that it may use is used, at its dearest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from collectors.llm.budget.call import Ask
from collectors.llm.prices import worst_case
from collectors.llm.pricing import catalogue

LONGEST_ANSWER = 131_072  # tokens; no model writes more at once
FEWEST = 256  # output tokens that are still worth a call


@dataclass(frozen=True, slots=True)
class Worst:
    """What a call may cost (USD) at `tokens` of output; `least_usd`, where it is cut down as far as is sensible."""

    ask: Ask
    at: datetime
    tokens: int
    most_usd: Decimal
    least_usd: Decimal

    def fitting(self, granted_usd: Decimal) -> int | None:
        """The most output tokens that cannot cost more than `granted_usd`; None: as many as were asked for."""
        if granted_usd >= self.most_usd:
            return None
        fewest, most = 0, self.tokens  # the first fits, the second does not
        while most - fewest > 1:
            middle = (fewest + most) // 2
            cost = _cost(self.ask, self.at, middle)
            if cost is not None and cost <= granted_usd:
                fewest = middle
            else:
                most = middle
        return fewest


def worst(ask: Ask, *, unsaid: int | None = None, fit: bool = False) -> Worst | None:
    """The worst case of `ask`, at this moment; None where the price of its model is not known.

    Args:
        ask: the call.
        unsaid: output tokens of an answer whose call names no maximum; None: as many as its model can write.
        fit: the call may be cut down.

    >>> ask = Ask("openai", "gpt-4o", "search", "answers", None, input_tokens=0, max_output_tokens=3000)
    >>> found = worst(ask, fit=True)
    >>> print(found.most_usd.normalize(), found.fitting(Decimal("0.02")))
    0.03 2000
    """
    at = datetime.now(UTC)
    if ask.input_tokens < 0 or (ask.max_output_tokens or 0) < 0:
        ask = replace(ask, input_tokens=max(0, ask.input_tokens), max_output_tokens=None)
    tokens = ask.max_output_tokens
    if tokens is None:
        tokens = max(1, ask.answers) * (longest_answer(ask.provider, ask.model) if unsaid is None else unsaid)
    most = _cost(ask, at, tokens)
    least = _cost(ask, at, min(FEWEST, tokens)) if fit else most
    return None if most is None or least is None else Worst(ask, at, tokens, most, least)


def longest_answer(provider: str, model: str) -> int:
    """Output tokens that a model can write at most, as far as is known: no more than its context holds.

    >>> longest_answer("openai", "gpt-4")
    8192
    """
    found = catalogue.find(provider, model)
    window = None if found is None else found.info.context_window
    return min(window or LONGEST_ANSWER, LONGEST_ANSWER)


def _cost(ask: Ask, at: datetime, output_tokens: int) -> Decimal | None:
    return worst_case(
        provider=ask.provider,
        model=ask.model,
        ts=at,
        input_tokens=ask.input_tokens,
        max_output_tokens=output_tokens,
        service_tier=ask.service_tier,
    )
