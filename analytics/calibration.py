"""How improbable a deviation is, given the deviations before it: an empirical body and a fitted tail."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from math import inf, log, log10, sqrt

import numpy as np

from analytics.frames import Floats

KNOTS = 64  # ranks of the body that are kept
EXCESSES = 1.25  # times the square root of the sample: how many of the largest make the tail
FLOOR = 1e-3  # least slope of a tail, in parts of where it begins
FEWEST = 10  # deviations that make a tail


@dataclass(frozen=True)
class Tail:
    """-log10 of the probability that a deviation is as large, learnt from a sample of deviations.

    Below `edge` by rank, above it by an exponential tail (Pickands, Annals of Statistics 3, 1975, with shape zero). Its
    slope is the median excess, since past incidents are in the sample and must not hide the next one; its predictive
    form is heavier than exponential, since the slope is an estimate. How many of the largest make the tail grows with
    the square root of the sample: few enough to be a tail, many enough to average.

    >>> tail = Tail.of(np.arange(1000.0), 1000)
    >>> round(tail.score(500.0), 1), round(tail.score(2000.0)), round(tail.size(tail.score(2000.0)))
    (0.3, 10, 2000)
    """

    knots: list[float]
    body: list[float]
    edge: float
    base: float
    weight: float
    per_slope: float
    largest: float

    @classmethod
    def of(cls, sizes: Floats, seen: int) -> Tail | None:
        """A tail from deviations >= 0 of a series of which `seen` points went by; NaN is left out; None if too few."""
        ordered = np.sort(sizes[~np.isnan(sizes)])
        count = len(ordered)
        if count < FEWEST:
            return None
        edge = float(ordered[max(0, int(count - EXCESSES * sqrt(count)))])
        excess = ordered[ordered.searchsorted(edge, "right") :] - edge
        slope = max(float(excess[len(excess) // 2]) / log(2) if len(excess) else 0.0, FLOOR * edge)
        if slope > 0:
            base, weight = -log10(max(len(excess), 1) / (count + 1)), max(1.0, len(excess) / 2)
            per_slope = 1 / (slope * weight)
        else:
            # Nothing ever deviated: Jeffreys' estimate of the rate of what was not seen in so many points.
            base, weight, per_slope = log10(2 * (seen + 1)), 0.0, 0.0
        knots = ordered[:: max(1, count // KNOTS)]
        body = -np.log10(1 - np.arange(len(knots) + 1) / (len(knots) + 1))
        return cls(knots.tolist(), np.minimum(body, base).tolist(), edge, base, weight, per_slope, float(ordered[-1]))

    def score(self, size: float) -> float:
        """Score of one deviation."""
        if size <= self.edge:
            return self.body[bisect_left(self.knots, size)]
        # numpy's logarithm here too: another one may differ in the last digit from that of `scores`.
        return self.base + self.weight * float(np.log10(1 + (size - self.edge) * self.per_slope))

    def scores(self, sizes: Floats) -> Floats:
        """Scores of many deviations, to the last digit what `score` says of each."""
        found = np.array(self.body)[np.searchsorted(self.knots, sizes)]
        found[np.isnan(sizes)] = np.nan
        far = np.flatnonzero(sizes > self.edge)
        found[far] = self.base + self.weight * np.log10(1 + (sizes[far] - self.edge) * self.per_slope)
        return found

    def size(self, score: float) -> float:
        """The deviation that has this score."""
        if score <= self.base:
            return self.knots[min(bisect_left(self.body, score), len(self.knots) - 1)]
        if not self.per_slope:
            return inf
        return self.edge + (10 ** min((score - self.base) / self.weight, 300.0) - 1) / self.per_slope
