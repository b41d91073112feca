"""Reports: how long the cost report takes over five million requests, and what papermill and the page add to one.

    python benchmarks/reports.py [--requests 5000000] [--repeats 3] [--json FILE]

The requests are those of benchmarks/parts/requests.sql, thirty days of six workloads, rolled up, on an embedded server
of its own with fsync; the other reports are made over a hundredth of them. Every run is a process of its own, as
somebody types it. What is added is the time of the whole command without that which papermill notes for the cells.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])  # otherwise `import store` would find benchmarks/store.py

from benchmarks.parts.figures import Figure, back_ends, save, show
from benchmarks.parts.report_runs import as_it_comes, command, prepared
from pipelines.notebooks import names

LIMIT_S = 20.0  # of the cost report
ADDED_S = 5.0  # to the cells of a report


def main() -> None:
    """Measure, print a table, write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    figures = [*large(arguments.requests, arguments.repeats), *added(arguments.requests // 100, arguments.repeats)]
    show(figures)
    if arguments.json:
        save(figures, arguments.json)


def large(requests: int, repeats: int) -> list[Figure]:
    """The cost report over many requests: the whole command, and its cells alone."""
    with back_ends() as stores:
        settings = stores["plain"]
        prepared(settings, requests)
        runs = [command(settings, "llm_cost") for _ in range(repeats)]
    whole, cells, cpu = (statistics.median(getattr(run, name) for run in runs) for name in ("whole", "cells", "cpu"))
    what = f"llm_cost over {requests:,} requests of 30 days, the whole command"
    peers = {"its cells alone": cells, "CPU without the database": cpu}
    return [Figure(what, "s", whole, peers, None, whole, LIMIT_S, at_most=True)]


def added(requests: int, repeats: int) -> list[Figure]:
    """What is added to the cells of each report: process, kernel, papermill, page, ledger."""
    figures = []
    with back_ends() as stores:
        settings = stores["plain"]
        prepared(settings, requests)
        for report in names():
            ours, theirs = [], []
            for _ in range(repeats):
                ours.append(command(settings, report))
                theirs.append(as_it_comes(settings, report))
            more, plain = (statistics.median(run.added for run in runs) for runs in (ours, theirs))
            peers = {"papermill's command, no page": plain}
            what = f"added to the cells of {report} ({statistics.median(run.cells for run in ours):.1f} s)"
            figures.append(Figure(what, "s", more, peers, None, more, ADDED_S, at_most=True))
    return figures


if __name__ == "__main__":
    main()
