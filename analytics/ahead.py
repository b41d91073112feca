"""How deep queues get in the hours to come: by a forecast of arrivals, and by what arrives now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

HALF_LIFE_S = 3600.0  # after which half of what arrivals differ from their forecast now is gone
STEP_S = 900.0


def deepest(
    depth: Floats, arriving_per_s: Floats, forecast_per_s: Floats, capacity_per_s: Floats, since_s: Floats,
    *, step_s: float = 3600.0, horizon_s: float = 14400.0,
) -> Floats:  # fmt: skip
    """The most messages that each queue is expected to hold within the horizon, with no limit to what it may.

    Arrivals go back from what they are now to what was forecast. The past of a queue alone is an hour old and knows
    nothing of the burst that has just begun; its present rate alone takes each burst for the end of the world.

    Args:
        depth: messages now, one a queue.
        arriving_per_s: messages/s that arrive now, the mean of some minutes; nan: not known, and the forecast holds.
        forecast_per_s: messages/s, one row a queue, one column a step of the forecast; the last one goes on.
        capacity_per_s: messages/s that its consumers can serve.
        since_s: seconds from the begin of the forecast until now.
        step_s: seconds of a step of the forecast.
        horizon_s: seconds to look ahead.

    >>> one = np.array([0.0])
    >>> now, known = np.array([[3.0, 1.0, 1.0, 1.0, 1.0]]), np.array([1.0])
    >>> deepest(one, np.array([3.0]), now, known, one).round()
    array([11739.])
    """
    queues, last = np.arange(len(depth)), forecast_per_s.shape[1] - 1
    waiting, top = depth, depth
    for ahead_s in np.arange(STEP_S / 2, horizon_s, STEP_S):
        step = np.clip((since_s + ahead_s) // step_s, 0, last).astype(int)
        expected = forecast_per_s[queues, step]
        differs = np.nan_to_num(arriving_per_s - expected) * 0.5 ** (ahead_s / HALF_LIFE_S)
        waiting = np.maximum(waiting + (expected + differs - capacity_per_s) * STEP_S, 0.0)
        top = np.maximum(top, waiting)
    return top
