"""A provider's reports over HTTP, as its documentation describes them: pages, admin keys, and bad moods."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

ADMIN_KEY = "sk-admin-canary-4711"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class ReportServer:
    """What it answers: buckets by path; `moods` are statuses and headers to answer with before that, in order."""

    port: int = 0
    buckets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    moods: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)
    page_of: int = 2  # buckets of a page at most, whatever limit is asked for
    endless: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, query: dict[str, list[str]], headers: Any) -> tuple[int, dict[str, str], bytes]:
        self.asked.append((path, query))
        if self.moods:
            status, extra = self.moods.pop(0)
            return status, extra, b'{"error": {"message": "Incorrect API key provided: sk-admin-canary-4711"}}'
        if ADMIN_KEY not in (headers.get("x-api-key"), (headers.get("authorization") or "").removeprefix("Bearer ")):
            return 401, {}, b'{"error": {"message": "Incorrect API key provided: %s"}}' % ADMIN_KEY.encode()
        found = [bucket for bucket in self.buckets.get(path, []) if self._within(bucket, query)]
        at = int(query.get("page", ["0"])[0].removeprefix("page_"))
        size = min(self.page_of, int(query["limit"][0]))
        more = self.endless or at + size < len(found)
        page = {"data": found[at : at + size], "has_more": more}
        page["next_page"] = (f"page_{at}" if self.endless else f"page_{at + size}") if more else None
        if "organization/" in path:
            page["object"] = "page"
        return 200, {}, json.dumps(page).encode()

    @staticmethod
    def _within(bucket: dict[str, Any], query: dict[str, list[str]]) -> bool:
        if "start_time" in bucket:
            return int(query["start_time"][0]) <= bucket["start_time"] < int(query["end_time"][0])
        return query["starting_at"][0] <= bucket["starting_at"] < query["ending_at"][0]


@contextmanager
def serving() -> Iterator[ReportServer]:
    reports = ReportServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, headers, body = reports.answer(parts.path, parse_qs(parts.query), self.headers)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Nothing: the test reads what was asked."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    reports.port = server.server_port
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield reports
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def openai_bucket(day: datetime, *results: dict[str, Any]) -> dict[str, Any]:
    start = int((day - EPOCH).total_seconds())
    return {"object": "bucket", "start_time": start, "end_time": start + 86400, "results": list(results)}


def completions(model: str, given: int, made: int, requests: int, **more: Any) -> dict[str, Any]:
    return {
        "object": "organization.usage.completions.result",
        "input_tokens": given,
        "output_tokens": made,
        "num_model_requests": requests,
        "model": model,
        "project_id": None,
        **more,
    }


def cost(line_item: str | None, value: float | str, currency: str = "usd", **more: Any) -> dict[str, Any]:
    amount = {"value": value, "currency": currency}
    return {"object": "organization.costs.result", "amount": amount, "line_item": line_item, "project_id": None, **more}


def anthropic_bucket(day: datetime, *results: dict[str, Any]) -> dict[str, Any]:
    end = day + timedelta(days=1)
    return {
        "starting_at": f"{day:%Y-%m-%dT%H:%M:%SZ}",
        "ending_at": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "results": list(results),
    }


def messages(model: str, uncached: int, made: int, **more: Any) -> dict[str, Any]:
    return {
        "uncached_input_tokens": uncached,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": made,
        "server_tool_use": {"web_search_requests": 0},
        "model": model,
        "workspace_id": None,
        "service_tier": "standard",
        **more,
    }


def charge(model: str | None, cents: str, description: str, **more: Any) -> dict[str, Any]:
    return {
        "currency": "USD",
        "amount": cents,
        "description": description,
        "cost_type": "tokens",
        "model": model,
        "service_tier": "standard",
        "workspace_id": None,
        **more,
    }
