"""Memory that metering holds for each open stream, in bytes.

Streams are opened, read up to some chunk, and left open. What a metered process holds more than the bare one is divided
by their number: as Python allocated it, and as the system sees it (in whole pages, so only roughly).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.parts.figures import Figure
from benchmarks.parts.metering_processes import Pair
from tests.dialects.plan import Plan

STREAMS = 500
A_STREAM = 8_000
READ = (2, 65)  # chunks read: a stream can hold more here than there
OPEN_S = 90.0
HELD = {"traced": "as allocated", "resident": "resident"}


def measure(pairs: Sequence[Pair]) -> list[Figure]:
    """The figures, by how much was read."""
    figures = {}
    for events in READ:
        plan = Plan(key=f"open-{events}", text_chunks=events - 1, tools_s=OPEN_S, tool_chunks=1)
        prompts = [replace(plan, key=f"{plan.key}-{number}").prompt for number in range(STREAMS)]
        held = {}
        for pair in pairs:
            bare, metered = (c.ask("memory", prompts=prompts, events=events) for c in (pair.bare, pair.metered))
            held[pair.name] = {kind: metered[kind] - bare[kind] for kind in HELD}
        for kind, told in HELD.items():
            ours, *_ = held.values()
            figures[events, kind] = Figure(
                f"memory per open stream of {STREAMS}, {events} chunks read, {told}",
                "bytes",
                ours[kind],
                {name: of[kind] for name, of in held.items() if of is not ours},
                None,
                ours[kind],
                A_STREAM,
                at_most=True,
            )
    return list(figures.values())
