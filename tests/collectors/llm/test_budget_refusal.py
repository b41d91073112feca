"""A refusal, as the client libraries read it: each raises its own quota error, and says which budget it was."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as google_errors

from collectors.llm.budget import Refusal

REFUSAL = Refusal("search", Decimal(1), Decimal("0.99"), datetime(2026, 12, 1, tzinfo=UTC), Decimal(0), Decimal("0.03"))


@contextmanager
def refusing(form: str) -> Iterator[str]:
    """The address of a server that answers everything with the refusal."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = REFUSAL.body(form)
            self.send_response(429)
            self.send_header("Content-Type", "application/json")
            self.send_header("x-should-retry", "false")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_openai():
    with (
        refusing("openai.chat") as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="x") as client,
        pytest.raises(openai.RateLimitError, match="budget 'search' has no room") as told,
    ):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    assert (told.value.code, told.value.type) == ("insufficient_quota", "insufficient_quota")


def test_anthropic():
    with (
        refusing("anthropic.messages") as url,
        anthropic.Anthropic(base_url=url, api_key="x") as client,
        pytest.raises(anthropic.RateLimitError, match="budget 'search' has no room") as told,
    ):
        client.messages.create(model="claude", max_tokens=10, messages=[{"role": "user", "content": "hi"}])
    assert told.value.body["error"]["type"] == "rate_limit_error"


def test_google():
    with refusing("google.generate_content") as url:
        client = genai.Client(api_key="x", http_options={"base_url": url})
        with pytest.raises(google_errors.ClientError, match="budget 'search' has no room") as told:
            client.models.generate_content(model="gemini-2.5-flash", contents="hi")
        client.close()
    assert (told.value.code, told.value.status) == (429, "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize(
    "form", ["bedrock.converse", "cohere.chat", "ollama.chat", "mistral.chat", "openai.embeddings"]
)
def test_every_format_says_it(form):
    assert "budget 'search' has no room for this call" in str(json.loads(REFUSAL.body(form)))
