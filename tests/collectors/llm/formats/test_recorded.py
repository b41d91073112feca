"""Streams that were recorded from the providers."""

import base64
import json
import re
from dataclasses import asdict
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.collectors.llm.formats.reading import cut, read, recordings, untimed

# file: input, cached, cache write, output, reasoning; read by eye.
PINNED = {
    "api.anthropic.com_068709ab20f4.sse": (1169, 0, 1165, 201, None),
    "api.anthropic.com_c979aafb0496.sse": (1169, 1165, 0, 221, None),
    "api.anthropic.com_3961bd265f25.sse": (52, 0, 0, 238, None),
    "api.openai.com_c79d68d9f4ca.sse": (14, 0, None, 9, 0),
    "api.openai.com_c373f4edf970.sse": (382, 0, None, 90, 0),
    "api.openai.com_210443ed9ea3.sse": (59, 0, None, 17, 0),
    "api.openai.com_5fa2fc143ac1.sse": None,
    "api.openai.com_7699e4fed8c0.sse": None,
    "api.cohere.com_0818b93fe5f3.sse": (212, 208, None, 65, None),
    "api.deepseek.com_120295fdbca7.sse": (12, 0, None, 89, None),
    "api.groq.com_00b25ea2fb20.sse": (18, None, None, 73, None),
    "api.mistral.ai_91f1c8816cff.sse": (11, None, None, 80, None),
    "api.writer.com_3474b763305a.sse": (39, None, None, 37, None),
    "127.0.0.1_526cce8d9239.ndjson": (None, None, None, 58, None),  # this version kept silent on a cached prompt
    "bedrock-runtime.us-east-1.amazonaws.com_30c8be298bca.aws-eventstream": (28, None, None, 188, None),
    "us-south.ml.cloud.ibm.com_005b66260745.sse": (8, None, None, 11, None),
    "localhost_0b0f3cbde88b.sse": None,
    "traceloop-stg.openai.azure.com_0e15c1bb0e55.sse": None,
}
KINDS = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")


def documents(recording):
    """Every JSON document of a stream, by a loop that knows nothing of ours."""
    if recording.kind.endswith("eventstream"):
        packed = re.findall(rb'"bytes":"([A-Za-z0-9+/=]+)"', recording.body)
        return [json.loads(base64.b64decode(piece)) for piece in packed]
    lines = (line.removeprefix("data: ") for line in recording.body.decode().splitlines())
    return [json.loads(line) for line in lines if line.startswith("{")]


def plainly(recording):  # noqa: PLR0911 - one a provider
    """The five counts that a stream carries, each provider's way; None where there are none."""
    told, host = documents(recording), recording.host
    if "anthropic" in host:
        start = next(d["message"]["usage"] for d in told if d["type"] == "message_start")
        end = [d["usage"] for d in told if d["type"] == "message_delta"][-1]
        read, written = start["cache_read_input_tokens"], start["cache_creation_input_tokens"]
        return start["input_tokens"] + read + written, read, written, end["output_tokens"], None
    if "cohere" in host:
        usage = told[-1]["delta"]["usage"]
        return usage["tokens"]["input_tokens"], usage["cached_tokens"], None, usage["tokens"]["output_tokens"], None
    if "amazonaws" in host:
        metrics = told[-1]["amazon-bedrock-invocationMetrics"]
        return metrics["inputTokenCount"], None, None, metrics["outputTokenCount"], None
    if "ibm" in host:
        results = [d["results"][0] for d in told]
        return results[0]["input_token_count"], None, None, results[-1]["generated_token_count"], None
    if recording.url.endswith("/api/generate"):
        return told[-1].get("prompt_eval_count"), None, None, told[-1]["eval_count"], None
    if recording.url.endswith("/responses"):
        usage = told[-1]["response"]["usage"]
        reasoning = usage["output_tokens_details"]["reasoning_tokens"]
        cached = usage["input_tokens_details"]["cached_tokens"]
        return usage["input_tokens"], cached, None, usage["output_tokens"], reasoning
    reported = [
        d.get("usage") or d.get("x_groq", {}).get("usage") for d in told if d.get("object") != "thread.run.step"
    ]
    reported = [usage for usage in reported if usage]
    if not reported:
        return None
    usage = reported[-1]
    prompt = usage.get("prompt_tokens_details") or usage.get("prompt_token_details") or {}
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    return usage["prompt_tokens"], prompt.get("cached_tokens"), None, usage["completion_tokens"], reasoning


