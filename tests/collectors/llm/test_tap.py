import asyncio
import json
import statistics
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import httpx2
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from collectors import llm
from pipelines.local_llm import LocalLLM, Reply
from store.connect import connect
from store.errors import SettingsError

ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
COST = Decimal(100) * Decimal("0.15e-6") + 8 * Decimal("0.6e-6")  # gpt-4o-mini, 100 tokens in, 8 out


def client(server, **options):
    return openai.OpenAI(base_url=server.url, api_key="none", **options)


def async_client(server, **options):
    return openai.AsyncOpenAI(base_url=server.url, api_key="none", **options)


def raw(library, server, ask, **headers):
    """The body as an application that reads raw bytes gets it."""
    with (
        library.Client() as http,
        http.stream("POST", server.url + "/chat/completions", json=ask, headers=headers) as response,
    ):
        return b"".join(response.iter_raw())


def only(rows):
    assert len(rows) == 1, rows
    return rows[0]


def test_a_call_that_is_not_streamed(local_llm, metered):
    local_llm.plan = lambda request, number: Reply(cached_tokens=40, reasoning_tokens=3)
    before = datetime.now(UTC)
    with client(local_llm) as api:
        answer = api.chat.completions.create(**ASK)
    row = only(metered())
    assert before <= row["ts"] <= before + timedelta(seconds=5)
    assert (row["request_id"], row["provider"], row["model"], row["response_model"]) == (
        answer.id,
        "openai",
        "gpt-4o-mini",
        "gpt-4o-mini",
    )
    assert (row["status"], row["error_type"], row["http_status"], row["streamed"]) == ("ok", None, 200, False)
    assert (row["input_tokens"], row["cached_tokens"], row["output_tokens"], row["reasoning_tokens"]) == (
        100,
        40,
        11,
        3,
    )
    assert (row["ttfc_s"], row["ttft_s"], row["output_tokens_per_s"]) == (None, None, None)
    assert row["cost_usd"] == 60 * Decimal("0.15e-6") + 40 * Decimal("0.075e-6") + 11 * Decimal("0.6e-6")
    assert row["price_version"].startswith("genai-prices ")
    assert row["usage_source"] == "reported"
    assert (row["team"], row["project"], row["environment"], row["source"]) == ("tests", "unassigned", "default", "tap")
    assert 0 < row["duration_s"] < 5


@pytest.mark.parametrize("asks", [True, False], ids=["asks for usage", "does not"])
@pytest.mark.parametrize("usage_nulls", [True, False])
def test_a_stream_has_its_usage_whether_it_asks_or_not(local_llm, metered, asks, usage_nulls):
    local_llm.plan = lambda request, number: Reply(chunk_s=0.02, usage_nulls=usage_nulls)
    options = {"stream_options": {"include_usage": True}} if asks else {}
    with client(local_llm) as api:
        chunks = list(api.chat.completions.create(**ASK, stream=True, **options))
    assert [chunk for chunk in chunks if not chunk.choices] == (chunks[-1:] if asks else [])
    row = only(metered())
    assert (row["status"], row["streamed"], row["usage_source"]) == ("ok", True, "reported")
    assert (row["input_tokens"], row["output_tokens"], row["cost_usd"]) == (100, 8, COST)
    assert 0 < row["ttfc_s"] <= row["ttft_s"] < row["duration_s"]
    assert 0 < row["output_tokens_per_s"] < 2 / 0.02  # one token every 0.02 s, and a crowded machine
    sent = only(local_llm.served)
    assert sent.request["stream_options"] == {"include_usage": True}
    assert int(sent.headers["content-length"]) == sent.body_bytes


def test_asking_for_usage_can_be_turned_off(store, local_llm):
    tap = llm.install(store, ask_for_usage=False)
    with client(local_llm) as api:
        list(api.chat.completions.create(**ASK, stream=True))
    assert tap.flush()
    llm.uninstall()
    assert "stream_options" not in only(local_llm.served).request
    with connect(store) as connection:
        row = connection.execute(
            "SELECT status, usage_source, input_tokens, cost_usd FROM metrics.llm_requests"
        ).fetchone()
    assert row == ("ok", "missing", None, None)


def test_a_server_that_refuses_the_question_is_served_as_the_application_wrote(local_llm, metered):
    def plan(request, number):
        if "stream_options" in request:
            return Reply(status=400, error_type="invalid_request_error", error_message="unknown field stream_options")
        return Reply()

    local_llm.plan = plan
    with client(local_llm) as api:
        for _ in range(2):
            assert "".join(c.choices[0].delta.content or "" for c in api.chat.completions.create(**ASK, stream=True))
    assert ["stream_options" in served.request for served in local_llm.served] == [True, False, False]
    assert [(row["status"], row["usage_source"]) for row in metered()] == [("ok", "missing")] * 2


