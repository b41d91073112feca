import gc
import http.client
import io
import json
import warnings

import pytest
import requests
import urllib3

from collectors import llm
from collectors.llm import urllib3_transport
from pipelines.local_llm import LocalLLM, Reply
from tests.collectors.llm.raw_server import answering
from tests.collectors.llm.test_tap import ASK, COST, only
from tests.servers import free_port

PATH = "/chat/completions"
ASKS = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
STREAM = {**ASK, "stream": True}


def opened(url, ask, **headers):
    return urllib3.request("POST", url, json=ask, headers=headers, preload_content=False, retries=False, timeout=10)


def pieces_of_requests(size):
    def read(url, ask):
        with requests.post(url, json=ask, stream=True, timeout=10) as response:
            yield from response.iter_content(size)

    return read


def pieces_of_urllib3(size, **how):
    def read(url, ask):
        response = opened(url, ask)
        while piece := response.read(size, **how):
            yield piece

    return read


def lines_of_requests(url, ask):
    with requests.post(url, json=ask, stream=True, timeout=10) as response:
        yield from response.iter_lines()


def into(url, ask):
    response, buffer = opened(url, ask), bytearray(50)
    while count := response.readinto(buffer):
        yield bytes(buffer[:count])


def encoded(url, ask):
    yield from opened(url, ask, **{"accept-encoding": "gzip"}).stream(decode_content=False)


# How an application reads, and whether the pieces are always the same: those of the others are as the network has them.
WAYS = {
    "requests, whole": (lambda url, ask: [requests.post(url, json=ask, timeout=10).content], True),
    "requests, as it comes": (pieces_of_requests(None), True),
    "requests, in sixties": (pieces_of_requests(60), True),
    "requests, lines": (lines_of_requests, True),
    "urllib3, preloaded": (lambda url, ask: [urllib3.request("POST", url, json=ask).data], True),
    "urllib3, read": (lambda url, ask: [opened(url, ask).read()], True),
    "urllib3, read(100)": (pieces_of_urllib3(100), True),
    "urllib3, undecoded": (pieces_of_urllib3(70, decode_content=False), True),
    "urllib3, read1": (lambda url, ask: iter(opened(url, ask).read1, b""), False),
    "urllib3, readinto": (into, True),
    "urllib3, lines": (lambda url, ask: list(opened(url, ask)), True),
    "urllib3, stream": (lambda url, ask: opened(url, ask).stream(), True),
    "urllib3, stream of what is sent": (encoded, True),
}
CASES = {
    "whole": (ASK, Reply()),
    "whole in gzip": (ASK, Reply(gzip=True)),
    "stream": (STREAM, Reply()),
    "stream that asks": (ASKS, Reply()),
    "stream in gzip that asks": (ASKS, Reply(gzip=True)),
    "error": (ASK, Reply(status=500)),
    "broken": (STREAM, Reply(breaks_after=4)),
}


def outcome(way, ask, reply):
    """The pieces that the application gets, and the class of the error at their end."""
    read, _ = WAYS[way]
    got = []
    with LocalLLM(lambda request, number: reply, seed=7) as server:
        try:
            for piece in read(server.url + PATH, ask):
                got.append(piece)
        except Exception as error:
            return got, type(error)
    return got, None


@pytest.mark.parametrize("way", WAYS)
def test_the_application_gets_the_same_pieces(watched, way):
    llm.uninstall()
    without = {case: outcome(way, ask, reply) for case, (ask, reply) in CASES.items()}
    watched.install()
    within = {case: outcome(way, ask, reply) for case, (ask, reply) in CASES.items()}
    for case, (pieces, error) in within.items():
        assert b"".join(pieces) == b"".join(without[case][0]), case
        assert error == without[case][1], case
        if WAYS[way][1] and case != "stream":  # to take an event out, it has to be there whole
            assert pieces == without[case][0], case
        if "sixties" in way:
            assert max(map(len, pieces)) <= 60
    for case, row in zip(CASES, watched(), strict=True):
        bad = case in {"error", "broken"}
        assert (row["status"], row["input_tokens"]) == (("error", None) if bad else ("ok", 100)), case
        assert (row["http_status"], row["streamed"]) == (500 if case == "error" else 200, CASES[case][0] is not ASK), (
            case
        )