def counts(usage):
    return None if usage is None else tuple(asdict(usage)[kind] for kind in KINDS)


@cache
def known(data_folder):
    """All recordings but Replicate's, whose stream is fetched by a GET."""
    return [recording for recording in recordings(data_folder) if "replicate" not in recording.host]


def short(data_folder):
    return [recording for recording in known(data_folder) if len(recording.body) < 9_000]


def test_every_stream_gives_the_usage_that_it_carries(data_folder):
    seen = 0
    for recording in known(data_folder):
        answer, shown = read(recording.form, [recording.body], recording.kind)
        assert shown == recording.body, recording.file
        assert counts(answer.usage) == plainly(recording), recording.file
        if recording.file in PINNED:
            assert counts(answer.usage) == PINNED[recording.file], recording.file
            seen += 1
        assert (answer.complete, answer.error_type, answer.refused, answer.unread) == (True, None, None, 0)
        assert answer.first_chunk_at == answer.first_token_at == answer.last_token_at == 1.0, recording.file
    assert seen == len(PINNED)


def test_every_stream_names_its_model_and_itself(data_folder):
    nameless = {"ollama.generate", "bedrock.invoke", "watsonx.generation"}
    for recording in known(data_folder):
        answer, _ = read(recording.form, [recording.body], recording.kind)
        assert (answer.response_id is None) == (recording.form.name in nameless), recording.file
        assert (answer.model is None) == (recording.form.name in {"cohere.chat", "bedrock.invoke"}), recording.file
        assert answer.finish_reason, recording.file


def test_a_stream_of_nobody_we_know_is_left_alone(data_folder):
    unknown = [recording for recording in recordings(data_folder) if recording.form is None]
    assert [recording.host for recording in unknown] == ["streaming-api.svc.us.c.replicate.net"]


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=8), data=st.data())
def test_any_split_reads_the_same(data_folder, sizes, data):
    recording = data.draw(st.sampled_from(short(data_folder)))
    whole, _ = read(recording.form, [recording.body], recording.kind)
    split, shown = read(recording.form, cut(recording.body, sizes), recording.kind)
    assert (untimed(split), shown) == (untimed(whole), recording.body), recording.file


def test_the_shortest_of_each_format_byte_by_byte(data_folder):
    one_each = {
        recording.form.name: recording for recording in sorted(known(data_folder), key=lambda each: -len(each.body))
    }
    for recording in one_each.values():
        whole, _ = read(recording.form, [recording.body], recording.kind)
        split, shown = read(recording.form, cut(recording.body, [1]), recording.kind)
        assert (untimed(split), shown) == (untimed(whole), recording.body), recording.file


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_stream_that_is_cut_off_has_its_usage_or_none(data_folder, data):
    recording = data.draw(st.sampled_from(short(data_folder)))
    whole, _ = read(recording.form, [recording.body], recording.kind)
    body = recording.body[: data.draw(st.integers(0, len(recording.body)))]
    answer, shown = read(recording.form, [body], recording.kind)
    assert shown == body
    assert answer.unread == 0
    assert answer.usage in {None, whole.usage}, recording.file


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_damage_harms_nobody(data_folder, data):
    recording = data.draw(st.sampled_from(short(data_folder)))
    body = bytearray(recording.body)
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=20)):
        body[at] ^= 1 << data.draw(st.integers(0, 7))
    sizes = data.draw(st.lists(st.integers(30, 2_000), min_size=1, max_size=4))
    answer, shown = read(recording.form, cut(bytes(body), sizes), recording.kind)
    whole, shown_whole = read(recording.form, [bytes(body)], recording.kind)
    assert shown == shown_whole == bytes(body)
    assert untimed(answer) == untimed(whole)


def test_the_last_token_is_in_the_last_event_that_has_one(data_folder):
    """Each event at a time of its own, against a loop that looks for text."""
    for recording in known(data_folder):
        if recording.form.name not in {"openai.chat", "openai.completions"}:
            continue
        events = [event + b"\n\n" for event in recording.body.split(b"\n\n") if event]
        answer, _ = read(recording.form, events, recording.kind)
        at = []
        for number, event in enumerate(events, start=1):
            data = event.partition(b"data: ")[2]
            for choice in json.loads(data).get("choices", []) if data.startswith(b"{") else []:
                delta = choice.get("delta") or {}
                if choice.get("text") or delta.get("content") or delta.get("tool_calls"):
                    at.append(float(number))
        assert (answer.first_token_at, answer.last_token_at) == (at[0], at[-1]), recording.file