def test_a_request_that_is_bad_for_another_reason_stays_bad(local_llm, metered):
    local_llm.plan = lambda request, number: Reply(status=400, error_type="context_length_exceeded")
    with client(local_llm) as api, pytest.raises(openai.BadRequestError, match="simulated"):
        api.chat.completions.create(**ASK, stream=True)
    assert len(local_llm.served) == 1
    assert only(metered())["error_type"] == "context_length_exceeded"


def test_async_calls(local_llm, metered):
    local_llm.plan = lambda request, number: Reply(tool_call=number == 1)

    async def calls():
        async with async_client(local_llm) as api:
            with llm.attribute(team="search", project="ranking"):
                await api.chat.completions.create(**ASK)
                async for chunk in await api.chat.completions.create(**ASK, stream=True):
                    assert chunk.choices
            with llm.attribute(project="other"):
                await asyncio.gather(*(api.chat.completions.create(**ASK) for _ in range(3)))

    asyncio.run(calls())
    rows = metered()
    assert [(row["team"], row["project"], row["streamed"]) for row in rows[:2]] == [
        ("search", "ranking", False),
        ("search", "ranking", True),
    ]
    assert [(row["team"], row["project"]) for row in rows[2:]] == [("tests", "other")] * 3
    assert all(row["cost_usd"] == COST and row["status"] == "ok" for row in rows)


@pytest.mark.parametrize("library", [httpx2, httpx], ids=["httpx2", "httpx"])
@pytest.mark.parametrize(
    "case", ["whole", "gzip", "stream", "stream gzip", "stream that asks", "usage in last", "error"]
)
def test_the_application_gets_the_same_bytes(store, library, case):
    ask = {**ASK, "stream": case not in ("whole", "gzip")}
    if case == "stream that asks":
        ask["stream_options"] = {"include_usage": True}
    reply = Reply(gzip="gzip" in case, usage_in_last=case == "usage in last", status=500 if case == "error" else 200)

    def body():
        with LocalLLM(lambda request, number: reply, seed=7) as server:
            return raw(library, server, ask)

    def readable(body):
        return (
            httpx2.Response(200, content=body, headers={"content-encoding": "gzip"}).text
            if body[:1] == b"\x1f"
            else body.decode()
        )

    without = body()
    tap = llm.install(store)
    try:
        within = body()
        assert tap.flush()
        assert tap.registry.get_sample_value("llm_metering_failures_total") == 0
    finally:
        llm.uninstall()
    if case == "stream gzip":  # to take an event out, the tap asks for a plain stream
        assert readable(within) == readable(without)
    else:
        assert within == without
    with connect(store) as connection:
        rows = connection.execute("SELECT status, input_tokens FROM metrics.llm_requests").fetchall()
    assert rows == [("error", None) if case == "error" else ("ok", 100)]


def test_gzip_that_the_application_asked_for_with_usage(local_llm, metered):
    local_llm.plan = lambda request, number: Reply(gzip=True)
    with client(local_llm) as api:
        chunks = list(api.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True}))
        api.chat.completions.create(**ASK)
    assert chunks[-1].usage.prompt_tokens == 100
    assert [row["input_tokens"] for row in metered()] == [100, 100]


def test_time_to_first_token_is_the_servers(local_llm, metered):
    local_llm.plan = lambda request, number: Reply(start_s=0.10, first_token_s=0.20)
    with client(local_llm) as api:
        api.models
        for _ in range(3):
            list(api.chat.completions.create(**ASK, stream=True))
    rows = metered()
    truth = [
        (served.first_chunk_at - served.received_at, served.first_token_at - served.received_at)
        for served in local_llm.served
    ]
    assert all(0.29 < token < 0.6 and 0.09 < chunk < 0.4 for chunk, token in truth)
    late = [row["ttft_s"] - token for row, (_, token) in zip(rows, truth, strict=True)]
    assert 0 <= statistics.median(late) < 0.030
    late = [row["ttfc_s"] - chunk for row, (chunk, _) in zip(rows, truth, strict=True)]
    assert 0 <= statistics.median(late) < 0.030


def test_many_threads_and_event_loops(local_llm, metered):
    def in_a_loop_of_its_own(number):
        async def calls():
            async with async_client(local_llm) as api:
                with llm.attribute(project=f"p{number}"):
                    await asyncio.gather(*(read(api) for _ in range(5)))

        async def read(api):
            async for chunk in await api.chat.completions.create(**ASK, stream=True):
                assert chunk.choices

        asyncio.run(calls())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(in_a_loop_of_its_own, range(8)))
    rows = [row for row in metered() if row["error_type"] != "ReadError"]  # the simulator turns some away
    assert Counter(row["project"] for row in rows) == {f"p{number}": 5 for number in range(8)}
    assert {(row["status"], row["cost_usd"]) for row in rows} == {("ok", COST)}
    assert len({row["request_id"] for row in rows}) == 40


def test_other_traffic_is_not_touched(local_llm, metered):
    with httpx2.Client() as http:
        assert http.get(local_llm.url + "/models").status_code == 404
        assert http.post(local_llm.url + "/files", json=ASK).status_code == 404
        assert http.get(local_llm.url + "/chat/completions").status_code == 404
    assert metered() == []


