"""Which of two reports of one call is kept."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from store.settings import Settings

FIELDS = ("ts", "request_id", "provider", "source")  # what tells that two rows report one call


@dataclass(frozen=True)
class Precedence:
    """The rule by which one call that two sources report, each by its own clock, becomes one row.

    Two rows of `metrics.llm_requests` report one call when

    - their `provider` and `request_id` are the same,
    - their `source` differs, and both are in `sources`,
    - their `ts` are at most `window_s` apart.

    The row of the source that stands first in `sources` is kept, whichever comes first; the other one is a duplicate,
    and is deleted where it was stored already. A row of a source that is not in `sources` is never matched, and rows
    of one source are told apart by their key alone.

    Args:
        sources: from the best to the worst.
        window_s: seconds by which the clocks of two sources may differ, at most 3600; 0: every report is a call.
    """

    sources: tuple[str, ...]
    window_s: float

    @classmethod
    def of(cls, settings: Settings) -> Precedence:
        return cls(settings.source_precedence, settings.precedence_window_s)

    @property
    def window(self) -> timedelta:
        return timedelta(seconds=self.window_s)

    def concerns(self, sources: Collection[object]) -> bool:
        """Whether a row of one of `sources` can have a match at all."""
        return self.window_s > 0 and len(self.sources) > 1 and not set(self.sources).isdisjoint(sources)
