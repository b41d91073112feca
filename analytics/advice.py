"""What to do next: the advice that the results of a report give, in the order in which they were asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Protocol

NOTHING = "Nothing needs doing."


class Advises(Protocol):
    """A result that knows what follows from it."""

    def advice(self) -> list[str]:
        """Sentences in the imperative, the most urgent first; none where nothing follows."""
        ...


@dataclass(frozen=True, repr=False)
class Steps:
    """A numbered list of sentences; `Nothing needs doing.` where there is none."""

    said: tuple[str, ...]

    def sentence(self) -> str:
        """The first of them."""
        return self.said[0] if self.said else NOTHING

    def __repr__(self) -> str:
        return "\n".join(f"{n}. {one}" for n, one in enumerate(self.said, 1)) or NOTHING

    def _repr_html_(self) -> str:
        if not self.said:
            return f"<p>{NOTHING}</p>"
        items = (re.sub("`([^`]*)`", r"<code>\1</code>", escape(one)) for one in self.said)
        return f"<ol>{''.join(f'<li>{item}</li>' for item in items)}</ol>"


def steps(*results: Advises, most: int = 8) -> Steps:
    """What follows from the results of a report.

    Args:
        results: in the order of their weight; the same sentence counts once.
        most: how many sentences are kept.

    >>> from analytics.attempts import Missing
    >>> steps(Missing("no rows", "none"))
    Nothing needs doing.
    """
    said = dict.fromkeys(one for result in results for one in result.advice())
    return Steps(tuple(said)[:most])
