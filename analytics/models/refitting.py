"""Errors of forecasters that are slow or learn from all series at once: fitted anew at each of a few origins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analytics.engines import FEW, Draft
from analytics.frames import Floats
from analytics.intervals import Rolling, plan

MOST = 6  # origins; each is a fit of every series


def refitted(
    past: Floats,
    actual: Floats,
    horizon: int,
    seasons: tuple[int, ...],
    solve: Callable[[Floats, int], Floats],
    words: str,
) -> Draft:
    """Forecast `past`, and what it would have been at up to six origins before.

    Each origin is fitted by itself on what lies before it: a model of all series would else see one's future in
    another's past.

    Args:
        past: (series, time), NaN only before a series began.
        actual: the same with NaN where nothing was measured.
        horizon: steps ahead.
        seasons: season lengths in steps.
        solve: (series, time), steps -> (series, steps).
        words: what the model is called.

    >>> last = lambda rows, steps: np.repeat(rows[:, -1:], steps, axis=1)
    >>> line = np.arange(40.0)[None]
    >>> made = refitted(line, line, 2, (), last, "the last value")
    >>> made.point.tolist(), made.rolling.errors[0, 0].tolist()
    ([[39.0, 39.0]], [1.0, 2.0])
    """
    points = int(np.isfinite(past).sum(axis=1).min())
    need = max(FEW - 2, *(2 * m + 2 for m in seasons), 0) if seasons else FEW - 2
    steps, offsets = plan(points, horizon, min(need, points - 2), seasons[0] if seasons else 1)
    offsets = offsets[:MOST]
    width = past.shape[1]
    errors = np.full((len(past), len(offsets), steps), np.nan)
    for k, offset in enumerate(offsets):
        stop = width - offset
        errors[:, k] = actual[:, stop : stop + steps] - solve(past[:, :stop], steps)
    named = f"season {' and '.join(map(str, seasons))}" if seasons else "no season confirmed"
    note = f"{words}; {named}; intervals from {len(offsets)} rolling origins of {steps} steps"
    return Draft(solve(past, horizon), Rolling(errors, offsets) if offsets else None, note)


def history(row: Floats) -> Floats:
    """One series from its first value on.

    >>> history(np.array([np.nan, 1.0, 2.0])).tolist()
    [1.0, 2.0]
    """
    return row[np.isfinite(row)]
