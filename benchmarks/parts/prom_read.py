"""One way of reading in a process of its own: prints samples, their sum, seconds and memory as JSON.

python benchmarks/parts/prom_read.py WAY URL START END REPEATS
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])

METRIC = "bench_queue_messages"
STEP_S = 60
POINTS = 11_000
Found = tuple[int, float]  # samples, and the sum of their values


def ours(url: str, start: int, end: int) -> Found:
    """As they are stored."""
    from analytics import prom

    frame = prom.range(METRIC, start, end, url=url, progress=False)
    return len(frame), float(frame["y"].sum())


def ours_at_steps(url: str, start: int, end: int) -> Found:
    """As `query_range` has them."""
    from analytics import prom

    frame = prom.range(METRIC, start, end, STEP_S, url=url, progress=False)
    return len(frame), float(frame["y"].sum())


def over_httpx(url: str, start: int, end: int) -> Found:
    """`query_range` in parts of 11,000 points, its JSON into a polars frame."""
    import httpx2
    import polars as pl

    frames = []
    with httpx2.Client(timeout=600, trust_env=False) as client:
        for begin in range(start, end + 1, POINTS * STEP_S):
            last = min(end, begin + (POINTS - 1) * STEP_S)
            asked = {"query": METRIC, "start": begin, "end": last, "step": STEP_S}
            found = client.get(f"{url}/api/v1/query_range", params=asked).json()["data"]["result"]
            for series in found:
                times, values = zip(*series["values"], strict=True)
                columns = {"ds": times, "y": list(map(float, values))}
                frames.append(
                    pl.DataFrame(columns).with_columns(pl.lit(v).alias(k) for k, v in series["metric"].items())
                )
    frame = pl.concat(frames)
    return len(frame), float(frame["y"].sum())


def over_client(url: str, start: int, end: int) -> Found:
    """prometheus-api-client, as `custom_query_range` to its own frame."""
    from prometheus_api_client import MetricRangeDataFrame, PrometheusConnect

    client, found = PrometheusConnect(url=url), []
    for begin in range(start, end + 1, POINTS * STEP_S):
        last = min(end, begin + (POINTS - 1) * STEP_S)
        span = (datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(last, UTC))
        found += client.custom_query_range(METRIC, *span, step=str(STEP_S))
    frame = MetricRangeDataFrame(found)
    return len(frame), float(frame["value"].sum())


WAYS: dict[str, Callable[[str, int, int], Found]] = {
    "ours": ours,
    "ours at steps": ours_at_steps,
    "query_range over httpx": over_httpx,
    "prometheus-api-client": over_client,
}


def main() -> None:
    """Read once, and as often again as is asked for."""
    way, url, start, end, repeats = sys.argv[1:]
    seconds = []
    for _ in range(1 + int(repeats)):
        begun = time.perf_counter()
        samples, total = WAYS[way](url, int(start), int(end))
        seconds.append(time.perf_counter() - begun)
    mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    again = statistics.median(seconds[1:]) if seconds[1:] else seconds[0]
    print(json.dumps({"samples": samples, "sum": total, "s": again, "first_s": seconds[0], "mb": mb}))


if __name__ == "__main__":
    main()
