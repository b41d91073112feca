"""What each instrumentation says of calls whose truth is known: the time to the first token, and the usage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.parts.figures import Figure
from benchmarks.parts.metering_processes import Pair
from tests.dialects.plan import Plan
from tests.llm_server import LLMServer

TOKENS = {"input_tokens": 1_000, "cached_tokens": 300, "output_tokens": 300, "reasoning_tokens": 120}
TOLERANCE_S = 0.03
REASONS = Plan(key="reasons", role_s=0.1, reasoning_s=0.3, text_s=0.5, reasoning_chunks=4, **TOKENS)
TALKS = replace(REASONS, key="talks", reasoning_chunks=0)
CALLS_TOOL = replace(REASONS, key="calls", reasoning_chunks=0, text_chunks=0, tools_s=0.4, tool_chunks=4)
FIRST = "ttft_s"
SAID = (FIRST, *TOKENS)
SCENARIOS = {  # plan, streamed, asks for its usage, what is looked at
    "a stream, usage not asked for": (TALKS, True, False, SAID),
    "a stream that asks for its usage": (TALKS, True, True, SAID),
    "a stream that reasons first": (REASONS, True, True, (FIRST,)),
    "a stream of a tool call": (CALLS_TOOL, True, True, (FIRST,)),
    "a call that is not streamed": (TALKS, False, False, tuple(TOKENS)),
}


@dataclass(frozen=True)
class Cell:
    """One thing that was said of one call, by name of who said it; None: nothing."""

    scenario: str
    field: str
    truth: float
    said: dict[str, float | None]

    def right(self, name: str) -> bool:
        """Whether it is the truth."""
        said = self.said[name]
        return said is not None and abs(said - self.truth) <= (TOLERANCE_S if self.field == FIRST else 0)


def measure(pairs: Sequence[Pair], server: LLMServer) -> list[Cell]:
    """One call of each kind through each."""
    cells: dict[tuple[str, str], Cell] = {}
    for scenario, (kind, streamed, usage, fields) in SCENARIOS.items():
        for pair in pairs:
            plan = replace(kind, key=f"{scenario}-{pair.name}")
            warm = replace(kind, key=f"{plan.key}-warm", role_s=0, reasoning_s=0, text_s=0, tools_s=0)
            pair.metered.ask("ask", prompt=warm.prompt, streamed=streamed, usage=usage)
            said = pair.metered.ask("ask", prompt=plan.prompt, streamed=streamed, usage=usage)
            truth = dict(TOKENS) | ({FIRST: server.served(plan.key)[0].ttft_s} if streamed else {})
            for field in fields:
                cell = cells.setdefault((scenario, field), Cell(scenario, field, truth[field], {}))
                cell.said[pair.name] = said[field]
    return list(cells.values())


def figures(cells: Sequence[Cell], names: Sequence[str]) -> list[Figure]:
    """How many cells of each are right."""
    right = {name: sum(cell.right(name) for cell in cells) for name in names}
    ours, *peers = names
    return [
        Figure(
            f"accuracy: right of {len(cells)}",
            "cells",
            right[ours],
            {peer: right[peer] for peer in peers},
            len(cells),
            right[ours] / len(cells),
            1.0,
        )
    ]


def show(cells: Sequence[Cell], names: Sequence[str]) -> None:
    """Print the table."""
    print(f"\n| what | truth | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}")
    for cell in cells:
        told = " | ".join(f"{'right' if cell.right(name) else 'WRONG'}: {number(cell.said[name])}" for name in names)
        print(f"| {cell.scenario}, `{cell.field}` | {number(cell.truth)} | {told} |")


def number(value: float | None) -> str:
    """A value of a cell."""
    return "nothing" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
