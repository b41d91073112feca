"""A simulator of an OpenAI-compatible server, on the loopback interface: it makes words up, and serves no model.

For the demo and the tests: real HTTP, real event streams, and delays, errors and odd habits on request.
"""

from __future__ import annotations

import gzip
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

WORDS = ("queues", "drain", "slowly", "when", "consumers", "are", "few", "and", "every", "forecast", "is", "a", "bet")
PATH = "/chat/completions"
CREATED = 1_750_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How one request is answered. Delays are seconds.

    `start_s`: until the head and the role-only chunk; `first_token_s`: from there to the first text;
    `chunk_s`: between chunks. `breaks_after`: cut the connection after so many chunks.
    `usage_nulls`: like OpenAI, write `"usage": null` into every other chunk of a stream that asks for its usage.
    `usage_in_last`: like Mistral and DeepSeek, report usage in the last chunk with a choice, asked for or not.
    """

    status: int = 200
    error_type: str = "server_error"
    error_message: str = "simulated"
    retry_after_s: float | None = None
    chunks: int = 8
    start_s: float = 0.0
    first_token_s: float = 0.0
    chunk_s: float = 0.0
    prompt_tokens: int = 100
    completion_tokens: int | None = None
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    tool_call: bool = False
    gzip: bool = False
    breaks_after: int | None = None
    usage_nulls: bool = False
    usage_in_last: bool = False
    text: str | None = None

    @property
    def output_tokens(self) -> int:
        """Completion tokens, reasoning included."""
        return self.chunks + self.reasoning_tokens if self.completion_tokens is None else self.completion_tokens


@dataclass(slots=True)
class Served:
    """What the server did for one request; times are of `time.perf_counter`."""

    request: dict[str, Any]
    reply: Reply
    headers: dict[str, str]
    received_at: float
    body_bytes: int
    first_chunk_at: float | None = None
    first_token_at: float | None = None
    sent: bytearray = field(default_factory=bytearray)


Plan = Callable[[dict[str, Any], int], Reply]


class LocalLLM:
    """The server; a context manager. `plan(request, number)` says how the request of this number, from 0, is answered.

    `url` is the base URL for a client, `netloc` its host and port, `served` what it has done so far.
    """

    def __init__(self, plan: Plan | None = None, *, seed: int = 0) -> None:
        self.plan: Plan = plan or _plain
        self.seed = seed
        self.served: list[Served] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.llm = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def netloc(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.netloc}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve(self, request: dict[str, Any], headers: dict[str, str], body_bytes: int) -> tuple[Served, int]:
        """Note a request that has arrived and choose its reply."""
        arrived = time.perf_counter()
        with self._lock:
            number = len(self.served)
            served = Served(request, self.plan(request, number), headers, arrived, body_bytes)
            self.served.append(served)
        return served, number


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    llm: LocalLLM

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Keep quiet."""

    def do_GET(self) -> None:
        self._send(404, _error("not_found_error", "no such route"))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.partition("?")[0].endswith(PATH):
            self._send(404, _error("not_found_error", "no such route"))
            return
        try:
            request = json.loads(body)
        except ValueError:
            self._send(400, _error("invalid_request_error", "the body is not JSON"))
            return
        headers = {key.lower(): value for key, value in self.headers.items()}
        served, number = self.server.llm.serve(request, headers, len(body))
        reply = served.reply
        time.sleep(reply.start_s)
        if reply.status != 200:
            body = _error(reply.error_type, reply.error_message)
            self._send(reply.status, body, number=number, retry_after_s=reply.retry_after_s)
        elif request.get("stream"):
            self._stream(served, number)
        else:
            time.sleep(reply.first_token_s + reply.chunk_s * max(0, reply.chunks - 1))
            whole = _whole(request, reply, self.server.llm.seed, number)
            served.sent += whole
            self._send(200, whole, number=number, compress=reply.gzip and _takes_gzip(served))

    def _send(
        self,
        status: int,
        body: bytes,
        *,
        number: int = 0,
        compress: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        self.send_response(status)
        if compress:
            body = gzip.compress(body, mtime=0)
            self.send_header("Content-Encoding", "gzip")
        if retry_after_s is not None:
            self.send_header("Retry-After", f"{retry_after_s:g}")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Request-Id", f"req_{self.server.llm.seed}_{number}")
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, served: Served, number: int) -> None:
        reply = served.reply
        squeeze = (
            gzip.GzipFile(fileobj=(packed := _Packed()), mode="wb", mtime=0)
            if reply.gzip and _takes_gzip(served)
            else None
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("X-Request-Id", f"req_{self.server.llm.seed}_{number}")
        if squeeze:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        for index, (kind, event) in enumerate(_events(served.request, reply, self.server.llm.seed, number)):
            if reply.breaks_after is not None and index >= reply.breaks_after:
                self.close_connection = True
                return  # without the last chunk of the transfer encoding: a broken body
            if kind == "text":
                time.sleep(reply.first_token_s if served.first_token_at is None else reply.chunk_s)
            now = time.perf_counter()
            if served.first_chunk_at is None:
                served.first_chunk_at = now
            if kind == "text" and served.first_token_at is None:
                served.first_token_at = now
            served.sent += event
            if squeeze:
                squeeze.write(event)
                squeeze.flush()
            self._chunk(packed.take() if squeeze else event)
        if squeeze:
            squeeze.close()
            self._chunk(packed.take())
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


class _Packed:
    """A file that hands out what was written to it since it was last asked."""

    def __init__(self) -> None:
        self._data = b""

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    def take(self) -> bytes:
        data, self._data = self._data, b""
        return data


def _takes_gzip(served: Served) -> bool:
    return "gzip" in served.headers.get("accept-encoding", "")


def _plain(request: dict[str, Any], number: int) -> Reply:  # noqa: ARG001 - a plan is given both
    return Reply()


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": None}}).encode()


def _usage(reply: Reply) -> dict[str, Any]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.prompt_tokens + reply.output_tokens,
        "prompt_tokens_details": {"cached_tokens": reply.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reply.reasoning_tokens, "audio_tokens": 0},
    }


