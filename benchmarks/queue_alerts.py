"""Warnings that a queue will be full: from forecasts of its arrivals, beside `predict_linear` of its depth.

    python benchmarks/queue_alerts.py [--data FOLDER] [--json FILE]

Queues with the traffic of real clients (benchmarks/parts/queue_episodes.py) grow and drain; the second week counts.
The peer is `predict_linear(depth[30m], 4h)` beyond the limit where the queue grows; ours is the gauge of the alert
QueueFillsUp: the most that the queue is expected to hold within four hours, by the hourly forecast and by what arrives
now. First each beyond the limit itself, then ours beyond whichever share of it gives the precision of the peer; so that
is chosen on what it is shown on.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # otherwise `import store` would find benchmarks/store.py

import numpy as np

from benchmarks.parts import queue_warnings as warnings
from benchmarks.parts.figures import Figure, save, show
from benchmarks.parts.queue_episodes import Queue, queues

TREND_MIN = 30
HOLDS_H = (0.5, 1, 4)
THRESHOLDS = np.round(np.arange(0.5, 1.55, 0.05), 2)


def main() -> None:
    """Measure, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(os.environ.get("GAUGEBOOK_DATA") or Path(__file__).parents[2] / "shared/data")
    parser.add_argument("--data", type=Path, default=default, metavar="FOLDER", help="real traces")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    figures = [one for holds_h in HOLDS_H for one in compared(queues(arguments.data, holds_h), holds_h)]
    show(figures)
    if arguments.json:
        save(figures, arguments.json)


def compared(all_queues: list[Queue], holds_h: float) -> list[Figure]:
    """Lead, precision and share warned of, of both."""
    trends = [warnings.linear(queue, TREND_MIN) for queue in all_queues]
    trend = warnings.worth(all_queues, trends, 1.0)
    told = warnings.forecast(all_queues)
    tried = {float(limit): warnings.worth(all_queues, told, float(limit)) for limit in THRESHOLDS}
    own = tried[1.0]
    as_right = max((one for one in tried.values() if one.precision >= trend.precision), key=lambda one: one.lead_min)
    episodes = sum(minute >= warnings.BEGIN for queue in all_queues for minute in queue.full_at())
    what = f"{len(all_queues)} queues that hold {holds_h:g} h of work, {episodes} times full: mean lead of a warning"
    return [
        _figure(what, "min", own.lead_min, trend.lead_min),
        _figure("the same: share of warnings that were right", "share", own.precision, trend.precision, 0.95),
        _figure("the same: share of full queues that were warned of", "share", own.recall, trend.recall),
        _figure("mean lead where as many of our warnings are right", "min", as_right.lead_min, trend.lead_min),
        _figure("the same: share of warnings that were right", "share", as_right.precision, trend.precision),
    ]


def _figure(what: str, unit: str, ours: float, peer: float, reach: float = 1.0) -> Figure:
    return Figure(what, unit, ours, {"predict_linear": peer}, None, ours / peer, reach)


if __name__ == "__main__":
    main()
