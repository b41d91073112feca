"""Which format speaks at an address, and what every one of them promises."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.llm.formats import FORMATS, find
from collectors.llm.formats.base import Asked
from tests.collectors.llm.formats.reading import BINARY, JSON, NDJSON, SSE, cut, read, untimed

ADDRESSES = [
    ("api.openai.com", "/v1/chat/completions", "openai.chat"),
    ("x.openai.azure.com", "/openai/deployments/d/chat/completions", "openai.chat"),
    ("x.openai.azure.com", "/openai/v1/chat/completions", "openai.chat"),
    ("api.groq.com", "/openai/v1/chat/completions", "openai.chat"),
    ("api.deepseek.com", "/beta/chat/completions", "openai.chat"),
    ("openrouter.ai", "/api/v1/chat/completions", "openai.chat"),
    ("api.mistral.ai", "/v1/chat/completions", "openai.chat"),
    ("generativelanguage.googleapis.com", "/v1beta/openai/chat/completions", "openai.chat"),
    ("api.writer.com", "/v1/chat", "openai.chat"),
    ("us-south.ml.cloud.ibm.com", "/ml/v1/text/chat_stream", "openai.chat"),
    ("api.openai.com", "/v1/completions", "openai.completions"),
    ("x.openai.azure.com", "/openai/deployments/d/completions", "openai.completions"),
    ("api.mistral.ai", "/v1/fim/completions", "openai.completions"),
    ("api.openai.com", "/v1/responses", "openai.responses"),
    ("x.openai.azure.com", "/openai/v1/responses", "openai.responses"),
    ("x.openai.azure.com", "/openai/responses", "openai.responses"),
    ("api.openai.com", "/v1/embeddings", "openai.embeddings"),
    ("api.openai.com", "/v1/threads/t/runs", "openai.runs"),
    ("api.openai.com", "/v1/threads/runs", "openai.runs"),
    ("api.openai.com", "/v1/threads/t/runs/r/submit_tool_outputs", "openai.runs"),
    ("api.anthropic.com", "/v1/messages", "anthropic.messages"),
    ("api.anthropic.com", "/v1/complete", "anthropic.messages"),
    ("x.services.ai.azure.com", "/anthropic/v1/messages", "anthropic.messages"),
    ("v", "/v1/projects/p/locations/l/publishers/anthropic/models/c:streamRawPredict", "anthropic.messages"),
    ("v", "/v1/projects/p/locations/l/publishers/google/models/g:generateContent", "google.generate_content"),
    ("g", "/v1beta/models/gemini-2.5-flash:streamGenerateContent", "google.generate_content"),
    ("g", "/v1beta/models/e:batchEmbedContents", "google.embed_content"),
    ("b", "/model/anthropic.claude-x-v1%3A0/converse", "bedrock.converse"),
    ("b", "/model/m/converse-stream", "bedrock.converse"),
    ("b", "/model/m/invoke", "bedrock.invoke"),
    ("b", "/model/m/invoke-with-response-stream", "bedrock.invoke"),
    ("b", "/model/amazon.titan-embed-text-v1/invoke", "bedrock.embed"),
    ("api.cohere.com", "/v2/chat", "cohere.chat"),
    ("api.cohere.ai", "/v1/chat", "cohere.v1_chat"),
    ("api.cohere.com", "/v2/embed", "cohere.embed"),
    ("api.cohere.com", "/v1/embed", "cohere.embed"),
    ("localhost", "/api/chat", "ollama.chat"),
    ("localhost", "/api/generate", "ollama.generate"),
    ("localhost", "/api/embed", "ollama.embed"),
    ("us-south.ml.cloud.ibm.com", "/ml/v1-beta/generation/text_stream", "watsonx.generation"),
    ("us-south.ml.cloud.ibm.com", "/ml/v1/text/generation_stream", "watsonx.generation"),
]
NONE_OF_OURS = [
    "/",
    "",
    "/login",
    "/v1/models",
    "/v1/messages/count_tokens",
    "/v1/messages/batches",
    "/v1/threads/t/messages",
    "/v1/chat/completions/c1",
    "/v1beta/models/g:countTokens",
    "/model/m/count-tokens",
    "/guardrail-checks/invoke",
    "/survey/responses",
    "/api/tags",
    "/repos/o/r/actions/runs",
    "/api/show",
]
NAMES = re.findall(
    r"\w+",
    "model stream max_tokens stream_options options generationConfig inferenceConfig serviceTier n id error type choices "
    "delta message content usage response output item candidates parts usageMetadata promptFeedback finishReason "
    "event_type text finish_reason meta tokens billed_units tool_calls done prompt_eval_count bytes stopReason outputs "
    "generations results completionReason object status web_search_call action cacheDetails ttl",
)
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)


@pytest.mark.parametrize(("host", "path", "name"), ADDRESSES)
def test_addresses(host, path, name):
    assert find(host, path).name == name


@pytest.mark.parametrize("path", NONE_OF_OURS)
def test_other_traffic(path):
    assert find("example.org", path) is None


def test_names():
    names = [form.name for form in FORMATS]
    assert len(set(names)) == len(names)
    assert {name for _, _, name in ADDRESSES} == set(names)
    assert {form.operation for form in FORMATS} == {"chat", "text_completion", "embeddings", "generate_content"}


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@settings(max_examples=25, deadline=None)
@given(body=SHAPES)
def test_any_request_can_be_read(form, body):
    asked = form.asked("/any/path", json.dumps(body).encode())
    assert isinstance(asked, Asked)
    assert asked.model is None or isinstance(asked.model, str)
    assert asked.max_output_tokens is None or asked.max_output_tokens >= 0


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"7", b'{"model": "\\ud800"}'])
def test_a_request_that_is_no_json(form, body):
    assert form.asked("/any/path", body).model is None
    assert form.ask_for_usage(b"") is None


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@settings(max_examples=25, deadline=None)
@given(told=st.lists(SHAPES, max_size=5), kind=st.sampled_from([SSE, JSON, NDJSON, BINARY, ""]), lines=st.booleans())
def test_any_answer_can_be_read(form, told, kind, lines):
    """JSON of the right names in the wrong places."""
    start, end = (b"", b"\n") if lines else (b"data: ", b"\n\n")
    body = b"".join(start + json.dumps(each).encode() + end for each in told)
    answer, shown = read(form, [body], kind)
    assert shown == body
    assert answer.unread == 0
    split, shown = read(form, cut(body, [3, 17]), kind)
    assert (untimed(split), shown) == (untimed(answer), body)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
@settings(max_examples=25, deadline=None)
@given(body=st.binary(max_size=100), kind=st.sampled_from([SSE, JSON, NDJSON, BINARY, ""]))
def test_any_bytes_can_be_read(form, body, kind):
    answer, shown = read(form, [body], kind)
    split, shown_split = read(form, cut(body, [1]), kind)
    assert shown == shown_split == body
    assert untimed(answer) == untimed(split)
