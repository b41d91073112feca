"""What happened between two samples of a broker's counters: rates per second, and totals that never fall."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

Counters = Mapping[str, int]
K = TypeVar("K", bound=Hashable)

BOOT_SLACK_S = 5.0  # a start is worked out from an uptime, which comes with the delay of an answer


class Rates(Generic[K]):
    """Remembers the last sample of each key and works out rates from one to the next.

    What is not known is left out, and never guessed:

    - A counter that falls means that its object was made anew: none of the key's counters has a rate for that interval.
    - A node that started again, came or went leaves no rate for any key. Its counters begin at 0 and may have passed
      their old values, so that no fall would show; and those of a node that was out of sight come back all at once.
    - More than `gap_s` seconds between two samples are a gap: its mean would be told as the rate of the last interval.

    Keys that are not in the newest sample are forgotten.
    """

    def __init__(self, *, gap_s: float = float("inf")) -> None:
        self._gap_s = gap_s
        self._before: Mapping[K, Counters] = {}
        self._boots: Mapping[str, float] = {}
        self._at_s: float | None = None
        self.resets = 0

    def forget(self) -> None:
        """Start again: the next sample has no rates. For when the broker was away."""
        self._before, self._at_s = {}, None

    def between(
        self, at_s: float, sample: Mapping[K, Counters], boots: Mapping[str, float] | None = None
    ) -> dict[K, dict[str, float]]:
        """The rates of `sample`, by key and counter, per second; keys and counters without one are left out.

        Args:
            at_s: when it was taken, in seconds of a clock that never jumps.
            sample: by key its counters, which only grow while the object they belong to lives.
            boots: of each node when it started, in seconds since 1970, about.

        >>> rates: Rates[str] = Rates()
        >>> rates.between(0.0, {"q": {"acked": 100}})
        {}
        >>> rates.between(10.0, {"q": {"acked": 150}})
        {'q': {'acked': 5.0}}
        >>> rates.between(20.0, {"q": {"acked": 3}})
        {}
        """
        if self._rebooted(boots or {}):
            self.forget()
        elapsed_s = 0.0 if self._at_s is None else at_s - self._at_s
        known = 0 < elapsed_s <= self._gap_s
        found: dict[K, dict[str, float]] = {}
        for key, now in sample.items():
            before = self._before.get(key)
            if before is None:
                continue
            grown = {name: value - before[name] for name, value in now.items() if name in before}
            if any(growth < 0 for growth in grown.values()):
                self.resets += 1
            elif known and grown:
                found[key] = {name: growth / elapsed_s for name, growth in grown.items()}
        self._before, self._at_s = {key: dict(counters) for key, counters in sample.items()}, at_s
        return found

    def _rebooted(self, boots: Mapping[str, float]) -> bool:
        before, self._boots = self._boots, dict(boots)
        rebooted = bool(before) and not _same(before, boots)
        self.resets += rebooted
        return rebooted


class Totals:
    """Counters of a whole cluster as Prometheus wants them: from 0 on, and never falling while we look.

    The broker's own are sums over its nodes. They fall when one of many restarts or leaves, which `rate()` takes for a
    restart of all: it would count again what the others have counted in months. The interval of such a change is left
    out here; what happens while the broker is away is not.

    >>> totals = Totals()
    >>> for counted in (900, 950, 20, 30):
    ...     totals.add({"acked": counted}, {}, "native")
    >>> totals.values
    {'acked': 60}
    """

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self._before: Mapping[str, int] = {}
        self._boots: Mapping[str, float] = {}
        self._source = ""

    def add(self, counters: Counters, boots: Mapping[str, float], source: str) -> None:
        """Take in a sample; `boots` as for `Rates`, `source`: who counted, for two sources begin at other numbers."""
        known = source == self._source and _same(self._boots, boots)
        for name, value in counters.items():
            growth = value - self._before.get(name, value) if known else 0
            self.values[name] = self.values.get(name, 0) + max(0, growth)
        self._before, self._boots, self._source = dict(counters), dict(boots), source


def _same(before: Mapping[str, float], boots: Mapping[str, float]) -> bool:
    """Whether the same nodes are up, and none of them has started again."""
    return before.keys() == boots.keys() and all(abs(boots[node] - at) <= BOOT_SLACK_S for node, at in before.items())
