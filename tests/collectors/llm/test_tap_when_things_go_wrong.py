import asyncio
import gc
import os
import subprocess
import sys
import time
import warnings

import openai
import pytest

from collectors import llm
from pipelines.local_llm import Reply
from store.connect import connect
from store.settings import load
from tests.collectors.llm.test_tap import ASK, async_client, client, only
from tests.servers import free_port


@pytest.mark.parametrize("how", ["close", "forget"])
def test_an_application_that_stops_reading(local_llm, metered, how):
    local_llm.plan = lambda request, number: Reply(chunks=200, chunk_s=0.01)
    with client(local_llm) as api:
        stream = api.chat.completions.create(**ASK, stream=True)
        for _ in range(3):
            next(stream)
        if how == "close":
            stream.close()
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                del stream
                gc.collect()
    row = only(metered())
    assert (row["status"], row["error_type"], row["http_status"], row["usage_source"], row["cost_usd"]) == (
        "cancelled",
        None,
        200,
        "missing",
        None,
    )
    assert row["ttft_s"] > 0


def test_an_application_that_stops_at_the_last_token_has_it_all(local_llm, metered):
    with client(local_llm) as api:
        stream = api.chat.completions.create(**ASK, stream=True)
        for chunk in stream:
            if chunk.choices[0].finish_reason:
                break
        stream.close()
    assert only(metered())["status"] == "ok"


def test_a_task_that_is_cancelled(local_llm, metered):
    local_llm.plan = lambda request, number: Reply(start_s=2) if number == 0 else Reply(chunks=100, chunk_s=0.05)

    async def read():
        async with async_client(local_llm, max_retries=0) as api:
            async for _ in await api.chat.completions.create(**ASK, stream=True):
                pass

    for _ in range(2):
        with pytest.raises(TimeoutError):
            asyncio.run(asyncio.wait_for(read(), 1.0))
    rows = metered()
    assert [(row["status"], row["error_type"], row["http_status"]) for row in rows] == [
        ("cancelled", None, None),
        ("cancelled", None, 200),
    ]
    assert rows[0]["ttft_s"] is None
    assert rows[1]["ttft_s"] > 0


def test_a_connection_that_breaks(local_llm, metered):
    local_llm.plan = lambda request, number: Reply(breaks_after=4)
    got = []
    with client(local_llm, max_retries=0) as api, pytest.raises(openai.APIConnectionError):
        list(map(got.append, api.chat.completions.create(**ASK, stream=True)))
    assert len(got) == 4
    row = only(metered())
    assert (row["status"], row["error_type"], row["http_status"]) == ("error", "RemoteProtocolError", 200)


def test_nobody_listens(tap, metered):
    api = openai.OpenAI(base_url=f"http://127.0.0.1:{free_port()}/v1", api_key="none", max_retries=0)
    with api, pytest.raises(openai.APIConnectionError):
        api.chat.completions.create(**ASK)
    row = only(metered())
    assert (row["status"], row["error_type"], row["http_status"], row["provider"]) == (
        "error",
        "ConnectError",
        None,
        "other",
    )


def test_a_timeout(local_llm, metered):
    local_llm.plan = lambda request, number: Reply(start_s=0.5)
    with client(local_llm, max_retries=0, timeout=0.1) as api, pytest.raises(openai.APITimeoutError):
        api.chat.completions.create(**ASK)
    row = only(metered())
    assert (row["status"], row["error_type"], row["http_status"]) == ("error", "ReadTimeout", None)
    assert 0.09 < row["duration_s"] < 0.45


def test_every_retry_is_a_row(local_llm, metered):
    local_llm.plan = lambda request, number: (
        Reply(status=429, error_type="rate_limit_exceeded", retry_after_s=0) if number < 2 else Reply()
    )
    with client(local_llm, max_retries=2) as api:
        api.chat.completions.create(**ASK)
    rows = metered()
    assert [(row["status"], row["http_status"], row["error_type"]) for row in rows] == [
        ("error", 429, "rate_limit_exceeded")
    ] * 2 + [("ok", 200, None)]
    assert [row["request_id"] for row in rows] == ["req_0_0", "req_0_1", "chatcmpl-0-2"]
    assert [(row["ttft_s"], row["ttfc_s"], row["cost_usd"]) for row in rows[:2]] == [(None, None, None)] * 2


def test_a_server_error(local_llm, metered):
    local_llm.plan = lambda request, number: Reply(status=500)
    with client(local_llm, max_retries=0) as api, pytest.raises(openai.InternalServerError):
        api.chat.completions.create(**ASK, stream=True)
    row = only(metered())
    assert (row["status"], row["http_status"], row["error_type"], row["ttft_s"], row["model"]) == (
        "error",
        500,
        "server_error",
        None,
        "gpt-4o-mini",
    )


def test_without_a_database_calls_go_on(local_llm):
    tap = llm.install(
        load(dsn=f"postgresql://nobody@127.0.0.1:{free_port()}/none"), providers={local_llm.netloc: "openai"}
    )
    with client(local_llm) as api:
        for stream in (False, True):
            began = time.monotonic()
            assert api.chat.completions.create(**ASK, stream=stream)
            assert time.monotonic() - began < 2
    assert not tap.flush(0.3)
    assert tap.registry.get_sample_value("llm_write_failures_total") >= 1
    llm.uninstall()


def test_a_meter_that_fails_breaks_no_call(tap, local_llm, monkeypatch):
    monkeypatch.setattr("collectors.llm.formats.chunks.read_common", lambda *_: 1 / 0)
    with client(local_llm) as api:
        assert (
            len(list(api.chat.completions.create(**ASK, stream=True))) == 11
        )  # the usage event, too: it could not be read
        assert api.chat.completions.create(**ASK).usage.prompt_tokens == 100
    monkeypatch.setattr("collectors.llm.sending.Target", None)
    with client(local_llm) as api:
        assert api.chat.completions.create(**ASK).usage.prompt_tokens == 100
    assert tap.flush()  # an answer that is not streamed is read with its row
    assert tap.registry.get_sample_value("llm_metering_failures_total") >= 3


def test_a_forked_child_meters_its_own_calls(local_llm, metered):
    with client(local_llm) as api:
        api.chat.completions.create(**ASK)
    assert len(metered()) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        done = False
        try:
            with llm.attribute(team="child"), client(local_llm) as api:
                api.chat.completions.create(**ASK)
            done = llm.flush()
        finally:
            os._exit(0 if done else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert [row["team"] for row in metered()] == ["tests", "child"]


def test_a_process_that_just_exits_writes_its_last_rows(store, local_llm):
    program = (
        "import httpx2; from collectors import llm; llm.install();"
        f"httpx2.post('{local_llm.url}/chat/completions', json={{'model': 'gpt-4o', 'messages': []}})"
    )
    environment = {**os.environ, "GAUGEBOOK_DSN": store.dsn.get_secret_value(), "GAUGEBOOK_TEAM": "of the environment"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    with connect(store) as connection:
        rows = connection.execute("SELECT team, status, input_tokens FROM metrics.llm_requests").fetchall()
    assert rows == [("of the environment", "ok", 100)]
