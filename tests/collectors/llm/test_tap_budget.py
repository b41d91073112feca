"""Budgets on the wire: what is refused is not sent, and every library says so in its own words."""

import asyncio
import json
import threading
import time
from decimal import Decimal

import anthropic
import cohere
import httpx
import httpx2
import mistralai.client
import ollama
import openai
import pytest
import requests
import trio
from botocore.exceptions import ClientError
from google import genai
from google.genai import errors as google_errors

from collectors import llm
from collectors.llm.budget.declare import put, standings
from pipelines.local_llm import Reply
from store.connect import connect
from tests.collectors.llm.raw_server import answering
from tests.collectors.llm.test_attribution import bedrock
from tests.collectors.llm.test_tap import ASK, COST, async_client, client, only

PATH = "/chat/completions"
SAID = [{"role": "user", "content": "hi"}]
CALL = {**ASK, "max_tokens": 100}


@pytest.fixture
def budgeted(store, local_llm):
    """A function that installs the tap under a budget of team `search`, which has this limit."""

    def install(limit_usd, switch="fail_closed", providers=(), **settings):
        put(store, "b", team="search", limit_usd=Decimal(limit_usd))
        settings = store.model_copy(update={"llm_budgets": switch, "team": "search", **settings})
        return llm.install(settings, providers={local_llm.netloc: "openai", **dict(providers)})

    yield install
    llm.uninstall()


@pytest.fixture
def rows(store):
    def read():
        assert llm.flush()
        with connect(store) as connection:
            return connection.execute(
                "SELECT status, error_type, http_status, cost_usd, attrs FROM metrics.llm_requests ORDER BY ts"
            ).fetchall()

    return read


def stands(store):
    found = only(standings(store))
    return found.spent_usd, found.reserved_usd


def test_a_call_is_settled_at_what_it_cost(budgeted, local_llm, store, rows):
    budgeted("1")
    with client(local_llm) as api:
        api.chat.completions.create(**CALL)
        list(api.chat.completions.create(**CALL, stream=True))
    requests.post(local_llm.url + PATH, json=CALL, timeout=10)

    async def one():
        async with async_client(local_llm) as api:
            await api.chat.completions.create(**CALL)

    asyncio.run(one())
    assert [row[3] for row in rows()] == [COST] * 4
    assert stands(store) == (4 * COST, 0)


def test_calls_that_cost_nothing_or_nobody_knows(budgeted, local_llm, store, rows):
    budgeted("1")
    local_llm.plan = lambda request, number: [Reply(status=500), Reply(chunks=50, chunk_s=0.01), Reply(start_s=1)][
        number
    ]
    with client(local_llm, max_retries=0, timeout=0.3) as api:
        with pytest.raises(openai.InternalServerError):
            api.chat.completions.create(**CALL)
        assert rows()[0][:3] == ("error", "server_error", 500)
        assert stands(store) == (0, 0)
        stream = api.chat.completions.create(**CALL, stream=True)
        next(stream)
        stream.close()
        rows()
        abandoned = stands(store)
        assert abandoned[0] > COST  # it stays at its worst case
        assert abandoned[1] == 0
        with pytest.raises(openai.APITimeoutError):
            api.chat.completions.create(**CALL)
        rows()
        assert stands(store)[0] == 2 * abandoned[0]


def refuse(send, server, rows):
    """What the client raises; nothing has been sent."""
    before = len(server.served)
    with pytest.raises(Exception, match="budget 'b' has no room") as told:
        send()
    assert len(server.served) == before
    status, error_type, http_status, cost, attrs = rows()[-1]
    assert (status, error_type, cost) == ("error", "insufficient_quota", None)
    assert http_status == (400 if isinstance(told.value, ClientError) else 429)  # AWS's own for a quota
    assert attrs["budget"] == "b"
    return told.value


def test_openai_raises_its_quota_error_once(budgeted, local_llm, rows):
    budgeted("0.00000001")
    with client(local_llm) as api:
        error = refuse(lambda: api.chat.completions.create(**CALL), local_llm, rows)
        assert isinstance(error, openai.RateLimitError)
        assert (error.code, error.status_code) == ("insufficient_quota", 429)
        assert error.response.headers["x-should-retry"] == "false"
        assert int(error.response.headers["retry-after"]) > 0
        refuse(lambda: api.chat.completions.create(**CALL, stream=True), local_llm, rows)
    assert len(rows()) == 2


