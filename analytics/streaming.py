"""The scorer of one series: fed with one value or with a million, it gives each the same score."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from io import BytesIO
from math import copysign, exp, isnan, log10, nan, sqrt

import numpy as np

from analytics import channels
from analytics.calibration import Tail
from analytics.frames import Floats
from analytics.stillness import Stillness
from store.errors import ParameterInvalid

MEMORY = 4096  # points that level and tails are learnt from
PAIRS = 1024  # pairs of neighbouring points that a new one is compared with
BLOCKS = ((512, 16), (MEMORY, 64))  # up to so many points: a new fit every so many
LATE = 256  # and later
REFRACTORY = 1.5  # seasons in which only a larger deviation is news
SHORTEST = 12  # points of that at least
UNTOLD = 300  # and where no season is known
# What mean and maximum of the three weigh. They add up to more than one: by chance the three are seldom large together.
MEAN, MOST = 0.8, 0.35
SATURATED = 2.9  # what a deviation that is no news scores at most
FIRST_LOOK = 256  # points after which a season is first looked for, and again when twice as many are there
ALONE = 8  # fewer points than so many are scored one by one: numpy would take longer
FURTHEST = 2.0  # times the largest deviation so far: no expected range is wider
RATE = 1e-3  # share of points that the expected range leaves out
MAGIC = b"gaugebook scorer 1\n"


@dataclass(frozen=True)
class Scored:
    """What the scorer says of each point; NaN where too little came before, or nothing was measured.

    What was `expected`, and the range `low` to `high` that all but the rate lie in; the `score`; and the `evidence`,
    which is the score without the refractory time.
    """

    expected: Floats
    low: Floats
    high: Floats
    score: Floats
    evidence: Floats


class Scorer:
    """Scores of one series, each by nothing but what came before it.

    Three deviations of a point, each mapped to -log10 of its tail probability under its own past: from the same time of
    earlier seasons, from the level of the last 4096 points, and from the nearest of the last 1024 pairs of neighbours.
    The first two are taken between square roots: counts and costs scatter more where they are high. Mean and maximum of
    the three make the evidence. What is not above all evidence of the last one and a half seasons is no news: its score
    saturates below what an alarm takes.

    Args:
        seasons: season lengths in steps, shortest first; which of them is used is decided from the past. None: the
            season is looked for in the past as it grows.
        rate: share of the points of a normal series that lie outside the expected range.

    >>> noise = np.random.default_rng(0).normal(100, 1, 600)
    >>> noise[500] = 120
    >>> whole = Scorer((24,)).feed(noise).score
    >>> scorer = Scorer((24,))
    >>> single = [scorer.feed(noise[k : k + 1]).score[0] for k in range(600)]
    >>> bool(np.array_equal(whole, single, equal_nan=True)), int(np.nanargmax(whole))
    (True, 500)
    """

    def __init__(self, seasons: tuple[int, ...] | None = (), *, rate: float = RATE) -> None:
        self.seasons, self.rate = seasons, rate
        self.season = seasons[0] if seasons else 0
        self.points = 0  # that went by
        self._left = 0  # points until the next fit
        self._look = FIRST_LOOK
        self._past: Floats = np.empty(0)
        self._fresh: list[float] = []  # the newest of the past, not yet joined to it
        self._sizes: Floats = np.empty((3, 0))
        self._pending: tuple[list[float], ...] = ([], [], [])  # deviations since the last fit
        self._ahead: list[float] = []  # what the next points should be, the next one last
        self._summits: deque[tuple[int, float]] = deque()  # evidence that the next must rise above, falling
        self._last = 0.0  # evidence of the point before
        self._before = nan  # that point
        self._stillness = Stillness()
        self._fitted: _Fit | None = None
        self._refractory = self._rest()

    @property
    def refractory(self) -> int:
        """Points in which only a larger deviation is news."""
        return self._refractory

    def feed(self, values: Floats) -> Scored:
        """Score the next points of the series, any number of them; NaN is a missing value."""
        count = len(values)
        made = np.full((5, count), nan)
        at = 0
        while at < count:
            self._prepare()
            taken = min(len(self._ahead), count - at)
            if taken < ALONE:
                made[:, at : at + taken] = np.transpose(
                    [self.push(value) for value in values[at : at + taken].tolist()]
                )
            else:
                made[:, at : at + taken] = self._advance(values[at : at + taken])
            at += taken
        return Scored(*made)

    def push(self, value: float) -> tuple[float, float, float, float, float]:
        """Score the next point alone: (expected, low, high, score, evidence), to the last digit what `feed` says."""
        self._prepare()
        expected, evidence = self._ahead.pop(), nan
        before = self._before
        sizes, low, high = (nan, nan, nan), nan, nan
        fit = self._fitted
        if fit:
            middle = copysign(sqrt(abs(expected)), expected)
            low, high = middle - fit.margin, middle + fit.margin
            low, high = low * abs(low), high * abs(high)
            if not isnan(value):
                root = copysign(sqrt(abs(value)), value)
                sizes = abs(root - middle), abs(root - fit.level), fit.pairs.nearest_to(before, value)
                evidence = fit.evidence(sizes)
        for kept, size in zip(self._pending, sizes, strict=True):
            kept.append(size)
        self._before = before if isnan(value) and isnan(expected) else expected if isnan(value) else value
        self._fresh.append(self._before)
        evidence = self._stillness.raised(value, evidence, self.points)
        score = self._news(evidence)
        self._left -= 1
        return expected, low, high, score, evidence

    def to_bytes(self) -> bytes:
        """The state: at most some 400 kB for a week of five-minute points, a tenth of it for hours."""
        ahead, summits = self._ahead, np.array(self._summits, dtype=np.float64).reshape(-1, 2)
        counts = [self.points, self._left, self._look, self.season, *(() if self.seasons is None else self.seasons)]
        numbers = [self.rate, self._last, self._before, self.seasons is None, *self._stillness.numbers()]
        kept = {"counts": np.array(counts), "numbers": np.array(numbers), "past": self._past}
        kept["fresh"] = np.array(self._fresh, dtype=np.float64)
        kept |= {"sizes": self._sizes, "pending": np.array(self._pending), "ahead": np.array(ahead), "summits": summits}
        file = BytesIO()
        np.savez_compressed(file, allow_pickle=False, **kept)
        return MAGIC + file.getvalue()

    @classmethod
    def from_bytes(cls, state: bytes) -> Scorer:
        """The scorer that `to_bytes` kept: it goes on as if it had never stopped.

        Raises:
            ParameterInvalid: these bytes are no state, or one of another release.

        >>> scorer = Scorer((24,))
        >>> _ = scorer.feed(np.arange(100.0))
        >>> Scorer.from_bytes(scorer.to_bytes()).push(7.0) == scorer.push(7.0)
        True
        """
        if not state.startswith(MAGIC):
            raise ParameterInvalid("state", "not one of a scorer of this release; score the history anew")
        kept = dict(np.load(BytesIO(state[len(MAGIC) :]), allow_pickle=False))
        rate, last, before, told, *still = kept["numbers"].tolist()
        points, left, look, season, *seasons = kept["counts"].tolist()
        made = cls(None if told else tuple(seasons), rate=rate)
        made.points, made._left, made._look, made.season = points, left, look, season
        made._last, made._before, made._stillness = last, before, Stillness.restored(still)
        made._sizes, made._pending = kept["sizes"], tuple(kept["pending"].tolist())
        made._ahead = kept["ahead"].tolist()
        made._summits = deque((int(at), evidence) for at, evidence in kept["summits"].tolist())
        made._refractory = made._rest()
        since = len(made._pending[0])  # points since the last fit, which it has to be made from again
        joined = np.concatenate([kept["past"], kept["fresh"]])
        if points > since:
            made._learn(joined[: len(joined) - since], points - since)
        made._past, made._fresh = kept["past"], kept["fresh"].tolist()
        return made

    def _advance(self, values: Floats) -> Floats:
        """`push` of several points that share one fit and whose expectations are known."""
        taken = len(values)
        expected = np.array(self._ahead[: -taken - 1 : -1])
        del self._ahead[-taken:]
        before = self._before
        measured = ~np.isnan(values)
        filled = values
        sizes, evidence, middle, margin = np.full((3, taken), nan), np.full(taken, nan), expected, nan
        for k in np.flatnonzero(~measured):
            if filled is values:
                filled = values.copy()
            filled[k] = expected[k] if expected[k] == expected[k] else filled[k - 1] if k else before
        fit = self._fitted
        if fit:
            margin = fit.margin
            middle, root = _root(expected), _root(values)
            near = fit.pairs.nearest(np.concatenate([[before], filled]))
            sizes = np.stack([np.abs(root - middle), np.abs(root - fit.level), near])
            sizes[:, ~measured] = nan
            evidence = fit.evidences(sizes)
        for kept, several in zip(self._pending, sizes.tolist(), strict=True):
            kept.extend(several)
        self._fresh += filled.tolist()
        self._before = self._fresh[-1]
        raised, score = [], []
        for value, raw in zip(values.tolist(), evidence.tolist(), strict=True):
            raised.append(self._stillness.raised(value, raw, self.points))
            score.append(self._news(raised[-1]))
        self._left -= taken
        low, high = middle - margin, middle + margin
        return np.stack([expected, low * np.abs(low), high * np.abs(high), score, raised])

    def _prepare(self) -> None:
        """See to it that there is a fit, and an expectation of the next point."""
        if not self._left:
            self._fit()
        if not self._ahead:
            self._join()
            self._ahead = channels.expected(self._past, self.season, self._left)[::-1].tolist()

    def _fit(self) -> None:
        """Learn anew from the past: at fixed counts of points, so that every way of feeding learns the same."""
        self._join()
        self._sizes = np.concatenate([self._sizes, self._pending], axis=1)[:, -MEMORY:]
        self._pending = ([], [], [])
        self._left = next((every for until, every in BLOCKS if self.points < until), LATE)
        season = self.season
        if self.seasons is None and self.points >= self._look:
            self._look *= 2
            season = channels.told(self._past, season)
        elif self.seasons and len(self.seasons) > 1:
            season = channels.fittest(self._past, self.seasons, season)
        if season != self.season:
            self.season, self._ahead = season, []
            self._refractory = self._rest()
        self._learn(self._past, self.points)

    def _learn(self, past: Floats, points: int) -> None:
        if len(past) > 1:
            tails = [Tail.of(sizes, points) for sizes in self._sizes]
            margin = nan
            if tails[0]:
                # A tail from few points reaches further than makes sense to anybody.
                margin = min(tails[0].size(-log10(self.rate)), FURTHEST * tails[0].largest)
            level = np.partition(past[-MEMORY:], min(len(past), MEMORY) // 2)[min(len(past), MEMORY) // 2]
            self._fitted = _Fit(channels.Pairs(past[-PAIRS - 1 :]), copysign(sqrt(abs(level)), level), tails, margin)

    def _join(self) -> None:
        if self._fresh:
            room = max(MEMORY + LATE, (channels.CYCLES + 1) * max(self.seasons or (channels.LONGEST,)))
            self._past = np.concatenate([self._past, self._fresh])[-room:]
            self._fresh = []

    def _rest(self) -> int:
        shortest = self.seasons[0] if self.seasons else self.season
        return max(SHORTEST, int(REFRACTORY * shortest)) if shortest else UNTOLD

    def _news(self, evidence: float) -> float:
        """The score: the evidence where it is news, else less than an alarm takes."""
        now, summits = self.points, self._summits
        self.points += 1
        if isnan(evidence):
            return nan
        while summits and summits[0][0] < now - self._refractory:
            summits.popleft()
        news = not summits or evidence > summits[0][1]
        while summits and summits[-1][1] <= evidence:
            summits.pop()
        summits.append((now, evidence))
        # An incident is not over with one point that looks normal: its neighbour lends it its evidence.
        felt, self._last = max(evidence, self._last), evidence
        return evidence if news else SATURATED * (1 - exp(-felt / SATURATED))


def _root(values: Floats) -> Floats:
    """Square roots that keep the sign."""
    return np.copysign(np.sqrt(np.abs(values)), values)


@dataclass(frozen=True)
class _Fit:
    """What was learnt from the past.

    Its pairs, the root of its level, a tail of each deviation, and the margin of the first.
    """

    pairs: channels.Pairs
    level: float
    tails: list[Tail | None]
    margin: float

    def evidence(self, sizes: tuple[float, ...]) -> float:
        total, most, known = 0.0, 0.0, 0
        for tail, size in zip(self.tails, sizes, strict=True):
            if tail:
                score = tail.score(size)
                total += score
                most = max(most, score)
                known += 1
        return (MEAN * (total / known) + MOST * most) if known else nan

    def evidences(self, sizes: Floats) -> Floats:
        total, most, known = np.zeros(sizes.shape[1]), np.zeros(sizes.shape[1]), 0
        for tail, size in zip(self.tails, sizes, strict=True):
            if tail:
                score = tail.scores(size)
                total += score
                most = np.maximum(most, score)
                known += 1
        return MEAN * (total / known) + MOST * most if known else np.full(len(total), nan)
