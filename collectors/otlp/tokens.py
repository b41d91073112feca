"""The token counts of a span, in one meaning for all instrumentations."""

from __future__ import annotations

from decimal import Decimal

from collectors.llm.usage import Usage
from collectors.otlp.item import Attributes
from collectors.web.refusal import Unusable

MOST_TOKENS = 10**9  # of one call; sums of more would not fit their columns


def reported(attributes: Attributes) -> Usage:
    """The counts in the meaning of our columns: cache inside the input, reasoning inside the output.

    Conventions say so too; some instrumentations do not. What shows that a part is not inside the whole: it is larger,
    or the total is the sum of both.
    """
    total = _count(attributes, "total_tokens")
    given, output = _count(attributes, "input_tokens"), _count(attributes, "output_tokens")
    cached, write = _count(attributes, "cached_tokens"), _count(attributes, "cache_write_tokens")
    reasoning = _count(attributes, "reasoning_tokens")
    inside, spoken = given, output
    beside = (cached or 0) + (write or 0)
    if given is not None and beside and (beside > given or total == given + (output or 0) + beside):
        inside = given + beside
    if output is not None and reasoning and (reasoning > output or total == (given or 0) + output + reasoning):
        spoken = output + reasoning
    return Usage(
        input_tokens=inside,
        cached_tokens=cached,
        cache_write_tokens=write,
        output_tokens=spoken,
        reasoning_tokens=reasoning,
        input_audio_tokens=_count(attributes, "input_audio_tokens"),
        output_audio_tokens=_count(attributes, "output_audio_tokens"),
    )


def _count(attributes: Attributes, field: str) -> int | None:
    number = number_of(attributes, field)
    if number is None:
        return None
    if not 0 <= number <= MOST_TOKENS or number != int(number):
        raise Unusable(f"{field} is no number of tokens")
    return int(number)


def number_of(attributes: Attributes, field: str) -> int | float | None:
    """A number, also where it was written as text; None where there is none. Raises Unusable for anything else."""
    told = attributes.get(field)
    if told is None or (isinstance(told, int | float) and not isinstance(told, bool)):
        return told
    if isinstance(told, str) and len(told) < 30:
        try:
            return float(Decimal(told))
        except ArithmeticError:
            pass
    raise Unusable(f"{field} is no number")