def test_times_are_those_of_the_stream(local_llm, watched):
    local_llm.plan = lambda request, number: Reply(start_s=0.05, first_token_s=0.1, chunk_s=0.01)
    with requests.post(local_llm.url + PATH, json=STREAM, stream=True, timeout=10) as response:
        assert len(list(response.iter_lines())) > 10
    row = only(watched())
    served = only(local_llm.served)
    assert 0 < row["ttfc_s"] - (served.first_chunk_at - served.received_at) < 0.05
    assert 0 < row["ttft_s"] - (served.first_token_at - served.received_at) < 0.05
    assert 0 < row["output_tokens_per_s"] < 2 / 0.01
    assert row["cost_usd"] == COST


@pytest.mark.parametrize("how", ["close", "leave", "forget", "drop the lines"])
def test_an_application_that_stops_reading(local_llm, watched, how):
    local_llm.plan = lambda request, number: Reply(chunks=50, chunk_s=0.01)
    response = requests.post(local_llm.url + PATH, json=STREAM, stream=True, timeout=10)
    lines = response.iter_lines()
    for _ in range(5):
        next(lines)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        if how == "close":
            response.close()
        elif how == "leave":
            with response:
                pass
        elif how == "drop the lines":
            lines.close()
        del lines, response
        gc.collect()
    row = only(watched())
    assert (row["status"], row["error_type"], row["usage_source"]) == ("cancelled", None, "missing")
    assert row["ttft_s"] > 0


def test_a_body_that_nobody_reads(local_llm, watched):
    requests.post(local_llm.url + PATH, json=ASK, stream=True, timeout=10).close()
    assert only(watched())["status"] == "cancelled"


def test_a_connection_goes_back_to_its_pool(local_llm, watched):
    with requests.Session() as session:
        for ask in (ASK, STREAM, ASKS, ASK):
            session.post(local_llm.url + PATH, json=ask, timeout=10)
        pools = session.get_adapter(local_llm.url).poolmanager.pools
        (pool,) = (pools[key] for key in pools.keys())  # noqa: SIM118 - it does not iterate
        assert (pool.num_connections, pool.num_requests) == (1, 4)
    assert len(watched()) == 4


def test_timeouts_and_no_server(local_llm, watched):
    local_llm.plan = lambda request, number: Reply(start_s=0.5)
    with pytest.raises(requests.ReadTimeout):
        requests.post(local_llm.url + PATH, json=ASK, timeout=0.1)
    with pytest.raises(requests.ConnectionError):
        requests.post(f"http://127.0.0.1:{free_port()}{PATH}", json=ASK, timeout=1)
    assert [(row["status"], row["error_type"], row["http_status"]) for row in watched()] == [
        ("error", "ReadTimeoutError", None),
        ("error", "NewConnectionError", None),
    ]


def test_a_timeout_in_the_middle(local_llm, watched):
    local_llm.plan = lambda request, number: Reply(first_token_s=0.5)
    with pytest.raises(requests.ConnectionError, match="timed out"):
        requests.post(local_llm.url + PATH, json=STREAM, timeout=0.2)
    row = only(watched())
    assert (row["status"], row["error_type"], row["http_status"]) == ("error", "ReadTimeoutError", 200)


def test_a_server_that_refuses_the_question(local_llm, watched):
    def plan(request, number):
        if "stream_options" in request:
            return Reply(status=400, error_type="invalid_request_error", error_message="unknown field stream_options")
        return Reply()

    local_llm.plan = plan
    for _ in range(2):
        answer = requests.post(local_llm.url + PATH, json=STREAM, timeout=10)
        assert answer.status_code == 200
        assert answer.text.endswith("data: [DONE]\n\n")
    assert ["stream_options" in served.request for served in local_llm.served] == [True, False, False]
    assert [(row["status"], row["usage_source"]) for row in watched()] == [("ok", "missing")] * 2


@pytest.mark.parametrize("preload", [True, False])
def test_a_request_that_is_bad_for_another_reason(local_llm, watched, preload):
    local_llm.plan = lambda request, number: Reply(status=400, error_type="context_length_exceeded")
    answer = urllib3.request("POST", local_llm.url + PATH, json=STREAM, preload_content=preload)
    assert (answer.status, answer.json()["error"]["type"]) == (400, "context_length_exceeded")
    assert len(local_llm.served) == 1
    assert only(watched())["error_type"] == "context_length_exceeded"


