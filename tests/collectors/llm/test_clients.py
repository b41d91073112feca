"""What the providers' own clients do is metered exactly, and they notice nothing of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import anthropic
import openai
import pytest

from collectors import llm
from store.settings import Settings
from tests.compatibility import PAGE, label
from tests.dialects.plan import Plan
from tests.fix_postgres import STORE, migrated
from tests.llm_calls import Row, rows_by_project, ways, wrong_tokens
from tests.llm_clients import APIS, CLAUDE, OPENAI_MODEL
from tests.llm_server import LLMServer

TOKENS = {"input_tokens": 1_000, "cached_tokens": 300, "cache_write_tokens": 200, "output_tokens": 50}
ANSWERS = (
    Plan(key="reasoning", reasoning_chunks=2, reasoning_tokens=20, **TOKENS),
    Plan(key="tools", text_chunks=0, tool_chunks=2, **TOKENS),
    Plan(key="long", text_chunks=100, input_tokens=3_000_000_000, output_tokens=1_000),
)
WAYS = ways(APIS)
PAIRS = [(way, streamed) for way in WAYS for streamed in (False, True) if way.api.streams or not streamed]
STREAMS = [way for way, streamed in PAIRS if streamed]
FILTERING = [way for way in STREAMS if way.api.client not in {"cohere", "mistralai", "ollama"}]  # they cannot say so
REFUSING = [way for way in STREAMS if way.api.dialect in {"openai.chat", "openai.responses"}]


@pytest.fixture(scope="module")
def server() -> Iterator[LLMServer]:
    with LLMServer() as running:
        yield running


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """One store for all tests: each has projects of its own."""
    with migrated(request, os.environ.get(STORE, "embedded")) as settings:
        folder: Path = tmp_path_factory.mktemp("clients")
        yield settings.model_copy(update={"spool": folder / "spool", "dead_letters": folder / "dead-letters"})


@contextmanager
def tapping(store: Settings) -> Iterator[llm.Tap]:
    """A tap for the length of a block."""
    try:
        yield llm.install(store, team="tests")
    finally:
        llm.uninstall()


def rows_of(tap: llm.Tap, store: Settings) -> dict[str, list[Row]]:
    assert tap.flush()
    assert tap.registry.get_sample_value("llm_metering_failures_total") == 0
    return rows_by_project(store)


def outcome(way, server, plan, streamed):
    """What the application gets, or the class of the exception and its text."""
    try:
        return way.call(server, [plan], streamed=streamed)
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize(("way", "streamed"), PAIRS, ids=str)
def test_usage_is_the_truth_and_the_application_gets_the_same(shared, server, way, streamed):
    plans = [replace(plan, key=f"{way} {streamed} {plan.key}") for plan in ANSWERS]
    before = way.call(server, plans, streamed=streamed)
    with tapping(shared) as tap:
        assert way.call(server, plans, streamed=streamed) == before
        rows = rows_of(tap, shared)
    for plan in plans:
        (row,) = rows[plan.key]
        assert wrong_tokens(way, plan, row) == {}
        assert (row["status"], row["error_type"], row["http_status"]) == ("ok", None, 200)
        assert (row["streamed"], row["usage_source"], row["team"]) == (streamed, "reported", "tests")
        assert (row["ttft_s"] is None) == (not streamed)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_refused_call_raises_as_it_did_and_is_an_error(shared, server, way):
    calls = [
        (Plan(key=f"{way} {status}", status=status, error_type="overloaded_error"), streamed)
        for status, streamed in ((429, False), (500, way.api.streams))
    ]
    before = [outcome(way, server, plan, streamed) for plan, streamed in calls]
    with tapping(shared) as tap:
        assert [outcome(way, server, plan, streamed) for plan, streamed in calls] == before
        rows = rows_of(tap, shared)
    for plan, streamed in calls:
        (row,) = rows[plan.key]
        assert (row["status"], row["http_status"], row["streamed"]) == ("error", plan.status, streamed)
        assert row["error_type"]
        assert (row["ttft_s"], row["usage_source"], row["cost_usd"]) == (None, "missing", None)


@pytest.mark.parametrize("way", STREAMS, ids=str)
def test_a_connection_that_breaks(shared, server, way):
    plan = Plan(key=f"{way} breaks", text_chunks=20, breaks_after=6)
    before = outcome(way, server, plan, True)
    with tapping(shared) as tap:
        assert outcome(way, server, plan, True) == before
        (row,) = rows_of(tap, shared)[plan.key]
    assert row["status"] == "error"
    assert row["error_type"]
    assert 0 < row["ttfc_s"] <= row["ttft_s"] <= row["duration_s"]


@pytest.mark.parametrize("way", FILTERING, ids=str)
def test_a_content_filter_is_an_error_with_its_tokens(shared, server, way):
    plans = {streamed: Plan(key=f"{way} filtered {streamed}", filtered=True, **TOKENS) for streamed in (False, True)}
    with tapping(shared) as tap:
        for streamed, plan in plans.items():
            way.call(server, [plan], streamed=streamed)
        rows = rows_of(tap, shared)
    for plan in plans.values():
        (row,) = rows[plan.key]
        assert row["status"] == "error"
        assert row["error_type"] in {"content_filter", "refusal"}
        assert wrong_tokens(way, plan, row) == {}


@pytest.mark.parametrize("way", REFUSING, ids=str)
def test_a_refusal_is_an_error_and_its_first_word_a_token(shared, server, way):
    plan = Plan(key=f"{way} refuses", refuses=True, text_s=0.05)
    with tapping(shared) as tap:
        way.call(server, [plan], streamed=True)
        (row,) = rows_of(tap, shared)[plan.key]
    assert (row["status"], row["error_type"]) == ("error", "refusal")
    assert row["ttfc_s"] < row["ttft_s"]
    assert row["ttft_s"] >= 0.05


def test_timeouts_and_retries(shared, server):
    plan = Plan(key="late", hangs_s=1.0)
    messages = [{"role": "user", "content": plan.prompt}]
    with tapping(shared) as tap, llm.attribute(project=plan.key):
        with (
            openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=0.2) as api,
            pytest.raises(openai.APITimeoutError),
        ):
            api.chat.completions.create(model=OPENAI_MODEL, messages=messages)
        with (
            anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=1, timeout=0.2) as api,
            pytest.raises(anthropic.APITimeoutError),
        ):
            api.messages.create(model=CLAUDE, max_tokens=10, messages=messages)
        rows = rows_of(tap, shared)[plan.key]
    assert [(row["model"], row["status"], row["error_type"]) for row in rows] == [
        (model, "error", "ReadTimeout") for model in (OPENAI_MODEL, CLAUDE, CLAUDE)
    ]
    assert len(server.served(plan.key, count=3)) == 3


def test_the_compatibility_table_tells_of_every_way():
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    told = {tuple(cell.strip() for cell in line.split("|")[1:5]) for line in lines}
    assert {(who.partition(" ")[0], *rest) for who, *rest in told} == {
        (way.api.client, *label(way, streamed).split(" | ")[1:]) for way, streamed in PAIRS
    }
    assert not [line for line in lines if "wrong" in line]
