"""Samples as the engine of a server works them out: `query_range` and `query`, cut to what it answers at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from analytics.prom.bounds import Bound
from analytics.prom.progress import Progress
from analytics.prom.samples import Samples, joined
from analytics.prom.selector import Selector
from analytics.prom.server import Api, TooMuch
from store.errors import SourceError

POINTS = 11_000  # of one series in one answer: Prometheus refuses more
WINDOW_MS = 86_400_000  # of raw samples in one answer


def evaluated(api: Api, query: str, start: int, stop: int, step: int, bound: Bound, bar: Progress) -> Samples:
    """What `query` is at `start`, `start + step`, … up to `stop` (ms).

    Raises:
        QueryRefused: the query is wrong or cannot be carried out.
        SourceError: the server does not answer as it should, or not even a single step.
    """

    def ask(first: int, last: int) -> Samples:
        form = {
            "query": query,
            "start": _seconds(start + first * step),
            "end": _seconds(start + last * step),
            "step": _seconds(step),
        }
        return _samples(api.ask("query_range", form, query)["result"])

    return _cut(api, ask, (stop - start) // step + 1, POINTS, bound, bar)


def scraped(api: Api, selector: Selector, start: int, stop: int, bound: Bound, bar: Progress) -> Samples:
    """The samples of a selector from `start` to `stop` (ms, both included), by ranges such as `up[1d]`.

    A range is closed on both sides in Prometheus 2 and open on the left since 3.0: each begins a millisecond early, and
    what the former gives more is taken off. Raises what `evaluated` raises.
    """

    def ask(first: int, last: int) -> Samples:
        query = f"{selector}[{last - first + 1}ms]"
        found = api.ask("query", {"query": query, "time": _seconds(start + last)}, query)
        return _from(_samples(found["result"]), start + first)

    return _cut(api, ask, stop - start + 1, WINDOW_MS, bound, bar)


def at(api: Api, query: str, when: int) -> Samples:
    """What `query` is at `when` (ms). Raises what `evaluated` raises."""
    try:
        found = api.ask("query", {"query": query, "time": _seconds(when)}, query)
    except TooMuch as much:
        raise SourceError(api.where, f"{much}. Ask for fewer series") from None
    kind, result = found.get("resultType"), found.get("result")
    if kind == "scalar":
        result = [{"metric": {}, "value": result}]
    elif kind == "string":
        raise SourceError(api.where, f"the query gives a text, and no samples: {result[1]!r}")
    return _samples(result)


def _cut(api: Api, ask: Callable[[int, int], Samples], count: int, width: int, bound: Bound, bar: Progress) -> Samples:
    """Units 0 to `count` - 1 in parts of at most `width`, narrower where the server asks for that."""
    parts: list[Samples] = []
    first, rows = 0, 0
    while first < count:
        last = min(count, first + width) - 1
        try:
            part = ask(first, last)
        except TooMuch as much:
            if last == first:
                raise SourceError(api.where, f"{much}. Ask for fewer series") from None
            width = (last - first + 1) // 2
            continue
        parts.append(part)
        rows += len(part.times)
        bound.check(0, 2 * rows, 1)  # they are copied when the parts are joined
        bar.show(f"{rows:,} samples", (last + 1) / count)
        first = last + 1
    return joined(parts)


def _samples(result: Sequence[dict[str, Any]]) -> Samples:
    labels, counts, times, values, histograms = [], [], [], [], 0
    for series in result:
        pairs = series.get("values") or ([series["value"]] if "value" in series else [])
        histograms += bool(series.get("histograms") or series.get("histogram"))
        labels.append(series["metric"])
        counts.append(len(pairs))
        times.append(np.fromiter((pair[0] for pair in pairs), dtype=np.float64, count=len(pairs)))
        values.append(np.fromiter((float(pair[1]) for pair in pairs), dtype=np.float64, count=len(pairs)))
    when = np.rint(np.concatenate(times) * 1000).astype(np.int64) * 1000 if times else np.empty(0, dtype=np.int64)
    what = np.concatenate(values) if values else np.empty(0)
    return Samples(labels, np.array(counts, dtype=np.int64), when, what, histograms)


def _from(samples: Samples, start: int) -> Samples:
    """Without what is earlier than `start` (ms)."""
    kept = samples.times >= start * 1000
    if not kept.all():
        owners = np.repeat(np.arange(len(samples.counts)), samples.counts)[kept]
        samples.counts = np.bincount(owners, minlength=len(samples.counts)).astype(np.int64)
        samples.times, samples.values = samples.times[kept], samples.values[kept]
    return samples


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}" if ms >= 0 else f"{ms / 1000:.3f}"
