"""Gemini."""

import json

import pytest

from collectors.llm.formats.base import Asked, Usage
from collectors.llm.formats.google import GenerateContent
from tests.collectors.llm.formats.reading import JSON, SSE, cut, read, read_body, times, untimed

FORM = GenerateContent()
PATH = "/v1beta/models/gemini-2.5-flash"
USAGE = {"promptTokenCount": 100, "cachedContentTokenCount": 40, "candidatesTokenCount": 30, "thoughtsTokenCount": 20}
READ = Usage(input_tokens=100, cached_tokens=40, output_tokens=50, reasoning_tokens=20)


def document(*parts, reason=None, usage=None, **more):
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    told = {"candidates": [candidate]} | ({"usageMetadata": usage} if usage else {})
    return told | {"modelVersion": "gemini-2.5-flash-001", "responseId": "r1"} | more


def text(words, **more):
    return {"text": words, **more}


def so_far(n):
    return {"promptTokenCount": 100, "candidatesTokenCount": n, "totalTokenCount": 100 + n}


CALL = {"functionCall": {"name": "f", "args": {"q": 1}}}
TOLD = [
    document(text(""), usage={"promptTokenCount": 100, "totalTokenCount": 100}),
    *[document(text(f"so {n}", thought=True), usage=so_far(n)) for n in range(5)],
    *[document(text(f'word "{n}"'), usage=so_far(n)) for n in range(5, 10)],
    document(CALL, usage=so_far(11)),
    document(text(""), reason="STOP", usage=USAGE),
]


def as_events(told):
    return [b"data: " + json.dumps(each).encode() + b"\r\n\r\n" for each in told]


def as_array(told):
    return [b",\r\n"[: 3 * bool(n)] + b"["[n:] + json.dumps(each, indent=2).encode() for n, each in enumerate(told)] + [
        b"]"
    ]


@pytest.mark.parametrize(("written", "kind"), [(as_events, SSE), (as_array, JSON)])
def test_thoughts_then_text_then_a_call(written, kind):
    pieces = written(TOLD)
    answer, shown = read(FORM, pieces, kind)
    assert shown == b"".join(pieces)
    assert times(answer) == (1.0, 2.0, 12.0)
    assert (answer.usage, answer.complete, answer.finish_reason) == (READ, True, "STOP")
    assert (answer.response_id, answer.model) == ("r1", "gemini-2.5-flash-001")
    for sizes in ([1], [7, 90]):
        assert untimed(read(FORM, cut(shown, sizes), kind)[0]) == untimed(answer)


def test_counts_of_a_stream_that_is_cut_off_are_not_its_usage():
    assert read(FORM, as_events(TOLD[:-1]))[0].usage is None


def test_the_last_counts_win_also_where_every_document_says_stop():
    told = [document(text(f"w{n}"), reason="STOP", usage=so_far(n)) for n in range(1, 9)]
    answer, _ = read(FORM, as_events(told))
    assert answer.usage == Usage(input_tokens=100, output_tokens=8)
    bare = [document(text("w"), reason="STOP")]
    assert read(FORM, as_events([*told, *bare]))[0].usage == Usage(input_tokens=100, output_tokens=8)


@pytest.mark.parametrize("reason", ["SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "RECITATION"])
def test_a_filter(reason):
    answer, _ = read(FORM, as_events([document(text("a"), usage=so_far(1)), document(reason=reason, usage=so_far(1))]))
    assert (answer.refused, answer.finish_reason, answer.complete) == ("content_filter", reason, True)


def test_a_prompt_that_is_blocked():
    blocked = {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7},
    }
    for answer in (read(FORM, as_events([blocked]))[0], read_body(FORM, blocked)):
        assert (answer.refused, answer.complete, answer.first_token_at) == ("content_filter", True, None)
        assert answer.usage == Usage(input_tokens=7, output_tokens=0)


@pytest.mark.parametrize(
    ("reported", "usage"),
    [
        (USAGE, READ),
        (
            {"promptTokenCount": 10, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 1},
            Usage(input_tokens=15, output_tokens=1),
        ),
        (
            {"promptTokenCount": 10, "thoughtsTokenCount": 9, "totalTokenCount": 19},
            Usage(input_tokens=10, output_tokens=9, reasoning_tokens=9),
        ),
        (
            {
                "promptTokenCount": 10,
                "candidatesTokenCount": 4,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}, {"modality": "AUDIO", "tokenCount": 6}],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}],
                "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}],
            },
            Usage(input_tokens=10, output_tokens=4, input_audio_tokens=6, cached_audio_tokens=2, output_audio_tokens=3),
        ),
        ({"trafficType": "ON_DEMAND"}, None),
        ({}, None),
    ],
)
def test_usage_as_it_is_reported(reported, usage):
    assert read_body(FORM, document(text("a"), reason="STOP", usage=reported)).usage == usage


@pytest.mark.parametrize("kind", [SSE, JSON])
@pytest.mark.parametrize("wrapped", [True, False])
def test_an_error(kind, wrapped):
    error = {"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED"}}
    answer, _ = read(FORM, [json.dumps([error] if wrapped else error, indent=1).encode()], kind)
    assert (answer.error_type, answer.complete) == ("RESOURCE_EXHAUSTED", False)


def test_a_tier():
    usage = {**USAGE, "trafficType": "ON_DEMAND_PRIORITY"}
    assert read_body(FORM, document(text("a"), reason="STOP", usage=usage)).service_tier == "priority"
    assert read_body(FORM, document(usage={**USAGE, "trafficType": "ON_DEMAND"})).service_tier is None


def test_asked():
    body = json.dumps({"generationConfig": {"maxOutputTokens": 9, "candidateCount": 2}}).encode()
    assert FORM.asked(f"{PATH}:generateContent", body) == Asked("gemini-2.5-flash", max_output_tokens=18)
    assert FORM.asked(f"{PATH}:streamGenerateContent", b"") == Asked("gemini-2.5-flash", streamed=True)
    vertex = "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:streamGenerateContent"
    assert FORM.asked(vertex, b"").model == "gemini-2.5-pro"
