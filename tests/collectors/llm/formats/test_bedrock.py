"""Bedrock: converse and invoke."""

import base64
import json

import pytest

from collectors.llm.formats.base import Asked, Usage
from collectors.llm.formats.bedrock import Converse, Invoke
from tests.collectors.llm.formats.reading import (
    BINARY,
    aws,
    compact,
    cut,
    frame,
    read,
    read_body,
    times,
    untimed,
)

CONVERSE, INVOKE = Converse(), Invoke()
COUNTED = {"inputTokens": 5, "outputTokens": 42, "totalTokens": 130, "cacheReadInputTokens": 70}
COUNTED |= {"cacheWriteInputTokens": 13, "cacheDetails": [{"ttl": "1h", "inputTokens": 10}]}
READ = Usage(input_tokens=88, cached_tokens=70, cache_write_tokens=13, output_tokens=42, cache_write_1h_tokens=10)


def delta(**fields):
    return aws("contentBlockDelta", {"contentBlockIndex": 0, "delta": fields, "p": "abcdef"})


def stop(reason="end_turn"):
    return aws("messageStop", {"stopReason": reason, "p": "ab"})


BEGIN = aws("messageStart", {"role": "assistant", "p": "abc"})
METADATA = aws("metadata", {"usage": COUNTED, "metrics": {"latencyMs": 9}, "serviceTier": {"type": "flex"}})
PATH = "/model/anthropic.claude-x-v1%3A0"


def test_reasoning_then_text_then_a_tool():
    told = [
        BEGIN,
        *[delta(reasoningContent={"text": f"so {n}"}) for n in range(3)],
        delta(reasoningContent={"signature": "c2ln"}),
        aws("contentBlockStop", {"contentBlockIndex": 0}),
        *[delta(text=f"word {n}") for n in range(3)],
        aws("contentBlockStart", {"start": {"toolUse": {"name": "f", "toolUseId": "t"}}}),
        delta(toolUse={"input": ""}),
        delta(toolUse={"input": '{"a'}),
        stop("tool_use"),
        METADATA,
    ]
    answer, shown = read(CONVERSE, told, BINARY)
    assert shown == b"".join(told)
    assert times(answer) == (1.0, 2.0, 12.0)
    assert (answer.usage, answer.finish_reason, answer.complete) == (READ, "tool_use", True)
    assert (answer.service_tier, answer.refused) == ("flex", None)
    for sizes in ([1], [13, 100]):
        split, passed = read(CONVERSE, cut(shown, sizes), BINARY)
        assert (untimed(split), passed) == (untimed(answer), shown)


@pytest.mark.parametrize("reason", ["guardrail_intervened", "content_filtered"])
def test_a_filter(reason):
    answer, _ = read(CONVERSE, [BEGIN, delta(text="a"), stop(reason), METADATA], BINARY)
    assert (answer.refused, answer.finish_reason, answer.usage) == ("content_filter", reason, READ)


@pytest.mark.parametrize(
    ("headers", "error_type"),
    [
        ({":message-type": "exception", ":exception-type": "throttlingException"}, "throttlingException"),
        ({":message-type": "error", ":error-code": "InternalError", ":error-message": "free text"}, "InternalError"),
        ({":message-type": "exception"}, "unnamed"),
    ],
)
def test_an_exception_in_the_stream(headers, error_type):
    answer, _ = read(CONVERSE, [BEGIN, delta(text="a"), frame({"message": "slow down"}, headers)], BINARY)
    assert (answer.error_type, answer.complete, answer.usage) == (error_type, False, None)


def test_a_damaged_message_is_left_out():
    broken = bytearray(delta(text="a"))
    broken[-10] ^= 1
    answer, shown = read(CONVERSE, [BEGIN, bytes(broken), stop(), METADATA], BINARY)
    assert (answer.first_token_at, answer.usage) == (None, READ)
    assert bytes(broken) in shown


def test_converse_that_was_not_streamed():
    body = {"output": {"message": {"content": [{"text": "a"}]}}, "stopReason": "end_turn", "usage": COUNTED}
    answer = read_body(CONVERSE, body)
    assert (answer.usage, answer.finish_reason, answer.complete) == (READ, "end_turn", True)
    assert read_body(CONVERSE, body | {"stopReason": "guardrail_intervened"}).refused == "content_filter"


def test_an_error_is_named_in_the_head():
    told = "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/"
    answer = read_body(CONVERSE, {"message": "Too many tokens"}, x_amzn_errortype=told)
    assert (answer.error_type, answer.complete, answer.usage) == ("ThrottlingException", False, None)
    assert read_body(INVOKE, {"__type": "com.amazon#ValidationException"}).error_type == "ValidationException"


def chunk(payload):
    return aws("chunk", {"bytes": base64.b64encode(compact(payload)).decode(), "p": "abc"})


METRICS = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 28, "outputTokenCount": 188}}
BOTH = Usage(input_tokens=28, output_tokens=188)


