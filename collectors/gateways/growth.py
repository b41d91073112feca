"""How much counters have grown from one page to the next, whatever happened to their server in between."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

Series = tuple[str, tuple[tuple[str, str], ...]]
MOST_SERIES = 200_000  # remembered; a server with more labels than that shows users or requests in them


class Growth:
    """Remembers the counters of one server.

    The first page has no growth: what was counted before is not known to be new. A counter that falls, or a server that
    says that it was started anew, has counted from 0 since: its value is the growth, and what it counted between the
    last page and its end is lost. A series that was not there before began at 0. One that is missing from a page is
    remembered, for the line may have been unreadable.

    >>> growth, a = Growth(), ("a", ())
    >>> growth.since({a: Decimal(5)}), growth.since({a: Decimal(7)}), growth.since({a: Decimal(3)})
    ({}, {('a', ()): Decimal('2')}, {('a', ()): Decimal('3')})
    """

    def __init__(self) -> None:
        self._before: dict[Series, Decimal] | None = None
        self._started: Decimal | None = None
        self.resets = 0

    def since(self, counters: Mapping[Series, Decimal], *, started: Decimal | None = None) -> dict[Series, Decimal]:
        """What each of `counters` has grown by since the page before; `started` is when its process was, if known."""
        if self._before is None:
            self._before, self._started = dict(counters), started
            return {}
        if started is not None and self._started is not None and started != self._started:
            self._before = {}
            self.resets += 1
        self._started = started if started is not None else self._started
        grown: dict[Series, Decimal] = {}
        fell = False
        for series, value in counters.items():
            before = self._before.get(series, Decimal(0))
            fell = fell or value < before
            grown[series] = value - before if value >= before else max(value, Decimal(0))
        self.resets += fell
        self._before = {**self._before, **counters} if len(self._before) < MOST_SERIES else dict(counters)
        return grown
