"""CPU that metering adds to a call and to a chunk of a stream, in microseconds.

Every round measures each contender beside the bare client of its environment, in turn; the figure is the median over
the rounds of what the metered one takes more. The whole process counts, until all that was recorded is exported or
written; the calling thread alone is told beside it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.parts.figures import Figure
from benchmarks.parts.metering_processes import Contender, Pair
from tests.dialects.plan import Plan

CALLS, STREAMS, CHUNKS = 200, 1, 1_000  # a turn: short, so that the two of a pair meet the same machine
PAIRS = {"calls": 3_000, "streams": 15}  # with the tap and without
A_CALL_US, A_CHUNK_US = 60.0, 2.0
PLANS = {
    "call that is not streamed": (Plan(key="call"), "calls", CALLS, 1, A_CALL_US),
    f"chunk of {CHUNKS:,} as fast as they are read": (
        Plan(key="fast", text_chunks=CHUNKS),
        "streams",
        STREAMS,
        CHUNKS,
        A_CHUNK_US,
    ),
    f"chunk of {CHUNKS:,} one by one": (
        Plan(key="slow", text_chunks=CHUNKS, chunk_s=0.0005),
        "streams",
        STREAMS,
        CHUNKS,
        A_CHUNK_US,
    ),
}
SCOPES = {"process_s": "whole process", "thread_s": "calling thread"}


def measure(pairs: Sequence[Pair], *, rounds: int) -> list[Figure]:
    """The figures of all kinds of calls."""
    figures = []
    for what, (plan, do, count, per, reach) in PLANS.items():
        for contender in {c for pair in pairs for c in (pair.bare, pair.metered)}:
            contender.ask(do, prompt=plan.prompt, count=max(2, count // 10))
        added: dict[str, dict[str, list[float]]] = {scope: {pair.name: [] for pair in pairs} for scope in SCOPES}
        for turn in range(rounds):
            for pair in pairs:
                both = (pair.bare, pair.metered) if turn % 2 else (pair.metered, pair.bare)
                taken = {c: c.ask(do, prompt=plan.prompt, count=count) for c in both}
                for scope, of in added.items():
                    more = taken[pair.metered][scope] - taken[pair.bare][scope]
                    of[pair.name].append(1e6 * more / per)
        for scope, of in added.items():
            (ours, *_), peers = of.values(), list(of)[1:]
            middle = statistics.median(ours)
            figures.append(
                Figure(
                    f"CPU added per {what}, {SCOPES[scope]}",
                    "us",
                    middle,
                    {peer: statistics.median(of[peer]) for peer in peers},
                    None,
                    middle,
                    reach,
                    at_most=True,
                )
            )
    return figures


def alternated(ours: Contender) -> list[Figure]:
    """The figures of ours with the tap switched on and off in one process: steadier, but peers have no such switch."""
    figures = []
    for what, (plan, do, _, per, reach) in PLANS.items():
        for scope, whole in {"whole process": True, "calling thread": False}.items():
            # Many rows are written at once, as they are when calls come in a row.
            turn = CALLS if whole and do == "calls" else 1
            order = {"prompt": plan.prompt, "way": do, "turn": turn, "whole": whole}
            ours.ask("alternated", count=2, **order)
            taken = 1e6 * ours.ask("alternated", count=PAIRS[do] // turn, **order)["added_s"] / per
            name = f"the same, tap switched on and off: {what}, {scope}"
            figures.append(Figure(name, "us", taken, {}, None, taken, reach, at_most=True))
    return figures
