"""Two hundred streams through every client: the time to the first token within 10 ms at the median, 30 ms at worst."""

from __future__ import annotations

import pytest

from collectors import llm
from tests.dialects.plan import Plan
from tests.llm_calls import first_token_errors, rows_by_project, ways, wrong_tokens
from tests.llm_clients import APIS
from tests.llm_server import LLMServer

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(900),
]

STREAMS = 200
AT_ONCE = 2
MEDIAN_S, WORST_S = 0.010, 0.030
WAYS = ways(api for api in APIS if api.streams)


def plan(number: int, way: object) -> Plan:
    """A role at 0.1 s, reasoning from 0.3 s, text from 0.5 s, tool calls from 0.6 s; some leave one out, some are long."""
    kind = number % 4
    return Plan(
        key=f"{way}-{number}",
        role_s=0.1,
        reasoning_s=0.3,
        text_s=0.5,
        tools_s=0.6,
        chunk_s=0.0 if kind == 3 else 0.005,
        reasoning_chunks=(5, 0, 0, 2)[kind],
        text_chunks=(10, 10, 0, 1_000)[kind],
        tool_chunks=(0, 5, 5, 0)[kind],
        cached_tokens=number,
        output_tokens=1_000 + number,
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
            rows = rows_by_project(store)
            errors = first_token_errors(server, plans, rows)
    finally:
        llm.uninstall()
    print(f"{way}: {errors}")
    assert [wrong_tokens(way, plan, rows[plan.key][0]) for plan in plans] == [{}] * STREAMS
    assert errors.median <= MEDIAN_S, errors
    assert errors.worst <= WORST_S, errors
