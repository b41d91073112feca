"""One look at a broker with 10,000 queues beside the ways that come to mind first.

    python benchmarks/rabbitmq.py [--queues 10000] [--repeats 5] [--json FILE]

The broker is Debian's, one of its own in a temporary folder, with the statistics interval that it is installed with.
Each way runs in a process of its own, in turn with the others, so that its memory is its own; the best of its runs
counts, since the broker shares the machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # otherwise `import rabbitmq` would find this very file

from benchmarks.parts.figures import Figure, folder, save, show
from benchmarks.parts.rabbitmq_ways import WAYS
from tests.collectors.rabbitmq import crowd
from tests.fix_rabbitmq import Broker

OURS, FULL, COLUMNS, PARSER = WAYS
MOST_S, MOST_CPU_S, MOST_SERIES, MOST_MB = 1.0, 0.4, 5.0, 120.0


def main() -> None:
    """Measure, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queues", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5, help="runs of each way")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    with folder() as home:
        broker = Broker(home, config="collect_statistics_interval = 5000\n")
        try:
            broker.start()
            crowd.make(broker, arguments.queues, waiting=arguments.queues // 10)
            found = {way: measure(way, broker, arguments.repeats) for way in WAYS}
        finally:
            broker.close()
    figures = judged(found, arguments.queues)
    show(figures)
    if arguments.json:
        save(figures, arguments.json)


def measure(way: str, broker: Broker, repeats: int) -> dict[str, float]:
    """Seconds of wall clock and of our CPU, the best of each; MB of memory; series on our own /metrics."""
    # The full list of 10,000 queues takes the broker many seconds: once tells enough.
    times = min(repeats, 2) if way == FULL else repeats
    command = [
        sys.executable,
        "-m",
        "benchmarks.parts.rabbitmq_ways",
        way,
        broker.url,
        broker.prometheus_url,
        str(times),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    told: dict[str, float] = json.loads(ended.stdout)
    return told


def judged(found: dict[str, dict[str, float]], queues: int) -> list[Figure]:
    """The figures that the limits are about, and what each peer costs beside us."""
    ours, peers = found[OURS], {way: found[way] for way in WAYS if way != OURS}

    def at_most(what: str, unit: str, key: str, limit: float, each: float = 1.0) -> Figure:
        beside = {way: one[key] for way, one in peers.items() if key in one}
        value = ours[key] / each
        return Figure(f"{what}, {queues:,} queues", unit, value, beside, limit, value, limit, at_most=True)

    return [
        at_most("one look, wall clock", "s", "wall_s", MOST_S),
        at_most("one look, CPU of the collector", "s", "cpu_s", MOST_CPU_S),
        at_most("series on our /metrics, a queue", "series", "series", MOST_SERIES, queues),
        at_most("memory, /metrics served", "MB", "rss_mb", MOST_MB),
        *(
            Figure(
                f"{way} beside one look",
                "s",
                ours["wall_s"],
                {way: one["wall_s"]},
                None,
                one["wall_s"] / ours["wall_s"],
                reach,
            )
            for (way, one), reach in zip(peers.items(), (5.0, 1.0, 2.0), strict=True)
        ),
    ]


if __name__ == "__main__":
    main()
