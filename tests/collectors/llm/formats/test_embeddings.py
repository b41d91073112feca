"""Embeddings."""

import json

import pytest

from collectors.llm.formats import find
from collectors.llm.formats.base import Usage
from tests.collectors.llm.formats.reading import read_body

NUMBERS = [{"object": "embedding", "index": n, "embedding": [0.125] * 400} for n in range(10)]


@pytest.mark.parametrize("many", [True, False])
@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        (
            "/v1/embeddings",
            {"data": NUMBERS, "model": "text-embedding-3", "usage": {"prompt_tokens": 7}},
            "text-embedding-3",
        ),
        ("/v1/embeddings", {"model": "m", "usage": {"prompt_tokens": 7, "total_tokens": 7}, "data": NUMBERS}, "m"),
        ("/openai/deployments/d/embeddings", {"data": NUMBERS, "model": "m", "usage": {"total_tokens": 7}}, "m"),
        ("/api/embed", {"model": "m", "embeddings": NUMBERS, "prompt_eval_count": 7}, "m"),
        (
            "/v2/embed",
            {"embeddings": NUMBERS, "texts": ['"usage":'], "meta": {"billed_units": {"input_tokens": 7}}},
            None,
        ),
        ("/v1beta/models/e:embedContent", {"embedding": NUMBERS, "usageMetadata": {"promptTokenCount": 7}}, None),
        ("/model/amazon.titan-embed-text-v2:0/invoke", {"embedding": NUMBERS, "inputTextTokenCount": 7}, None),
    ],
)
def test_counts(path, body, model, many):
    if not many:
        body = {key: value[:1] if value is NUMBERS else value for key, value in body.items()}
        body |= {key: 1 for key, value in body.items() if value == NUMBERS[:1]}
    form = find("example.org", path)
    answer = read_body(form, body)
    assert form.operation == "embeddings"
    assert (answer.usage, answer.model) == (Usage(input_tokens=7, output_tokens=0), model)
    assert (answer.complete, answer.error_type) == (True, None)


def test_without_counts():
    assert read_body(find("x", "/v1beta/models/e:embedContent"), {"embedding": {"values": [0.5]}}).usage is None


def test_an_error():
    answer = read_body(find("x", "/v1/embeddings"), {"error": {"type": "invalid_request_error"}})
    assert (answer.error_type, answer.complete, answer.usage) == ("invalid_request_error", False, None)


def test_bedrock_counts_in_the_head():
    form = find("x", "/model/cohere.embed-english-v3/invoke")
    answer = read_body(form, {"embeddings": [[0.5]], "response_type": "x"}, x_amzn_bedrock_input_token_count="7")
    assert answer.usage == Usage(input_tokens=7, output_tokens=0)


@pytest.mark.parametrize("body", [b"", b"[" * 100_000, b'{"usage":' * 2_000, b'"usage": \xff' * 1_000])
def test_rubbish(body):
    assert read_body(find("x", "/v1/embeddings"), body).usage is None


def test_asked():
    form = find("x", "/v1/embeddings")
    assert form.asked("/v1/embeddings", json.dumps({"model": "m", "input": "x"}).encode()).model == "m"
    assert form.asked("/openai/deployments/d/embeddings", b"").model == "d"
