"""Warnings that a queue will be full within four hours, and what they are worth.

A warning that begins is right if the queue is full within six hours of it; none is counted before a queue that was full
has been half empty, since nobody needs it. The lead of a queue that became full is how long before, at most six hours,
the first warning was on; nought where none was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analytics import queues
from analytics.ahead import deepest
from benchmarks.parts.queue_episodes import WEEK_H, Queue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float64]

AHEAD_H = 4
RIGHT_MIN = 6 * 60
BEGIN = WEEK_H * 60  # what comes before is for learning
HELD_MIN = 15  # a warning goes on for so long when its reason is gone: `keep_firing_for`
NOW_MIN = 15  # minutes of which the mean is what arrives now
LATE_MIN = 8  # minutes after the hour at which the write-back job has looked at it


@dataclass(frozen=True)
class Worth:
    """Of warnings their number and the share that was right; of full queues the share warned of and the mean lead."""

    warnings: int
    precision: float
    recall: float
    lead_min: float


def linear(queue: Queue, window_min: int) -> Floats:
    """`predict_linear(depth[window], 4h)` as a share of the limit at each minute; 0 where the queue does not grow.

    Least squares over the samples of the window, as Prometheus has it.
    """
    seen = np.lib.stride_tricks.sliding_window_view(queue.depth, window_min)
    at = np.arange(window_min) - (window_min - 1.0)
    middle = at.mean()
    slope = (seen * (at - middle)).sum(axis=1) / ((at - middle) ** 2).sum()
    level = seen.mean(axis=1) - slope * middle
    told = np.where(slope > 0, (level + slope * AHEAD_H * 60) / queue.limit, 0.0)
    return np.concatenate([np.zeros(window_min - 1), told])


def forecast(all_queues: Sequence[Queue]) -> list[Floats]:
    """The most that each is expected to hold within four hours as a share of the limit, at each minute.

    By the capacity and the arrivals that the write-back job finds once an hour in the hours before, and by depth and
    arrivals now, as the gauge of `gaugebook tick` has it.
    """
    told = [np.zeros(len(queue.depth)) for queue in all_queues]
    arriving = [_mean(queue.arriving, NOW_MIN) for queue in all_queues]
    rows = pl.concat([queue.hourly() for queue in all_queues])
    for hour, until in enumerate(sorted(rows["bucket"].unique())):
        if hour <= WEEK_H:
            continue
        made = queues.capacity(rows.filter(pl.col("bucket") < until), AHEAD_H + 2)
        power = dict(made.table.filter("capacity_seen").select("queue", "capacity_per_s").iter_rows())
        ahead = {name: part["arriving_per_s"].to_numpy() for (name,), part in made.backlog.group_by("queue")}
        for queue, one, now in zip(all_queues, told, arriving, strict=True):
            if queue.name not in power:
                continue
            at = np.arange(hour * 60 + LATE_MIN, min(hour * 60 + LATE_MIN + 60, len(one)))
            expected = np.tile(ahead[queue.name], (len(at), 1))
            since_s = (at - hour * 60.0) * 60
            top = deepest(queue.depth[at], now[at], expected, np.full(len(at), power[queue.name]), since_s)
            one[at] = top / queue.limit
    return told


def _mean(values: Floats, minutes: int) -> Floats:
    """Of the minutes up to each, itself included."""
    total = np.cumsum(np.concatenate([np.zeros(minutes), values]))
    mean: Floats = (total[minutes:] - total[:-minutes]) / minutes
    return mean


def worth(all_queues: Sequence[Queue], told: Sequence[Floats], threshold: float) -> Worth:
    """What warnings from `threshold` on are worth."""
    begun = right = 0
    leads: list[float] = []
    for queue, one in zip(all_queues, told, strict=True):
        on = _held((one >= threshold) & queue.armed())
        full = np.array(queue.full_at())
        starts = np.flatnonzero(on[1:] & ~on[:-1]) + 1
        for start in starts[starts >= BEGIN]:
            begun += 1
            right += bool(((full > start) & (full <= start + RIGHT_MIN)).any())
        for minute in full[full >= BEGIN + RIGHT_MIN]:
            warned = np.flatnonzero(on[minute - RIGHT_MIN : minute])
            leads.append(float(RIGHT_MIN - warned[0]) if len(warned) else 0.0)
    lead = np.array(leads)
    return Worth(begun, right / max(begun, 1), float((lead > 0).mean()), float(lead.mean()))


def _held(on: Flags) -> Flags:
    held = on.copy()
    for later in range(1, HELD_MIN + 1):
        held[later:] |= on[:-later]
    return held
