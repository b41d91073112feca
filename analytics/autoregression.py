"""Subset autoregressions by ridge: many series, each fitted at many origins, all solved at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analytics.frames import Floats
from analytics.naive import seasonal_naive

RIDGE = 1.0  # penalty on standardised lags, in rows of data
TRACE = 1e-6
REACH = 0.5  # a recursion may leave the range of its past by so much of that range


def autoregression(
    past: Floats, horizon: int, lags: Sequence[int], *, difference: int = 0, offsets: Sequence[int] = (0,)
) -> Floats:
    """Fit each row on its own `lags` by ridge, after an optional seasonal difference, and run it forward.

    Hoerl and Kennard, "Ridge Regression", Technometrics 12, 1970. The products of lags are added up once, from origin
    to origin, so that a fit at one more origin costs one small linear system and nothing more. A row too short for a
    lag keeps a zero weight there.

    Args:
        past: (series, time), aligned at the last point; NaN only before a series began.
        horizon: steps to forecast.
        lags: in steps; those longer than half of the shortest history, after the difference, are left out.
        difference: season whose difference is modelled, 0 for none.
        offsets: origins, in points before the end; what lies after an origin is not seen by its fit.

    Returns:
        (series, origins, horizon), in the unit of `past`.

    >>> autoregression(np.array([[1.0, 2.0] * 40]), 3, (1, 2)).round(1).tolist()
    [[[1.0, 2.0, 1.0]]]
    """
    series = past[:, difference:] - past[:, :-difference] if difference else past
    known = np.isfinite(series)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    filled = np.where(known, series, 0.0)
    centre = filled.sum(axis=1, keepdims=True) / count
    z = np.where(known, filled - centre, 0.0)
    spread = np.sqrt((z**2).sum(axis=1, keepdims=True) / count)
    size = np.nanmax(np.abs(past), axis=1, keepdims=True)
    spread = np.where(spread > 1e-12 * size, spread, np.where(size > 0, size, 1.0))
    z /= spread
    begins = np.where(known.any(axis=1), known.argmax(axis=1), z.shape[1])
    longest = max(1, (int(np.isfinite(past).sum(axis=1).min()) - difference) // 2)
    used = np.array([lag for lag in lags if lag <= longest] or [1])
    ends = np.maximum(z.shape[1] - np.asarray(offsets), 0)
    fitted = _ridge(z, begins, used, ends)
    ahead = _run(z, begins, used, ends, fitted, horizon) * spread[:, :, None] + centre[:, :, None]
    if difference:
        # The season before the forecast, then what was forecast one season before.
        for start in range(0, horizon, difference):
            width = min(difference, horizon - start)
            before = ahead[:, :, start - difference : start - difference + width] if start else None
            base = seasonal_naive(past, width, difference, offsets) if before is None else before
            ahead[:, :, start : start + width] += base
    return np.asarray(ahead)


def _ridge(z: Floats, begins: np.ndarray[tuple[int], np.dtype[np.intp]], used: Floats, ends: Floats) -> Floats:
    """Weights (series, origin, 1 + lags), the intercept first."""
    longest, width = int(used.max()), z.shape[1]
    rows = max(0, width - longest)
    # A row counts from where its longest lag is known: before that everything in it is zero, the intercept too.
    whole = np.arange(rows)[None, :] >= begins[:, None]
    design = np.empty((len(z), len(used) + 2, rows))
    design[:, 0] = whole
    for k, lag in enumerate((*used, 0), start=1):
        design[:, k] = z[:, longest - lag : width - lag]
    if begins.any():
        design *= whole[:, None, :]
    order = np.argsort(ends)
    total, moments, power, mean, seen = None, [], 0.0, 0.0, 0.0
    low, inside = 0, np.arange(width)[None, :] >= begins[:, None]
    penalty, level = np.empty((len(z), len(ends))), np.empty((len(z), len(ends)))
    previous = 0
    for k in order:
        high = max(0, int(ends[k]) - longest)
        part = design[:, :, low:high]
        product = part @ part.transpose(0, 2, 1)
        total = product if total is None else total + product
        moments.append(total)
        span = slice(previous, max(0, int(ends[k])))
        power = power + (z[:, span] ** 2).sum(axis=1)
        mean = mean + z[:, span].sum(axis=1)
        seen = seen + inside[:, span].sum(axis=1)
        fewest = np.maximum(seen, 1)
        level[:, k] = mean / fewest
        penalty[:, k] = RIDGE * np.maximum(power / fewest - (mean / fewest) ** 2, 1e-9)
        low, previous = max(low, high), max(previous, span.stop)
    gram = np.empty((len(z), len(ends), len(used) + 2, len(used) + 2))
    for k, moment in zip(order, moments, strict=True):
        gram[:, k] = moment
    lag = np.arange(1, len(used) + 1)
    gram[:, :, lag, lag] += penalty[:, :, None]
    # The mean is not shrunk; the trace of a penalty lets what has no row repeat the mean that was seen.
    gram[:, :, 0, 0] += TRACE
    gram[:, :, 0, -1] += TRACE * level
    return np.asarray(np.linalg.solve(gram[:, :, :-1, :-1], gram[:, :, :-1, -1:])[..., 0])


def _run(
    z: Floats,
    begins: np.ndarray[tuple[int], np.dtype[np.intp]],
    used: Floats,
    ends: Floats,
    fitted: Floats,
    horizon: int,
) -> Floats:
    """The recursion from every origin, kept within reach of what was seen: (series, origin, step)."""
    longest = int(used.max())
    inside = np.arange(z.shape[1])[None, :] >= begins[:, None]
    lowest = np.minimum.accumulate(np.where(inside, z, np.inf), axis=1)
    highest = np.maximum.accumulate(np.where(inside, z, -np.inf), axis=1)
    last = np.maximum(ends - 1, 0)
    low, high = lowest[:, last].T, highest[:, last].T
    low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
    room = REACH * (high - low)
    low, high = low - room, high + room
    # Time first: then the lags of all series and origins are whole rows.
    padded = np.concatenate([np.zeros((len(z), longest)), z], axis=1)
    run = np.empty((longest + horizon, len(ends), len(z)))
    for k, end in enumerate(ends):
        run[:longest, k] = padded[:, end : end + longest].T
    weights = np.ascontiguousarray(fitted.transpose(2, 1, 0))
    back = longest - used
    for step in range(horizon):
        ahead = weights[0] + np.einsum("pkb,pkb->kb", weights[1:], run[back + step])
        run[longest + step] = np.minimum(np.maximum(ahead, low), high)
    return np.ascontiguousarray(run[longest:].transpose(2, 1, 0))
