"""A queue by simulation: paths of arrivals less capacity, never below zero, never above its limit."""

from __future__ import annotations

import numpy as np

from analytics.frames import Floats

SETTLE = 4  # this part of the horizon may go by before a target must hold: what waits now has to be worked off
MOST = 1_000_000  # consumers; more are not a number of consumers


def backlog(arriving_per_s: Floats, capacity_per_s: Floats, start: Floats, limit: Floats, step_s: float) -> Floats:
    """Depth at the end of each step: (..., horizon).

    Args:
        arriving_per_s: (..., horizon) messages a second.
        capacity_per_s: (...,) messages a second that can be served.
        start: (...,) messages at the beginning.
        limit: (...,) messages that fit; what comes beyond is lost.
        step_s: seconds in a step.

    Source:
        D. V. Lindley, *The theory of queues with a single server*, Proceedings of the Cambridge Philosophical Society
        48, 1952, for the fluid of L. Kleinrock, *Queueing Systems* II, 1976, section 2.7.

    >>> backlog(np.array([3.0, 0.0, 0.0]), np.array(1.0), np.array(0.0), np.array(np.inf), 10.0)
    array([20., 10.,  0.])
    """
    depth = np.empty_like(arriving_per_s)
    now = start
    for step in range(arriving_per_s.shape[-1]):
        now = np.clip(now + (arriving_per_s[..., step] - capacity_per_s) * step_s, 0.0, limit)
        depth[..., step] = now
    return depth


def consumers_needed(
    arriving_per_s: Floats, per_consumer_per_s: float, start: float, step_s: float, target_age_s: float, tail: float
) -> int | None:
    """The fewest consumers with which the youngest message waits at most `target_age_s` in `tail` of the paths.

    Args:
        arriving_per_s: (path, horizon).
        per_consumer_per_s: what one serves.
        start: messages at the beginning; a quarter of the horizon is allowed to work them off.
        step_s: seconds in a step.
        target_age_s: seconds.
        tail: share of the paths, 0 to 1.

    Returns:
        None if a million are not enough.

    >>> consumers_needed(np.full((1, 8), 10.0), 4.0, 0.0, 60.0, 1.0, 0.9)
    3
    """

    def holds(count: int) -> bool:
        capacity = np.array(count * per_consumer_per_s)
        depth = backlog(arriving_per_s, capacity, np.array(start), np.array(np.inf), step_s)
        worst = depth[:, arriving_per_s.shape[1] // SETTLE :].max(axis=1, initial=0.0)
        return bool((worst <= target_age_s * capacity).mean() >= tail)

    high = 1
    while not holds(high):
        high *= 2
        if high > MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
