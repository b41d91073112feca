"""Scores of one whole series: what `analytics.streaming` says of its points, one after the other."""

from __future__ import annotations

from analytics.frames import Floats
from analytics.streaming import Scorer


def tail_scores(series: Floats, seasons: tuple[int, ...] | None = ()) -> tuple[Floats, Floats]:
    """Score every point of a series by the points before it.

    Args:
        series: values on a grid, NaN where missing.
        seasons: season lengths in steps that may be used, shortest first; None: looked for as the series grows.

    Returns:
        (expected, score): the value expected, and -log10 of the tail probability; NaN where too little came before.

    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(size=500)
    >>> noise[400] = 9.0
    >>> expected, score = tail_scores(noise, ())
    >>> int(np.nanargmax(score)), bool(score[400] > 4)
    (400, True)
    """
    scored = Scorer(seasons).feed(series)
    return scored.expected, scored.score