def test_the_other_clients(budgeted, rows):
    with answering([b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]) as (url, seen):
        budgeted("0.00000001")

        class Server:
            served = seen

        google = genai.Client(api_key="x", http_options={"base_url": url})
        aws = bedrock(url, attempts=3)
        refused = {
            "anthropic": (
                anthropic.RateLimitError,
                lambda: anthropic.Anthropic(base_url=url, api_key="x").messages.create(
                    model="claude-haiku-4-5", max_tokens=9, messages=SAID
                ),
            ),
            "google": (
                google_errors.ClientError,
                lambda: google.models.generate_content(model="gemini-2.5-flash", contents="hi"),
            ),
            "cohere": (
                cohere.TooManyRequestsError,
                lambda: cohere.ClientV2(api_key="x", base_url=url, max_retries=0).chat(
                    model="command-r-plus-08-2024", messages=SAID
                ),
            ),
            "bedrock": (
                aws.exceptions.ServiceQuotaExceededException,
                lambda: aws.converse(
                    modelId="anthropic.claude-3-haiku-20240307-v1:0",
                    messages=[{"role": "user", "content": [{"text": "hi"}]}],
                ),
            ),
            "bedrock stream": (
                aws.exceptions.ServiceQuotaExceededException,
                lambda: aws.converse_stream(
                    modelId="anthropic.claude-3-haiku-20240307-v1:0",
                    messages=[{"role": "user", "content": [{"text": "hi"}]}],
                ),
            ),
        }
        for name, (kind, send) in refused.items():
            assert isinstance(refuse(send, Server, rows), kind), name
        google.close()
        assert len(rows()) == len(refused)  # nobody has tried again


def test_mistral(budgeted, rows):
    with answering([b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]) as (url, seen):
        budgeted("0.00000001", providers={url.removeprefix("http://"): "mistral"})
        with (
            mistralai.client.Mistral(api_key="x", server_url=url) as api,
            pytest.raises(mistralai.client.errors.SDKError, match="budget 'b' has no room"),
        ):
            api.chat.complete(model="mistral-small-latest", messages=SAID)
        assert seen == []
    assert only(rows())[1] == "insufficient_quota"


def test_a_model_that_has_no_price_is_let_go(budgeted, rows):
    budgeted("0.00000001")
    body = b'{"model":"llama3.2","message":{"role":"assistant","content":"hi"},"done":true,"prompt_eval_count":3,"eval_count":2}'
    answer = [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)]
    with answering(answer) as (url, seen):
        with ollama.Client(host=url) as api:
            api.chat(model="llama3.2", messages=SAID)
        assert len(seen) == 1
    assert only(rows())[0] == "ok"


@pytest.mark.parametrize("library", [httpx2, httpx, requests])
def test_each_library_has_a_response_of_its_own(budgeted, local_llm, rows, library):
    budgeted("0.00000001")
    answer = library.post(local_llm.url + PATH, json=CALL)
    assert isinstance(answer, library.Response)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    assert answer.headers["content-type"] == "application/json"
    assert local_llm.served == []
    assert len(rows()) == 1


def test_a_pool_has_its_connection_back(budgeted, local_llm):
    budgeted("0.00000001")
    with requests.Session() as session:
        for _ in range(20):
            assert session.post(local_llm.url + PATH, json=CALL, timeout=1).status_code == 429
        pools = session.get_adapter(local_llm.url).poolmanager.pools
        (pool,) = (pools[key] for key in pools.keys())  # noqa: SIM118 - it does not iterate
        assert pool.num_connections == 1


def test_the_loop_goes_on_while_the_ledger_is_asked(budgeted, local_llm):
    tap = budgeted("1")
    asked = tap._budgets.reserve
    entered, release = threading.Event(), threading.Event()

    def slow(ask):
        entered.set()
        assert release.wait(10)
        return asked(ask)

    tap._budgets.reserve = slow

    async def go():
        async with async_client(local_llm) as api:
            call = asyncio.create_task(api.chat.completions.create(**CALL))
            assert await asyncio.to_thread(entered.wait, 10)
            release.set()
            assert (await call).usage.prompt_tokens == 100

    asyncio.run(go())