@pytest.mark.parametrize(
    ("payloads", "token", "usage", "reason"),
    [
        (
            [{"outputText": "a", "inputTextTokenCount": 28}, {"outputText": "b", "totalOutputTextTokenCount": 188.0,
             "completionReason": "FINISH"}], 1, BOTH, "FINISH",
        ),
        (
            [{"generation": "", "prompt_token_count": 28, "generation_token_count": 1, "stop_reason": None},
             {"generation": "a", "prompt_token_count": None, "generation_token_count": 188, "stop_reason": "stop"}],
            2, BOTH, "stop",
        ),
        (
            [{"messageStart": {"role": "assistant"}}, {"contentBlockDelta": {"delta": {"text": "a"}}},
             {"messageStop": {"stopReason": "end_turn"}}, {"metadata": {"usage": COUNTED}}], 2, READ, "end_turn",
        ),
        ([{"outputs": [{"text": "a", "stop_reason": None}]}, {"outputs": [{"text": "", "stop_reason": "stop"}]}], 1,
         BOTH, "stop"),
        (
            [{"choices": [{"message": {"role": "assistant", "content": ""}, "stop_reason": None}]},
             {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}],
              "usage": {"prompt_tokens": 3, "completion_tokens": 4}}], 2, Usage(input_tokens=3, output_tokens=4), "stop",
        ),
        ([{"text": "a", "is_finished": False}, {"is_finished": True, "finish_reason": "COMPLETE"}], 1, BOTH, "COMPLETE"),
        (
            [{"event_type": "text-generation", "text": "a"},
             {"event_type": "stream-end", "finish_reason": "COMPLETE", "response": {"text": "a"}}], 1, BOTH, "COMPLETE",
        ),
        (
            [{"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 3, "cache_read_input_tokens": 2}}},
             {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}},
             {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
             {"type": "message_stop"}], 2, Usage(input_tokens=5, cached_tokens=2, output_tokens=9), "end_turn",
        ),
    ],
    ids=["titan", "llama", "nova", "mistral", "openai", "command", "command-r", "anthropic"],
)  # fmt: skip
def test_each_model_in_its_own_language(payloads, token, usage, reason):
    last = {**payloads[-1], **METRICS}
    frames = [chunk(payload) for payload in [*payloads[:-1], last]]
    answer, shown = read(INVOKE, frames, BINARY)
    assert shown == b"".join(frames)
    assert (answer.first_chunk_at, answer.first_token_at) == (1.0, float(token))
    assert (answer.usage, answer.finish_reason, answer.complete) == (usage, reason, True)
    assert (answer.unread, answer.error_type) == (0, None)
    cut_off, _ = read(INVOKE, frames[:-1], BINARY)
    assert cut_off.usage in (None, usage)


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        ({"inputTextTokenCount": 28, "results": [{"tokenCount": 188, "outputText": "a", "completionReason": "FINISH"}]}, BOTH),
        ({"generation": "a", "prompt_token_count": 28, "generation_token_count": 188, "stop_reason": "stop"}, BOTH),
        ({"output": {"message": {}}, "stopReason": "end_turn", "usage": COUNTED}, READ),
        ({"outputs": [{"text": "a", "stop_reason": "stop"}]}, None),
        ({"generations": [{"text": "a", "finish_reason": "COMPLETE"}]}, None),
        ({"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 28, "completion_tokens": 188}}, BOTH),
        (
            {"type": "message", "id": "m", "usage": {"input_tokens": 28, "output_tokens": 188}, "stop_reason": "end_turn"},
            BOTH,
        ),
    ],
)  # fmt: skip
def test_invoke_that_was_not_streamed(body, usage):
    answer = read_body(INVOKE, body)
    assert (answer.usage, answer.complete, answer.error_type) == (usage, True, None)
    in_head = read_body(INVOKE, body, x_amzn_bedrock_input_token_count="28", x_amzn_bedrock_output_token_count="188")
    assert in_head.usage == usage or (usage is None and in_head.usage == BOTH)


def test_a_head_that_counts_rubbish():
    head = {"x_amzn_bedrock_input_token_count": "-5", "x_amzn_bedrock_output_token_count": "9" * 40}
    assert read_body(INVOKE, {"outputs": []}, **head).usage is None


def test_asked():
    body = json.dumps({"inferenceConfig": {"maxTokens": 9}, "serviceTier": {"type": "priority"}}).encode()
    model = "anthropic.claude-x-v1:0"
    assert CONVERSE.asked(f"{PATH}/converse", body) == Asked(model, max_output_tokens=9, service_tier="priority")
    assert CONVERSE.asked(f"{PATH}/converse-stream", b"") == Asked(model, streamed=True)
    assert CONVERSE.asked("/model/anthropic.claude-x-v1:0/converse", b"").model == model  # as some transports tell it
    for asked in (
        {"max_tokens": 9},
        {"max_gen_len": 9},
        {"textGenerationConfig": {"maxTokenCount": 9}},
        {"inferenceConfig": {"max_new_tokens": 9}},
    ):
        told = INVOKE.asked(f"{PATH}/invoke-with-response-stream", json.dumps(asked).encode())
        assert told == Asked(model, streamed=True, max_output_tokens=9)
