"""The OTLP receiver on one core: spans/s, and its memory when ten times as much comes.

    python benchmarks/otlp.py [--spans N] [--batch N] [--json FILE]

Spans are like those that instrumentations send: 20 attributes and the messages, 2.8 kB each. The receiver is bound to
one core, senders and database have the other. Its peer is the decoding alone: the official messages, every attribute
read. Under overload 24 senders send 8 MB with each batch and do not wait as they are told to.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import httpx2
import psycopg
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.parts.figures import Figure, back_ends, save, show
from store.settings import Settings
from tests.collectors.otlp.exports import CALL, PROTOBUF, span, traces
from tests.servers import free_port

REACH = 5_000.0  # spans/s on one core
MOST_MB = 400.0
OVERLOAD_S = 10.0
OVERLOAD_SENDERS = 24
WARM_UP = 10
SERVER_CORE, OTHER_CORES = {0}, set(range(1, os.cpu_count() or 1)) or {0}
TEXT = "Recursion is a function that calls itself until there is nothing left to do. " * 8
ATTRIBUTES = {
    **CALL,
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.total_tokens": 1300,
    "gen_ai.usage.cache_read.input_tokens": 400,
    "gen_ai.usage.reasoning.output_tokens": 50,
    "gen_ai.request.max_tokens": 1024,
    "gen_ai.request.temperature": 0.7,
    "gen_ai.is_streaming": True,
    "gen_ai.openai.api_base": "https://api.openai.com/v1/",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.openai.response.system_fingerprint": "fp_2b778c6b35",
    "gen_ai.conversation.id": "c0ffee",
    "gen_ai.input.messages": TEXT,
    "gen_ai.system_instructions": TEXT,
    "gen_ai.output.messages": TEXT,
    "user.id": "u-1",
}


class Sent:
    """Bodies that differ in the ids of their spans alone, made without a decoder in the way."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        spans = [span({**ATTRIBUTES, "gen_ai.response.id": f"chatcmpl-{n:012}"}) for n in range(batch)]
        for n, each in enumerate(spans):
            each.span_id = b"%08d" % n
        self.body = traces(*spans).SerializeToString()
        self._lock = threading.Lock()
        self._next = 0

    def next(self) -> bytes:
        with self._lock:
            number, self._next = self._next, self._next + 1
        return self.body.replace(b"chatcmpl-000000", b"chatcmpl-%06d" % number)


def main() -> None:
    """Measure, show and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=100, help="spans of one request")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.sched_setaffinity(0, OTHER_CORES)
    with back_ends() as found:
        figures = measure(found["plain"], options.spans, options.batch)
    show(figures)
    if options.json:
        save(figures, options.json)


def measure(settings: Settings, spans: int, batch: int) -> list[Figure]:
    """Spans/s that are answered with 200, and the memory under ten times that."""
    sent = Sent(batch)
    decoded = _decoding_alone(sent)
    with tempfile.TemporaryDirectory() as spool:
        process, url = _start(settings, Path(spool))
        try:
            _send(url, sent, requests=WARM_UP)  # the catalogue of prices is read with the first
            began, cpu = time.perf_counter(), _cpu_s(process)
            _send(url, sent, requests=spans // batch)
            took_s, cpu_s = time.perf_counter() - began, _cpu_s(process) - cpu
            answered = spans // batch * batch
            calm_mb = _peak_mb(process)
            statuses = _overload(url, sent)
            peak_mb = _peak_mb(process)
            healthy = httpx2.get(f"{url}/healthz", trust_env=False).status_code == 200
        finally:
            process.terminate()
            code = process.wait(120)
    assert healthy
    assert code == 0
    taken = (statuses[200] + WARM_UP) * batch
    with psycopg.connect(settings.dsn.get_secret_value()) as connection:
        (kept,) = connection.execute("SELECT count(*) FROM metrics.llm_requests").fetchone()
    print(
        f"{answered / cpu_s:,.0f} spans per second of CPU; {calm_mb:.0f} MB; overload: {dict(statuses)}, "
        f"{statuses[200] * batch / OVERLOAD_S:,.0f} spans/s taken; {kept:,} rows kept of {answered + taken:,} taken"
    )
    assert kept == answered + taken
    rate = answered / took_s
    return [
        Figure("OTLP spans received, one core", "spans/s", rate, {"decoding alone": decoded}, REACH, rate / REACH, 1.0),
        Figure(
            "OTLP receiver's memory under overload", "MB", peak_mb, {}, MOST_MB, peak_mb / MOST_MB, 1.0, at_most=True
        ),
    ]


def _start(settings: Settings, spool: Path) -> tuple[subprocess.Popen[bytes], str]:
    port = free_port()
    given = {
        "DSN": settings.dsn.get_secret_value() if settings.dsn else "",
        "SPOOL": spool,
        "SPOOL_MB": 4096,
        "OTLP_PORT": port,
        "METRICS_PORT": 0,
    }
    environment = os.environ | {f"GAUGEBOOK_{key}": str(value) for key, value in given.items()}
    command = [sys.executable, "-m", "pipelines.cli", "collect", "otlp"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    os.sched_setaffinity(process.pid, SERVER_CORE)
    url = f"http://127.0.0.1:{port}"
    while True:
        try:
            httpx2.get(f"{url}/healthz", trust_env=False)
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return process, url


def _post(client: httpx2.Client, body: bytes) -> int:
    return client.post("/v1/traces", content=body, headers={"content-type": PROTOBUF}).status_code


def _send(url: str, sent: Sent, *, requests: int) -> None:
    """Two senders in turn, each waiting for its answers: the receiver always has a request to work on."""
    left = iter(range(requests))

    def run() -> None:
        with httpx2.Client(base_url=url, trust_env=False, timeout=60) as client:
            for _ in left:
                assert _post(client, sent.next()) == 200

    _in_threads(run, 2)


def _overload(url: str, sent: Sent) -> Counter[int]:
    """Many senders that never wait: 10 MB each, and no heed of Retry-After."""
    statuses: Counter[int] = Counter()
    until = time.monotonic() + OVERLOAD_S
    ballast = b"\x7a" + _varint(8 << 20) + bytes(8 << 20)  # field 15, which nobody reads

    def run() -> None:
        with httpx2.Client(base_url=url, trust_env=False, timeout=60) as client:
            while time.monotonic() < until:
                try:
                    statuses[_post(client, sent.next() + ballast)] += 1
                except httpx2.TransportError:
                    statuses[0] += 1

    _in_threads(run, OVERLOAD_SENDERS)
    return statuses


def _in_threads(run: object, count: int) -> None:
    threads = [threading.Thread(target=run) for _ in range(count)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _decoding_alone(sent: Sent) -> float:
    """Spans/s of the official decoder, with a look at every attribute; no HTTP, no rows, no disk."""
    rounds, spans = 20, 0
    began = time.perf_counter()
    for _ in range(rounds):
        request = ExportTraceServiceRequest.FromString(sent.next())
        for each in request.resource_spans[0].scope_spans[0].spans:
            {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in each.attributes}
            spans += 1
    return spans / (time.perf_counter() - began)


def _varint(number: int) -> bytes:
    written = b""
    while number > 127:
        written += bytes([number & 127 | 128])
        number >>= 7
    return written + bytes([number])


def _cpu_s(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mb(process: subprocess.Popen[bytes]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