def test_under_trio(budgeted, local_llm, store, rows):
    budgeted("1")

    async def go():
        async with httpx2.AsyncClient() as http:
            return (await http.post(local_llm.url + PATH, json=CALL)).status_code

    assert trio.run(go) == 200
    assert only(rows())[0] == "ok"
    assert stands(store) == (COST, 0)


def test_a_task_that_is_cancelled_while_it_asks_gives_back_what_it_reserved(budgeted, local_llm, store, rows):
    tap = budgeted("1")
    asked = tap._budgets.reserve
    entered, release = threading.Event(), threading.Event()

    def slow(ask):
        entered.set()
        assert release.wait(10)
        return asked(ask)

    tap._budgets.reserve = slow

    async def go():
        async with async_client(local_llm) as api:
            call = asyncio.create_task(api.chat.completions.create(**CALL))
            assert await asyncio.to_thread(entered.wait, 10)
            call.cancel()
            release.set()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(go())
    assert only(rows())[0] == "cancelled"
    assert local_llm.served == []
    end = time.monotonic() + 10
    while stands(store) != (0, 0) and time.monotonic() < end:
        time.sleep(0.05)
    assert stands(store) == (0, 0)


def test_a_ceiling_is_lowered_to_what_is_left(budgeted, local_llm, store, rows):
    budgeted("0.0003", llm_fit_max_tokens=True)
    with client(local_llm) as api:
        api.chat.completions.create(**ASK, max_tokens=100_000)
        assert llm.flush()  # what it did not use is free again
        list(api.chat.completions.create(**ASK, max_tokens=100_000, stream=True))
    first, second = (served.request for served in local_llm.served)
    assert 256 <= first["max_tokens"] < 500
    assert second["stream_options"] == {"include_usage": True}
    for served in local_llm.served:
        assert int(served.headers["content-length"]) == served.body_bytes
    assert len(rows()) == 2
    assert stands(store) == (2 * COST, 0)


def test_one_that_is_signed_cannot_be_lowered_and_is_refused(budgeted, rows):
    budgeted("0.001", llm_fit_max_tokens=True)
    with answering([b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]) as (url, seen):
        api = bedrock(url)
        with pytest.raises(api.exceptions.ServiceQuotaExceededException, match="budget 'b' has no room"):
            api.converse(
                modelId="anthropic.claude-3-haiku-20240307-v1:0",
                messages=[{"role": "user", "content": [{"text": "hi"}]}],
                inferenceConfig={"maxTokens": 4_000},
            )
        assert seen == []
    assert only(rows())[1] == "insufficient_quota"


def test_budgets_that_are_off_are_not_even_imported(store, local_llm):
    import subprocess
    import sys

    program = (
        "import sys; from collectors import llm; llm.install(); llm.uninstall();"
        "print([name for name in sys.modules if name.startswith(('collectors.llm.budget', 'collectors.llm.gate'))])"
    )
    environment = {"GAUGEBOOK_DSN": store.dsn.get_secret_value(), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_budgets_show_in_the_metrics(budgeted, local_llm):
    tap = budgeted("1")
    with client(local_llm) as api:
        api.chat.completions.create(**CALL)
    assert tap.flush()
    assert {family.name for family in tap.registry.collect() if "budget" in family.name}


def test_lowering_a_body():
    from collectors.llm.ceiling import lowered

    def told(body, form, provider="x", most=10):
        found = lowered(json.dumps(body).encode(), form, provider, most)
        return None if found is None else json.loads(found)

    assert told({"max_tokens": 5}, "openai.chat") is None
    assert told({"max_tokens": 50, "max_completion_tokens": 5}, "openai.chat") == {
        "max_tokens": 10,
        "max_completion_tokens": 5,
    }
    assert told({}, "openai.chat") == {"max_tokens": 10}
    assert told({}, "google.generate_content") == {"generationConfig": {"maxOutputTokens": 10}}
    assert told({"generationConfig": {"maxOutputTokens": 99, "topK": 1}}, "google.generate_content") == {
        "generationConfig": {"maxOutputTokens": 10, "topK": 1}
    }
    assert told({"options": {"num_predict": -1}}, "ollama.chat") == {"options": {"num_predict": 10}}
    assert told({"input": "x"}, "openai.embeddings") is None
    assert lowered(b"[]", "openai.chat", "openai", 10) is None
    assert lowered(b"{", "openai.chat", "openai", 10) is None
