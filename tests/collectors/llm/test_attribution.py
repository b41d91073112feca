import asyncio
import contextvars
import threading

import boto3
import httpx
import httpx2
import openai
import pytest
import requests
from botocore.config import Config

from collectors import llm
from collectors.llm.attribution import MOST_TAGS, NOBODY, attribute, current, of_headers, owner
from tests.collectors.llm.raw_server import answering
from tests.collectors.llm.test_tap import ASK, client, only

PATH = "/chat/completions"
OURS = {"X-Gaugebook-Team": "header", "x-gaugebook-project": "hp", "X-GAUGEBOOK-TAGS": "a=1, b = 2,c,=3"}


def who():
    return current().team, current().project


def test_the_inner_wins_and_the_outer_fills_the_gaps():
    with attribute(team="outer", project="p", tags={"a": "1", "b": "1"}):
        with attribute(team="inner", tags={"b": "2"}):
            assert who() == ("inner", "p")
            assert current().tags == {"a": "1", "b": "2"}
        assert who() == ("outer", "p")
    assert current() is NOBODY


def test_it_ends_with_an_error_and_is_used_again():
    whose = attribute(team="t")
    for _ in range(2):
        with pytest.raises(KeyError), whose, whose:
            raise KeyError
        assert current() is NOBODY


def test_it_decorates_functions():
    @attribute(team="t")
    def twice(depth=1):
        """Says whose."""
        return (twice(0), who()) if depth else who()

    assert twice() == (("t", None), ("t", None))
    assert (twice.__name__, twice.__doc__) == ("twice", "Says whose.")
    assert who() == (None, None)


def test_it_decorates_coroutines_and_each_task_has_its_own():
    @attribute(project="p")
    async def slow(team):
        with attribute(team=team):
            await asyncio.sleep(0.01)
            return who()

    async def both():
        return await asyncio.gather(slow("a"), slow("b")), who()

    assert asyncio.run(both()) == ([("a", "p"), ("b", "p")], (None, None))


def test_it_decorates_methods():
    class Search:
        @attribute(team="t")
        async def ask(self):
            return who()

    assert asyncio.run(Search().ask()) == ("t", None)


def test_a_generator_runs_later_and_is_refused():
    with pytest.raises(TypeError, match=r"words is a generator, which runs after it was called; use `with` in it"):

        @attribute(team="t")
        def words():
            yield 1


def test_a_thread_starts_without_and_a_copied_context_with():
    seen = []
    with attribute(team="t"):
        context = contextvars.copy_context()
        for run in (lambda: seen.append(who()), lambda: context.run(lambda: seen.append(who()))):
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
    assert seen == [(None, None), ("t", None)]


def test_what_is_given_is_cut_to_what_may_be_stored():
    found = owner("t\x00eam", 7, "x" * 500, {f"k{n}" * 50: "v" * 300 for n in range(40)} | {"": "x"})
    assert (found.team, found.project, len(found.environment)) == ("team", None, 200)
    assert len(found.tags) == MOST_TAGS
    assert {(len(key), len(value)) for key, value in found.tags.items()} == {(64, 200)}
    assert len(found.over(owner(tags={"z": "1"})).tags) == MOST_TAGS
    assert owner(tags={"n": 3}).tags == {"n": "3"}


def test_headers():
    assert of_headers({}) == NOBODY
    assert of_headers({"x-gaugebook-tags": ",".join(f"k{n}=v" for n in range(99))}).tags.keys() == {
        f"k{n}" for n in range(MOST_TAGS)
    }


def send_openai(url):
    with openai.OpenAI(base_url=url, api_key="none") as api:
        api.chat.completions.create(**ASK, extra_headers=OURS)


def send_openai_stream(url):
    with openai.OpenAI(base_url=url, api_key="none", default_headers=OURS) as api:
        list(api.chat.completions.create(**ASK, stream=True))


def send_async(url):
    async def send():
        async with httpx2.AsyncClient(headers=OURS) as http:
            await http.post(url + PATH, json=ASK)

    asyncio.run(send())


SENDERS = {
    "openai": send_openai,
    "openai stream": send_openai_stream,
    "httpx": lambda url: httpx.post(url + PATH, json=ASK, headers=OURS),
    "httpx2 async": send_async,
    "requests": lambda url: requests.post(url + PATH, json=ASK, headers=OURS, timeout=10),
    "requests stream": lambda url: requests.post(url + PATH, json={**ASK, "stream": True}, headers=OURS, timeout=10),
    "requests, bytes": lambda url: requests.post(
        url + PATH, json=ASK, headers={key.encode(): value.encode() for key, value in OURS.items()}, timeout=10
    ),
}


@pytest.mark.parametrize("sender", SENDERS)
def test_a_request_names_its_owner_itself_and_nobody_else_learns_it(local_llm, watched, sender):
    SENDERS[sender](local_llm.url)
    with llm.attribute(team="context", tags={"a": "context"}):
        SENDERS[sender](local_llm.url)
    rows = watched()
    assert [(row["team"], row["project"], row["environment"]) for row in rows] == [
        ("header", "hp", "default"),
        ("context", "hp", "default"),
    ]
    assert [row["attrs"]["tags"] for row in rows] == [{"a": "1", "b": "2"}, {"a": "context", "b": "2"}]
    for served in local_llm.served:
        assert not [key for key in served.headers if "gaugebook" in key]
        assert served.request["model"] == ASK["model"]


@pytest.mark.parametrize("library", [httpx, httpx2, requests])
@pytest.mark.parametrize("method", ["get", "post"])
def test_other_traffic_loses_these_headers_too(watched, library, method):
    with answering([b"HTTP/1.1 204 None\r\n\r\n"]) as (url, seen):
        getattr(library, method)(url + "/v1/files", headers={**OURS, "X-Mine": "stays"}, timeout=10)
    assert b"gaugebook" not in only(seen).lower()
    assert b"x-mine: stays" in seen[0].lower()
    assert watched() == []


def test_the_settings_come_last(watched, local_llm):
    settings = watched.settings.model_copy(update={"team": "settings", "environment": "prod"})
    with_settings = type(watched)(settings, project="install", tags={"of": "install"})
    with client(local_llm) as api:
        api.chat.completions.create(**ASK)
    row = only(with_settings())
    assert (row["team"], row["project"], row["environment"]) == ("settings", "install", "prod")
    assert row["attrs"]["tags"] == {"of": "install"}


def name_us(request, **_):
    for key, value in OURS.items():
        request.headers[key] = value


def bedrock(url, moment=None, attempts=1):
    api = boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": attempts}),
    )
    if moment:
        api.meta.events.register(moment, name_us)
    return api


@pytest.mark.parametrize(("moment", "signed"), [("before-send.*", False), ("before-sign.*", True)])
def test_headers_of_a_boto_event(watched, moment, signed):
    body = b'{"output":{"message":{"role":"assistant","content":[{"text":"hi"}]}},"stopReason":"end_turn","usage":{"inputTokens":5,"outputTokens":7,"totalTokens":12}}'
    answer = [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)]
    with answering(answer) as (url, requests_seen):
        bedrock(url, moment).converse(
            modelId="anthropic.claude-3-haiku-20240307-v1:0", messages=[{"role": "user", "content": [{"text": "hi"}]}]
        )
    row = only(watched())
    assert (row["team"], row["project"], row["input_tokens"]) == ("header", "hp", 5)
    assert (b"x-gaugebook-team" in requests_seen[0].lower()) is signed  # a signature must stay true
