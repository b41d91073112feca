"""No word of a prompt or an answer is stored: not in any table, not in the spool, not among the dead letters."""

import json

import anthropic
import boto3
import openai
import psycopg
import pytest
import requests
from botocore.config import Config
from psycopg import sql

from collectors import llm
from store.connect import connect
from store.settings import load
from tests.collectors.llm.raw_server import answering
from tests.servers import free_port

CANARY = "canary-7c1f-Zürich"
SHOWN = (CANARY, CANARY.encode("unicode_escape").decode(), "canary-7c1f")
TOOL = {"type": "function", "function": {"name": "look_up", "arguments": json.dumps({"q": CANARY})}}
ASK = {
    "model": "gpt-4o-mini",
    "messages": [
        {"role": "system", "content": CANARY},
        {"role": "user", "content": CANARY},
        {"role": "assistant", "tool_calls": [{"id": "c", **TOOL}]},
        {"role": "tool", "tool_call_id": "c", "content": CANARY},
    ],
    "user": CANARY,
    "metadata": {"about": CANARY},
    "tools": [{"type": "function", "function": {"name": "look_up", "description": CANARY}}],
}
OPENAI = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": CANARY, "refusal": CANARY, "tool_calls": [{"id": "c", **TOOL}]},
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12},
}
ANTHROPIC = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5",
    "content": [{"type": "text", "text": CANARY}, {"type": "thinking", "thinking": CANARY, "signature": "s"}],
    "stop_reason": "stop_sequence",
    "stop_sequence": CANARY,
    "usage": {"input_tokens": 5, "output_tokens": 7},
}
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": CANARY}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12},
}


def http(status, body, kind="application/json"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [
        b"HTTP/1.1 %d X\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (status, kind.encode(), len(data), data)
    ]


def errors(message):
    return {"error": {"message": message, "type": message, "code": message, "param": message}, "detail": message}


def sse(*chunks):
    return b"".join(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n" for chunk in chunks)


DELTA = {"id": "x", "model": "gpt-4o-mini", "choices": [{"index": 0, "delta": {"content": CANARY}}]}
ANSWERS = {
    "whole": http(200, OPENAI),
    "stream": http(200, sse(DELTA, DELTA) + b"data: [DONE]\n\n", "text/event-stream"),
    "stream that is cut": http(200, sse(DELTA) + b"data: {" + CANARY.encode(), "text/event-stream"),
    "stream with an error in it": http(200, sse(DELTA, errors(CANARY)), "text/event-stream"),
    "error": http(400, errors(CANARY)),
    "error that is no JSON": http(500, CANARY.encode(), "text/plain"),
    "no JSON": http(200, CANARY.encode()),
}


def calls(settings, **options):
    """Say and hear the canary in every way."""
    llm.install(settings, team="tests", **options)
    try:
        for answer in ANSWERS.values():
            for stream in (False, True):
                with answering(answer) as (url, _):
                    requests.post(url + "/v1/chat/completions?q=" + CANARY, json={**ASK, "stream": stream}, timeout=10)
                    with openai.OpenAI(base_url=url + "/v1", api_key=CANARY[:8] + "-key", max_retries=0) as api:
                        try:
                            list(api.chat.completions.create(**ASK, stream=stream))
                        except openai.OpenAIError:
                            pass
                        except json.JSONDecodeError:
                            pass
        with answering(http(200, ANTHROPIC)) as (url, _):
            anthropic.Anthropic(base_url=url, api_key="none").messages.create(
                model="claude-haiku-4-5",
                max_tokens=9,
                system=CANARY,
                stop_sequences=[CANARY],
                messages=[{"role": "user", "content": CANARY}],
            )
        with answering(http(200, CONVERSE)) as (url, _):
            boto3.client(
                "bedrock-runtime",
                endpoint_url=url,
                region_name="us-east-1",
                aws_access_key_id="none",
                aws_secret_access_key="none",
                config=Config(retries={"total_max_attempts": 1}),
            ).converse(
                modelId="anthropic.claude-3-haiku-20240307-v1:0",
                system=[{"text": CANARY}],
                messages=[{"role": "user", "content": [{"text": CANARY}]}],
            )
        return llm.flush(1.0)
    finally:
        llm.uninstall()


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def test_no_table_has_it(store):
    assert calls(store, estimate_usage=True)
    with connect(store) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_schema NOT LIKE 'pg_toast%'"
        ).fetchall()
        assert len(tables) > 20
        looked_at = 0
        for name in tables:
            try:
                with connection.transaction():
                    query = sql.SQL("SELECT whole::text FROM {} AS whole").format(sql.Identifier(*name))
                    rows = [row for (row,) in connection.execute(query)]
            except psycopg.errors.ObjectNotInPrerequisiteState:  # a materialised view that nobody has filled yet
                continue
            looked_at += len(rows)
            for row in rows:
                assert not [word for word in SHOWN if word in row], name
        requests_seen = connection.execute("SELECT count(*) FROM metrics.llm_requests").fetchone()[0]
    assert requests_seen == 4 * len(ANSWERS) + 2
    assert looked_at >= requests_seen


@pytest.mark.parametrize("refused", [False, True])
def test_no_file_has_it(store, tmp_path, monkeypatch, refused):
    spool, dead = tmp_path / "spool", tmp_path / "dead"
    if refused:
        with connect(store) as connection:
            connection.execute("ALTER TABLE metrics.llm_requests ADD CHECK (team <> 'tests')")
        settings = store.model_copy(update={"spool": spool, "dead_letters": dead})
    else:
        settings = load(dsn=f"postgresql://nobody@127.0.0.1:{free_port()}/none", spool=spool, dead_letters=dead)
    calls(settings)
    written = b"".join(path.read_bytes() for path in [*files(spool), *files(dead)])
    assert written.count(b"gpt-4o-mini") > 5
    for word in SHOWN:
        assert word.encode() not in written
