"""A server on the loopback interface that speaks to every provider's client, in a process of its own.

`python -m tests.llm_server` serves until its input ends, and first prints its port. What is answered comes with the request:
see `tests.dialects.plan.Plan`. What was really done, and when, is asked for by the plan's key; moments are those of
`time.perf_counter`, which all processes of a machine share.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote

from tests.dialects import anthropic, bedrock, cohere, google, ollama, openai, responses
from tests.dialects.plan import Dialect, Plan, Request, plan_in

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        openai.CHAT,
        openai.COMPLETIONS,
        openai.EMBEDDINGS,
        openai.MISTRAL_CHAT,
        responses.RESPONSES,
        anthropic.MESSAGES,
        google.GENERATE,
        cohere.CHAT,
        bedrock.CONVERSE,
        bedrock.INVOKE,
        ollama.CHAT,
    )
}
SERVED = "/served/"
ANSWER_S = 10.0


@dataclass(slots=True)
class Served:
    """What became of one request. A write happens at some moment between the two that are noted for it."""

    dialect: str
    path: str
    received_at: float
    headers: dict[str, str]
    first_chunk_at: tuple[float, float] | None = None
    first_token_at: tuple[float, float] | None = None
    last_token_at: tuple[float, float] | None = None
    chunks: int = 0
    tokens: int = 0
    ended_at: float | None = None

    @property
    def ttfc_s(self) -> float:
        """From the arrival of the request to the first write."""
        assert self.first_chunk_at is not None
        return self.first_chunk_at[0] - self.received_at

    @property
    def ttft_s(self) -> float:
        """From the arrival of the request to the first write that has something in it."""
        assert self.first_token_at is not None
        return self.first_token_at[0] - self.received_at


class LLMServer:
    """The process, as a context manager. `url` is its address, without a slash at the end."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.llm_server"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.netloc = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.netloc}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate()  # closes its input

    def served(self, key: str, *, count: int = 1) -> list[Served]:
        """What was done for the plan of this key; waits until so many of its requests have ended."""
        end = time.monotonic() + ANSWER_S
        while True:
            with urllib.request.urlopen(self.url + SERVED + quote(key)) as answer:
                found = [Served(**served) for served in json.load(answer)]
            if sum(served.ended_at is not None for served in found) >= count:
                return found
            assert time.monotonic() < end, f"the server has not answered {key} {count} times: {found}"
            time.sleep(0.01)


@dataclass(slots=True)
class _Ledger:
    """All that was served, by key."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    served: dict[str, list[Served]] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1_000

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, _Handler)
        self.ledger = _Ledger()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 0
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Keep quiet."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The same in every answer: two of them can be compared, head and all."""
        return "Sun, 01 Nov 2026 12:00:00 GMT"

    def do_GET(self) -> None:
        with self.server.ledger.lock:
            found = self.server.ledger.served.get(unquote(self.path).removeprefix(SERVED), [])
            body = json.dumps([asdict(served) for served in found]).encode()
        self._send(200, body)

    def do_POST(self) -> None:
        arrived = time.perf_counter()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        plan = plan_in(body)
        route = self.path.partition("?")[0]
        dialect = next((dialect for dialect in DIALECTS.values() if dialect.path.match(route)), None)
        if plan is None or dialect is None:
            self._send(404, json.dumps({"error": {"message": f"no plan, or no such route: {route}"}}).encode())
            return
        served = Served(dialect.name, self.path, arrived, {k.lower(): v for k, v in self.headers.items()})
        with self.server.ledger.lock:
            self.server.ledger.served.setdefault(plan.key, []).append(served)
        try:
            self._answer(dialect, Request(self.path, json.loads(body), plan), served)
        finally:
            served.ended_at = time.perf_counter()

    def _answer(self, dialect: Dialect, request: Request, served: Served) -> None:
        plan = request.plan
        if plan.status != 200:
            time.sleep(plan.hangs_s)
            self._send(plan.status, json.dumps(dialect.error(plan)).encode(), plan=plan)
        elif dialect.streamed(request):
            media = dialect.media
            if dialect.name == google.GENERATE.name and "alt=sse" not in request.path:
                media = "application/json"
            self._stream(dialect, request, served, media)
        else:
            body = json.dumps(dialect.whole(request)).encode()
            _sleep_until(served.received_at + plan.hangs_s + plan.lasts_s)
            self._send(200, body, plan=plan)

    def _stream(self, dialect: Dialect, request: Request, served: Served, media: str) -> None:
        plan = request.plan
        events = [(event, b"%x\r\n%b\r\n" % (len(event.data), event.data)) for event in dialect.stream(request)]
        _sleep_until(served.received_at + plan.hangs_s)
        self._head(200, media, plan)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, (event, packed) in enumerate(events):
            if plan.breaks_after is not None and number >= plan.breaks_after:
                self.close_connection = True
                return  # without the last chunk of the transfer encoding: a broken body
            _sleep_until(served.received_at + plan.hangs_s + event.due_s)
            before = time.perf_counter()
            self.wfile.write(packed)
            moment = before, time.perf_counter()
            served.chunks += 1
            served.first_chunk_at = served.first_chunk_at or moment
            if event.token:
                served.tokens += 1
                served.first_token_at = served.first_token_at or moment
                served.last_token_at = moment
        self.wfile.write(b"0\r\n\r\n")

    def _head(self, status: int, media: str, plan: Plan | None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media)
        if plan is not None:
            for name in ("X-Request-Id", "Request-Id", "X-Amzn-RequestId"):
                self.send_header(name, f"req-{plan.key}")
            if plan.status != 200:
                self.send_header("X-Amzn-ErrorType", plan.error_type)

    def _send(self, status: int, body: bytes, *, plan: Plan | None = None) -> None:
        self._head(status, "application/json", plan)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _sleep_until(moment: float) -> None:
    left = moment - time.perf_counter()
    if left > 0:
        time.sleep(left)


def main() -> None:
    """Serve until the input ends."""
    server = _Server(("127.0.0.1", 0))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
