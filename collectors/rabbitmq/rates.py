"""Rates per second between two samples of a broker's counters."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

Counters = Mapping[str, int | None]


class Rates:
    """Remembers the last sample of each key and works out rates from one to the next.

    A counter that falls means that the object was made anew or its node restarted: what happened in between is not
    known, so none of its counters has a rate for that interval. Keys that are not in the newest sample are forgotten.
    """

    def __init__(self) -> None:
        self._before: dict[Hashable, Counters] = {}
        self._at_s: float | None = None

    def forget(self) -> None:
        """Start again: the next sample has no rates. For when the broker was away."""
        self._before, self._at_s = {}, None

    def between(self, at_s: float, sample: Mapping[Hashable, Counters]) -> dict[Hashable, dict[str, float | None]]:
        """The rates of `sample`, taken at `at_s` seconds of a clock that never jumps: by key and counter, per second.

        A rate is None where the key or the counter is new or missing, any counter of the key fell, or no time passed.

        >>> rates = Rates()
        >>> rates.between(0.0, {"q": {"acked": 100}})
        {'q': {'acked': None}}
        >>> rates.between(10.0, {"q": {"acked": 150}})
        {'q': {'acked': 5.0}}
        >>> rates.between(20.0, {"q": {"acked": 3}})
        {'q': {'acked': None}}
        """
        elapsed_s = 0.0 if self._at_s is None else at_s - self._at_s
        rates = {key: _rates(self._before.get(key, {}), now, elapsed_s) for key, now in sample.items()}
        self._before, self._at_s = dict(sample), at_s
        return rates


def _rates(before: Counters, now: Counters, elapsed_s: float) -> dict[str, float | None]:
    grown: dict[str, int | None] = {}
    for name, value in now.items():
        former = before.get(name)
        grown[name] = None if value is None or former is None else value - former
    fell = any(growth is not None and growth < 0 for growth in grown.values())
    if fell or elapsed_s <= 0:
        return dict.fromkeys(now)
    return {name: None if growth is None else growth / elapsed_s for name, growth in grown.items()}
