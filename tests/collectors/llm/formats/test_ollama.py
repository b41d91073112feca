"""Ollama's own API."""

import json

import pytest

from collectors.llm.formats.base import Asked, Usage
from collectors.llm.formats.ollama import OllamaChat, OllamaGenerate
from tests.collectors.llm.formats.reading import NDJSON, compact, cut, read, read_body, times, untimed

CHAT, GENERATE = OllamaChat(), OllamaGenerate()
HEAD = {"model": "llama3", "created_at": "2026-01-01T00:00:00.123456Z"}
END = {"done": True, "done_reason": "stop", "prompt_eval_count": 26, "eval_count": 298}


def chat(**message):
    return {**HEAD, "message": {"role": "assistant", "content": "", **message}, "done": False}


CHAT_TOLD = [
    chat(),
    chat(thinking="so"),
    chat(content="a"),
    chat(tool_calls=[{"function": {"name": "f", "arguments": {}}}]),
    chat() | END,
]
GENERATE_TOLD = [
    {**HEAD, "response": "", "done": False},
    {**HEAD, "response": "", "thinking": "so", "done": False},
    {**HEAD, "response": "a", "done": False},
    {**HEAD, "response": "b", "done": False},
    {**HEAD, "response": "", "context": [1, 2], **END},
]


@pytest.mark.parametrize(("form", "told"), [(CHAT, CHAT_TOLD), (GENERATE, GENERATE_TOLD)])
def test_a_stream(form, told):
    lines = [compact(each) + b"\n" for each in told]
    answer, shown = read(form, lines, NDJSON)
    assert shown == b"".join(lines)
    assert times(answer) == (1.0, 2.0, 4.0)
    assert (answer.usage, answer.model) == (Usage(input_tokens=26, output_tokens=298), "llama3")
    assert (answer.finish_reason, answer.complete) == ("stop", True)
    assert untimed(read(form, cut(shown, [1]), NDJSON)[0]) == untimed(answer)
    assert read(form, lines[:-1], NDJSON)[0].usage is None


def test_an_answer_that_was_not_streamed():
    answer = read_body(CHAT, CHAT_TOLD[-1])
    assert (answer.usage, answer.complete) == (Usage(input_tokens=26, output_tokens=298), True)


@pytest.mark.parametrize("kind", [NDJSON, "application/json"])
def test_an_error(kind):
    answer, _ = read(CHAT, [b'{"error":"model \'x\' not found"}'], kind)
    assert (answer.error_type, answer.complete) == ("unnamed", False)


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"model": "m"}, Asked("m", streamed=True)),
        ({"model": "m", "stream": False}, Asked("m")),
        ({"model": "m", "options": {"num_predict": 9}}, Asked("m", streamed=True, max_output_tokens=9)),
        ({"model": "m", "options": {"num_predict": -1}}, Asked("m", streamed=True)),
    ],
)
def test_asked(body, asked):
    assert CHAT.asked("/api/chat", json.dumps(body).encode()) == asked
