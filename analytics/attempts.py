"""A part of a report that may have nothing to say: the result, or the sentence that stands in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

from analytics.spans import Span
from store.errors import NoneYet, NoRows, TooShort


@dataclass(frozen=True, repr=False)
class Missing:
    """Stands for a result that there is too little data for; it answers what a report asks of one.

    `reason` is the whole sentence, `short` what stands in a section of its own, `step` what makes it come about.
    """

    reason: str
    short: str
    step: str = ""

    def sentence(self) -> str:
        """Why there is nothing."""
        return self.reason

    def report(self) -> str:
        """A sentence in place of charts and tables."""
        return self.short

    def plot(self) -> None:
        """No chart."""

    def for_people(self) -> None:
        """No table."""

    def advice(self) -> list[str]:
        """What makes it come about, if anybody can do that."""
        return [self.step] if self.step else []

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"<Missing: {self.short}>"

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.short)}</p>"


def attempt(make: Callable[..., Any], *args: Any, **words: Any) -> Any:
    """What `make(*args, **words)` returns; where it finds no rows, or too few, a `Missing` that says so.

    A report names its results once, at the top, and shows them further down; one that is missing must not end it. What
    is made of a `Missing` is the same `Missing`.

    Raises:
        Everything but NoRows and TooShort that `make` raises.

    >>> import polars as pl
    >>> from analytics import quality
    >>> none = attempt(quality.check, pl.DataFrame({"ds": [], "y": []}))
    >>> bool(none), none.report()
    (False, 'No data: the frame.')
    """
    lacking = next((one for one in args if isinstance(one, Missing)), None)
    if lacking is not None:
        return lacking
    try:
        return make(*args, **words)
    except NoneYet as error:
        return Missing(_said(error), _said(error), f"{error.advice[:1].upper()}{error.advice[1:]}")
    except NoRows as error:
        return Missing(_said(error), f"No data: {error.what}.")
    except TooShort as error:
        return Missing(_said(error), _said(error))


def _said(error: Exception) -> str:
    """An error as a sentence.

    >>> _said(TooShort("the span", "it has one hour"))
    'The span is too short: it has one hour.'
    """
    text = str(error).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def answer(span: Span, *results: Any) -> str:
    """What a report says in short: the sentences of its results, or why there is nothing in its span.

    The same sentence counts once.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 3, 2, tzinfo=UTC)
    >>> answer(Span("llm_requests", "hourly", at, at, None, None), Missing("Nothing.", ""))[:25]
    'llm_requests has no rows.'
    """
    if not span.buckets:
        return span.sentence()
    return " ".join(dict.fromkeys(one.sentence() for one in results))
