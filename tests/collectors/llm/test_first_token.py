"""The time to the first token is that of the first chunk with something in it, through every client.

How near it is, is measured where nothing else runs: tests/drill/test_first_token.py, benchmarks/metering.py.
"""

from __future__ import annotations

import pytest

from collectors import llm
from tests.dialects.plan import Plan
from tests.llm_calls import first_token_errors, rows_by_project, ways
from tests.llm_clients import APIS
from tests.llm_server import LLMServer

STREAMS = 6
AT_ONCE = 2
APART_S = 0.1  # a role, then reasoning, then text, then tool calls
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
            warm = [plan(number, "warm") for number in range(3)]  # clients build their types at the first answers
            way.call(server, warm, streamed=True)
            way.call(server, plans, streamed=True, at_once=AT_ONCE)
            assert tap.flush()
            errors = first_token_errors(server, plans, rows_by_project(store))
    finally:
        llm.uninstall()
    for kind in range(3):  # nearer to its own chunk than to any other; a busy machine may delay one of them
        assert min(errors.each[kind::3]) <= APART_S / 2, errors.each