def test_a_body_that_is_a_stream_itself_is_sent_and_counted(local_llm, metered):
    with httpx2.Client() as http:
        pieces = iter([json.dumps(ASK).encode()])
        headers = {"content-length": str(len(json.dumps(ASK)))}
        assert http.post(local_llm.url + "/chat/completions", content=pieces, headers=headers).status_code == 200
    row = only(metered())
    assert (row["model"], row["response_model"], row["input_tokens"]) == ("gpt-4o-mini", "gpt-4o-mini", 100)


def test_azure_names_the_model_in_the_path(local_llm, metered):
    with httpx2.Client() as http:
        http.post(
            f"http://{local_llm.netloc}/openai/deployments/gpt-4o/chat/completions?api-version=1", json={"messages": []}
        )
    row = only(metered())
    assert (row["model"], row["response_model"]) == ("gpt-4o", None)
    assert "api-version" not in json.dumps(row["attrs"])


def test_no_text_is_stored_anywhere(local_llm, store, metered):
    canary = "canary-7c1f"
    local_llm.plan = lambda request, number: [
        Reply(text=canary),
        Reply(text=canary, tool_call=True),
        Reply(status=400, error_type=f"said {canary}", error_message=canary),
        Reply(text=canary, breaks_after=3),
    ][number]
    ask = {**ASK, "messages": [{"role": "user", "content": canary}], "user": canary, "metadata": {"x": canary}}
    with client(local_llm, max_retries=0) as api:
        assert canary in api.chat.completions.create(**ask).choices[0].message.content
        list(api.chat.completions.create(**ask, stream=True))
        for stream in (False, True):
            with pytest.raises(openai.OpenAIError):
                list(api.chat.completions.create(**ask, stream=stream))
    assert len(metered()) == 4
    with connect(store) as connection:
        everything = connection.execute(
            "SELECT string_agg(llm_requests::text, ' ') FROM metrics.llm_requests"
        ).fetchone()[0]
    assert "gpt-4o-mini" in everything
    assert canary not in everything


def test_installed_twice_and_taken_out(store, local_llm):
    originals = [
        (module, module.HTTPTransport.handle_request, module.AsyncHTTPTransport.handle_async_request)
        for module in (httpx2, httpx)
    ]
    tap = llm.install(store)
    assert llm.install(store, team="late") is tap
    with client(local_llm) as api:
        api.chat.completions.create(**ASK)
    llm.uninstall()
    llm.uninstall()
    for module, sync, asynchronous in originals:
        assert module.HTTPTransport.handle_request is sync
        assert module.AsyncHTTPTransport.handle_async_request is asynchronous
    with client(local_llm) as api:
        api.chat.completions.create(**ASK)
    assert llm.flush()
    with connect(store) as connection:
        assert connection.execute("SELECT team FROM metrics.llm_requests").fetchall() == [("unassigned",)]


def test_somebody_elses_wrapper_over_ours_keeps_working(store, local_llm, monkeypatch):
    monkeypatch.setattr(
        httpx2.HTTPTransport, "handle_request", httpx2.HTTPTransport.handle_request
    )  # put back at the end
    llm.install(store)
    ours = httpx2.HTTPTransport.handle_request

    def theirs(self, request):
        return ours(self, request)

    httpx2.HTTPTransport.handle_request = theirs
    llm.uninstall()
    with client(local_llm) as api:
        assert api.chat.completions.create(**ASK).usage.prompt_tokens == 100
        tap = llm.install(store)
        assert httpx2.HTTPTransport.handle_request is theirs
        api.chat.completions.create(**ASK)
    assert tap.flush()
    assert tap.written == 1
    httpx2.HTTPTransport.handle_request = ours
    llm.uninstall()


def test_metrics_are_served(store, local_llm):
    tap = llm.install(store, metrics_port=0, providers={local_llm.netloc: "openai"}, team="t")
    try:
        with client(local_llm) as api:
            list(api.chat.completions.create(**ASK, stream=True))
        assert tap.flush()
        with urllib.request.urlopen(f"http://127.0.0.1:{tap.port}/metrics") as page:
            samples = {
                (sample.name, sample.labels.get("kind")): sample.value
                for family in text_string_to_metric_families(page.read().decode())
                for sample in family.samples
            }
        assert samples["llm_requests_total", None] == 1
        assert samples["llm_tokens_total", "input"] == 100
        assert samples["llm_cost_usd_total", None] == pytest.approx(float(COST))
        assert samples["llm_time_to_first_token_seconds_count", None] == 1
        port = tap.port
    finally:
        llm.uninstall()
    with pytest.raises(SettingsError, match="metrics_port"), LocalLLM() as taken:
        llm.install(store, metrics_port=int(taken.netloc.partition(":")[2]))
    assert llm.flush()
    assert port


def test_the_public_names():
    assert llm.__all__ == ["Tap", "attribute", "flush", "install", "uninstall"]
    assert all(getattr(llm, name) for name in llm.__all__)
    with pytest.raises(AttributeError, match="instal"):
        llm.instal
