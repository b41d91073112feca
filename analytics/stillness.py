"""Values that stand still or stop coming: a run of equal or missing values that is too long for its series."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, log10, nan

STILL, SILENT = (24, 4), (6, 2)  # values in a row that may be a finding, and how often the longest run before
EARLIER = 20  # times its length must have gone by before it


@dataclass
class Run:
    """Runs of one kind: how long the present one is, the longest before it, and how many members all had before it.

    >>> run = Run(*SILENT)
    >>> [round(run.score(k, goes_on=k > 995), 1) for k in range(990, 1003)]
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 18.0, 21.0]
    """

    fewest: int
    longer: int
    length: int = 0
    longest: int = 0
    members: int = 0

    def score(self, points: int, *, goes_on: bool) -> float:
        """-log10 of the probability of a run as long, if its members fell at random; 0 while it is no finding."""
        if not goes_on:
            self.longest = max(self.longest, self.length)
            self.members += self.length
            self.length = 0
            return 0.0
        self.length += 1
        long = (
            self.length >= self.fewest and self.length > self.longer * self.longest and points >= EARLIER * self.length
        )
        return -self.length * log10((self.members + 1) / (points + 2)) if long else 0.0


class Stillness:
    """Evidence of a series that stands still (every value equal to the one before it) or is silent (none comes)."""

    def __init__(self) -> None:
        self.still, self.silent, self.value = Run(*STILL), Run(*SILENT), nan

    def raised(self, value: float, evidence: float, points: int) -> float:
        """The evidence of a point, raised where a run says more; `points` went by before it.

        A missing value has no evidence but that of its run.
        """
        if isnan(value):
            return self.silent.score(points, goes_on=True) or nan
        if self.silent.length:
            self.silent.score(points, goes_on=False)
        if value == self.value:
            return max(evidence, self.still.score(points, goes_on=True))
        if self.still.length:
            self.still.score(points, goes_on=False)
        self.value = value
        return evidence

    def numbers(self) -> list[float]:
        """The state."""
        runs = [(run.length, run.longest, run.members) for run in (self.still, self.silent)]
        return [self.value, *(float(number) for run in runs for number in run)]

    @classmethod
    def restored(cls, numbers: list[float]) -> Stillness:
        """From `numbers`."""
        made = cls()
        made.value = numbers[0]
        for run, at in ((made.still, 1), (made.silent, 4)):
            run.length, run.longest, run.members = (int(number) for number in numbers[at : at + 3])
        return made
