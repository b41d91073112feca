"""The time to the first token is that of the first chunk with something in it, through every client."""

from __future__ import annotations

import pytest

from collectors import llm
from tests.dialects.plan import Plan
from tests.llm_calls import first_token_errors, rows_by_project, ways
from tests.llm_clients import APIS
from tests.llm_server import LLMServer

STREAMS = 6
AT_ONCE = 2
APART_S = 0.08  # a role, then reasoning, then text, then tool calls
MEDIAN_S = 0.010
WAYS = ways(api for api in APIS if api.streams)


def plan(number: int, way: object) -> Plan:
    """Reasoning first, or text, or a tool call at once."""
    reasons, talks = number % 3 == 0, number % 3 < 2
    return Plan(
        key=f"{way}-{number}",
        reasoning_s=APART_S,
        text_s=2 * APART_S,
        tools_s=3 * APART_S,
        reasoning_chunks=3 * reasons,
        text_chunks=3 * talks,
        tool_chunks=2,
    )


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_first_token(store, way):
    plans = [plan(number, way) for number in range(STREAMS)]
    tap = llm.install(store)
    try:
        with LLMServer() as server:
            way.call(server, [plan(0, "warm")], streamed=True)  # clients build their types at the first answer
            way.call(server, plans, streamed=True, at_once=AT_ONCE)
            assert tap.flush()
            errors = first_token_errors(server, plans, rows_by_project(store))
    finally:
        llm.uninstall()
    assert errors.median <= MEDIAN_S, errors
    assert errors.worst <= APART_S / 2, errors  # nearer to its own chunk than to any other