EVENT = b'data: {"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}]}\n\n'
USAGE = (
    b'data: {"id":"a","model":"m","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}\n\n'
)
DONE = b"data: [DONE]\n\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


@pytest.mark.parametrize("size", [1, 30, None])
@pytest.mark.parametrize("framing", ["close", "length", "chunked"])
def test_the_event_we_asked_for_is_hidden_however_the_body_is_framed(watched, framing, size):
    events = [EVENT, EVENT, USAGE, DONE, b"data: tail without an end"]
    match framing:
        case "close":
            pieces = [HEAD + b"Connection: close\r\n\r\n", *events]
        case "length":
            pieces = [HEAD + b"Content-Length: %d\r\n\r\n" % sum(map(len, events)), *events]
        case _:
            cut = [event[start : start + 40] for event in events for start in range(0, len(event), 40)]
            pieces = [HEAD + b"Transfer-Encoding: chunked\r\n\r\n"]
            pieces += [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in cut] + [b"0\r\n\r\n"]
    with (
        answering(pieces) as (url, _),
        requests.post(url + PATH, json=STREAM, stream=True, timeout=10) as response,
    ):
        assert b"".join(response.iter_content(size)) == EVENT + EVENT + DONE + b"data: tail without an end"
        assert "content-length" not in response.headers
    row = only(watched())
    assert (row["status"], row["input_tokens"], row["output_tokens"]) == ("ok", 5, 7)


def test_a_stream_that_is_cut_off_shows_all_that_came(watched):
    chunks = [EVENT, EVENT[:20]]
    pieces = [
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
        *(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in chunks),
    ]
    seen = []
    with answering(pieces) as (url, _), pytest.raises(requests.exceptions.ChunkedEncodingError):
        seen.extend(requests.post(url + PATH, json=STREAM, stream=True, timeout=10).iter_content(None))
    assert b"".join(seen) == EVENT + EVENT[:20]
    assert only(watched())["status"] == "error"


@pytest.mark.parametrize("data", ["text", "bytes", "file", "generator"])
def test_whatever_the_body_of_the_request_is(local_llm, watched, data):
    text = json.dumps(ASK)
    body = {"text": text, "bytes": text.encode(), "file": io.BytesIO(text.encode()), "generator": None}[data]
    headers = {"content-length": str(len(text))} if data in {"file", "generator"} else {}
    body = iter([text.encode()]) if data == "generator" else body
    assert urllib3.request("POST", local_llm.url + PATH, body=body, headers=headers).status == 200
    assert only(watched())["model"] == "gpt-4o-mini"


def test_other_traffic_is_not_touched(local_llm, watched):
    assert requests.get(local_llm.url + "/models", timeout=10).status_code == 404
    assert requests.post(local_llm.url + "/files", json=ASK, timeout=10).status_code == 404
    assert watched() == []


def test_a_meter_that_fails_breaks_no_call(watched, local_llm, monkeypatch):
    monkeypatch.setattr("collectors.llm.formats.openai.ChatCompletions.reader", lambda *_, **__: 1 / 0)
    assert requests.post(local_llm.url + PATH, json=ASK, timeout=10).json()["usage"]["prompt_tokens"] == 100
    monkeypatch.setattr("collectors.llm.sending.Target", None)
    assert requests.post(local_llm.url + PATH, json=STREAM, timeout=10).text.endswith("data: [DONE]\n\n")
    monkeypatch.setattr(urllib3_transport, "_text", None)
    assert requests.post(local_llm.url + PATH, json=ASK, timeout=10).json()["usage"]["prompt_tokens"] == 100
    assert watched.tap.registry.get_sample_value("llm_metering_failures_total") >= 3


def test_the_method_is_put_back(store):
    pool = urllib3.connectionpool.HTTPConnectionPool
    original = pool._make_request
    llm.install(store)
    assert pool._make_request is not original
    llm.uninstall()
    assert pool._make_request is original


def test_a_response_is_what_it_was(local_llm, watched):
    response = opened(local_llm.url + PATH, ASK)
    assert isinstance(response, urllib3.HTTPResponse)
    assert type(response).__name__ == "HTTPResponse"
    assert isinstance(response._original_response, http.client.HTTPResponse)
    assert response.json()["usage"]["prompt_tokens"] == 100
    assert len(watched()) == 1