def _words(reply: Reply, seed: int, number: int) -> list[str]:
    if reply.text is not None:
        return [reply.text, *[""] * (reply.chunks - 1)]
    chosen = random.Random(f"{seed}/{number}")  # noqa: S311 - words, not secrets
    return [chosen.choice(WORDS) + " " for _ in range(reply.chunks)]


def _head(request: dict[str, Any], seed: int, number: int, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{seed}-{number}",
        "object": kind,
        "created": CREATED + number,
        "model": request.get("model"),
        "service_tier": "default",
    }


def _tool_call(arguments: str) -> dict[str, Any]:
    return {"index": 0, "id": "call_0", "type": "function", "function": {"name": "look_up", "arguments": arguments}}


def _whole(request: dict[str, Any], reply: Reply, seed: int, number: int) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(_words(reply, seed, number)), "refusal": None}
    if reply.tool_call:
        message |= {"content": None, "tool_calls": [_tool_call("{}")]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if reply.tool_call else "stop"}
    body = _head(request, seed, number, "chat.completion") | {"choices": [choice], "usage": _usage(reply)}
    return json.dumps(body).encode()


def _events(request: dict[str, Any], reply: Reply, seed: int, number: int) -> Iterator[tuple[str, bytes]]:
    """The events of a stream, each with its kind: role, text (a token of any sort), finish, usage or done."""
    head = _head(request, seed, number, "chat.completion.chunk")
    asked = bool((request.get("stream_options") or {}).get("include_usage"))
    nulls = {"usage": None} if asked and reply.usage_nulls else {}

    def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event(head | {"choices": [choice]} | nulls | more)

    yield "role", event({"role": "assistant", "content": "", "refusal": None})
    for _ in range(min(reply.reasoning_tokens, 3)):
        yield "text", event({"reasoning_content": "hm "})
    for word in _words(reply, seed, number):
        yield "text", event({"tool_calls": [_tool_call(word)]} if reply.tool_call else {"content": word})
    usage = {"usage": _usage(reply)}
    yield "finish", event({}, "tool_calls" if reply.tool_call else "stop", **(usage if reply.usage_in_last else {}))
    if asked and not reply.usage_in_last:
        yield "usage", _event(head | {"choices": []} | usage)
    yield "done", b"data: [DONE]\n\n"


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"
