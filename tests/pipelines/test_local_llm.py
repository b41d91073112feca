import json
import time

import httpx2
import pytest

from pipelines.local_llm import LocalLLM, Reply

ASK = {"model": "m", "messages": []}


def post(server, **ask):
    return httpx2.post(server.url + "/chat/completions", json={**ASK, **ask})


def chunks(response):
    return [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: {")]


def test_the_same_seed_says_the_same():
    def said(seed):
        with LocalLLM(seed=seed) as server:
            return post(server).text, post(server, stream=True).text

    assert said(1) == said(1) != said(2)


def test_a_stream_is_a_role_the_text_a_reason_and_usage_only_if_asked():
    with LocalLLM(lambda request, number: Reply(chunks=3, reasoning_tokens=2, cached_tokens=9)) as server:
        plain, asking = post(server, stream=True), post(server, stream=True, stream_options={"include_usage": True})
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(plain)]
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert [list(delta) for delta in deltas[1:]] == [["reasoning_content"]] * 2 + [["content"]] * 3 + [[]]
    assert chunks(plain)[-1]["choices"][0]["finish_reason"] == "stop"
    assert plain.text.endswith("data: [DONE]\n\n")
    last = chunks(asking)[-1]
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 5
    assert last["usage"]["prompt_tokens_details"]["cached_tokens"] == 9


def test_delays_and_their_truth():
    with LocalLLM(lambda request, number: Reply(start_s=0.05, first_token_s=0.10, chunk_s=0.02, chunks=3)) as server:
        began = time.perf_counter()
        post(server, stream=True)
        took = time.perf_counter() - began
        served = server.served[0]
    assert served.first_chunk_at - served.received_at >= 0.05
    assert served.first_token_at - served.first_chunk_at >= 0.10
    assert took >= 0.19


@pytest.mark.parametrize("ask", [{}, {"stream": True}])
def test_a_refusal(ask):
    with LocalLLM(
        lambda request, number: Reply(status=429, error_type="rate_limit_exceeded", retry_after_s=0)
    ) as server:
        answer = post(server, **ask)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "0")
    assert answer.json()["error"]["type"] == "rate_limit_exceeded"


def test_a_body_that_breaks():
    with LocalLLM(lambda request, number: Reply(breaks_after=2)) as server, pytest.raises(httpx2.RemoteProtocolError):
        post(server, stream=True)


def test_what_it_does_not_serve():
    with LocalLLM() as server:
        assert httpx2.get(server.url + "/models").status_code == 404
        assert httpx2.post(server.url + "/chat/completions", content=b"{").status_code == 400
