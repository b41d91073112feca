"""The most that queues are expected to hold soon: by their latest outlooks, and by how they are now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

Row = Mapping[str, Any]

NOW = timedelta(minutes=15)  # of which the mean is what arrives now
HORIZON_H = 4
QUEUE = ("cluster", "vhost", "queue")


def foreseen(outlooks: Sequence[Row]) -> list[Row]:
    """The outlooks of queues that have a limit and have shown what they can serve."""
    return [row for row in outlooks if row["max_length"] and row["capacity_seen"] and row["arriving_ahead_per_s"]]


def peaks(outlooks: Sequence[Row], seen: Sequence[Row], now: datetime) -> Iterator[tuple[Row, float]]:
    """Each queue, and the most that it is expected to hold within four hours as a share of its limit; 1 is full.

    Args:
        outlooks: those that are `foreseen`.
        seen: as `queues_now` tells of `NOW`. A queue that is not in it is left out.
        now: when that was, UTC.
    """
    import numpy as np

    from analytics.ahead import deepest

    there = {tuple(row[name] for name in QUEUE): row for row in seen}
    alike = defaultdict(list)
    for row in outlooks:
        if tuple(row[name] for name in QUEUE) in there:
            alike[len(row["arriving_ahead_per_s"]), row["horizon_s"]].append(row)
    for (steps, horizon_s), rows in alike.items():
        at = [there[tuple(row[name] for name in QUEUE)] for row in rows]
        most = deepest(
            np.array([row["messages"] for row in at], dtype=float),
            np.array([row["arriving_per_s"] for row in at], dtype=float),  # None becomes nan
            np.array([row["arriving_ahead_per_s"] for row in rows], dtype=float),
            np.array([row["capacity_per_s"] for row in rows], dtype=float),
            np.array([(now - row["trained_until"]).total_seconds() for row in rows]),
            step_s=horizon_s / steps,
            horizon_s=HORIZON_H * 3600.0,
        )
        for row, messages in zip(rows, most, strict=True):
            yield row, float(messages) / row["max_length"]
