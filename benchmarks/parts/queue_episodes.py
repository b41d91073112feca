"""Queues that grow and drain, with the traffic of real clients: their depth by the minute, and when each is full.

A queue holds the requests of one client of an LLM service (ServeGen, fourteen days in windows of ten minutes), and its
consumers serve a fixed number of them a second: what the client asked for in its first week on average, a little more
or less. It may hold the work of some time; what comes beyond that is turned away.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

START = datetime(2025, 3, 3, tzinfo=UTC)
WINDOW_S, MINUTE_S, HOUR_S = 600, 60, 3600
WEEK_H = 7 * 24
LEAST_WINDOWS = 1000  # of the 2,016 with traffic, in a client worth a queue
SERVED = (0.9, 1.1, 1.3)  # of what arrives on average


@dataclass(frozen=True)
class Queue:
    """One queue. `depth` in messages at the end of each minute, `arriving` and `served` in messages/s in each."""

    name: str
    depth: Floats
    arriving: Floats
    served: Floats
    limit: float

    def armed(self) -> NDArray[np.bool_]:
        """Whether it has been half empty since it was full, minute by minute."""
        found, armed = np.empty(len(self.depth), dtype=bool), True
        for minute, depth in enumerate(self.depth):
            armed = depth < self.limit if armed else bool(depth <= self.limit / 2)
            found[minute] = armed
        return found

    def full_at(self) -> list[int]:
        """The minutes in which it became full, having had half its room before."""
        armed = self.armed()
        return [int(minute) for minute in np.flatnonzero(armed[:-1] & ~armed[1:]) + 1]

    def hourly(self) -> pl.DataFrame:
        """Its hours, as the rollups of the store have them."""
        hours = len(self.depth) // 60
        size = hours * 60
        return pl.DataFrame(
            {
                "bucket": [START + timedelta(hours=k) for k in range(hours)],
                "queue": self.name,
                "last_messages": self.depth[:size].reshape(hours, 60)[:, -1],
                "avg_consumers": 1.0,
                "avg_published_per_s": self.arriving[:size].reshape(hours, 60).mean(axis=1),
                "avg_acked_per_s": self.served[:size].reshape(hours, 60).mean(axis=1),
                "max_length": self.limit,
            }
        )


def queues(data: Path, holds_h: float) -> list[Queue]:
    """Queues that may hold the work of `holds_h` hours, and were full in the second week at least once.

    Each busy client's traffic makes one for each of `SERVED`.
    """
    with gzip.open(data / "llm_usage/servegen_m_small_clients_10min.csv.gz") as file:
        rows = pl.read_csv(file.read(), columns=["client", "t_s", "requests"])
    windows = int(rows["t_s"].max()) // WINDOW_S + 1  # type: ignore[arg-type,operator]  # seconds
    made = []
    for (client,), own in rows.sort("client").group_by("client", maintain_order=True):
        if len(own) < LEAST_WINDOWS:
            continue
        requests = np.zeros(windows)
        requests[own["t_s"].to_numpy() // WINDOW_S] = own["requests"].to_numpy()
        for share in SERVED:
            queue = _fluid(f"client {client} served {share:g}", np.repeat(requests / WINDOW_S, 10), share, holds_h)
            if any(minute >= WEEK_H * 60 for minute in queue.full_at()):
                made.append(queue)
    return made


def _fluid(name: str, arriving: Floats, share: float, holds_h: float) -> Queue:
    power = float(arriving[: WEEK_H * 60].mean()) * share
    limit = power * holds_h * HOUR_S
    depth, served = np.empty_like(arriving), np.empty_like(arriving)
    waiting = 0.0
    for minute, rate in enumerate(arriving):
        there = waiting + rate * MINUTE_S
        served[minute] = min(there, power * MINUTE_S) / MINUTE_S
        waiting = depth[minute] = min(there - served[minute] * MINUTE_S, limit)
    return Queue(name, depth, arriving, served, limit)
