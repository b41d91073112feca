import asyncio
from contextlib import closing

import anthropic
import cohere
import httpx
import openai
import pytest
import requests
from cohere.core import ApiError
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from collectors.llm import attempts
from pipelines.local_llm import Reply
from tests.collectors.llm.raw_server import answering
from tests.collectors.llm.test_attribution import bedrock
from tests.collectors.llm.test_tap import ASK, async_client, client

URL = "http://x/"


def numbers(rows):
    return [(row["status"], row["attrs"]["attempt"]) for row in rows]


def test_a_client_says_it():
    assert attempts.attempt({"x-stainless-retry-count": "0"}, URL, b"x") == 1
    assert attempts.attempt({"x-stainless-retry-count": "2"}, URL, b"x") == 3
    assert attempts.attempt({"x-stainless-retry-count": "²"}, URL, b"x") == 1
    assert attempts.attempt({"amz-sdk-request": "ttl=1; attempt=2; max=3"}, URL, b"x") == 2


def test_or_it_is_counted_in_the_context():
    assert attempts.attempt({}, URL, b"x") == 1
    attempts.failed(URL, b"x", 1)
    assert attempts.attempt({}, URL, b"x") == 2
    assert attempts.attempt({}, URL, b"y") == 1
    assert attempts.attempt({}, "http://y/", b"x") == 1
    attempts.failed(URL, b"", 1)
    assert attempts.attempt({}, URL, b"") == 1
    attempts.failed(URL, b"x", 2)
    attempts.done()
    assert attempts.attempt({}, URL, b"x") == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_openai_retries(local_llm, watched, asynchronous):
    local_llm.plan = lambda request, number: Reply(status=429, retry_after_s=0) if number < 2 else Reply()
    if asynchronous:

        async def call():
            async with async_client(local_llm, max_retries=2) as api:
                await api.chat.completions.create(**ASK)

        asyncio.run(call())
    else:
        with client(local_llm, max_retries=2) as api:
            api.chat.completions.create(**ASK)
    assert numbers(watched()) == [("error", 1), ("error", 2), ("ok", 3)]


def test_retries_that_nobody_announces(local_llm, watched):
    local_llm.plan = lambda request, number: Reply(status=503) if number < 2 else Reply()
    with requests.Session() as session:
        retry = Retry(2, status_forcelist=[503], allowed_methods=None, backoff_factor=0)
        session.mount("http://", HTTPAdapter(max_retries=retry))
        for _ in range(2):
            assert session.post(local_llm.url + "/chat/completions", json=ASK, timeout=10).status_code == 200
    assert numbers(watched()) == [("error", 1), ("error", 2), ("ok", 3), ("ok", 1)]


def test_the_other_clients(watched):
    answer = [
        b"HTTP/1.1 503 No\r\nContent-Length: 2\r\nConnection: close\r\nRetry-After: 0\r\nretry-after-ms: 1\r\n\r\n{}"
    ]
    said = [{"role": "user", "content": "hi"}]
    with answering(answer) as (url, seen):
        with pytest.raises(openai.APIStatusError), openai.OpenAI(base_url=url, api_key="none", max_retries=1) as api:
            api.chat.completions.create(**ASK)
        with (
            pytest.raises(anthropic.APIStatusError),
            anthropic.Anthropic(base_url=url, api_key="none", max_retries=1) as api,
        ):
            api.messages.create(model="claude-haiku-4-5", max_tokens=5, messages=said)
        with pytest.raises(ApiError), httpx.Client() as http:
            cohere.ClientV2(api_key="none", base_url=url, httpx_client=http).chat(
                model="command-r", messages=said, request_options={"max_retries": 1}
            )
        with closing(bedrock(url, attempts=2)) as api, pytest.raises(api.exceptions.ClientError):
            api.converse(modelId="anthropic.claude-3-haiku-20240307-v1:0", messages=[])
    assert len(seen) == 8
    assert numbers(watched()) == [("error", 1), ("error", 2)] * 4
