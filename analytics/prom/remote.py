"""Asking for remote read: one answer in streamed chunks, or one in plain samples."""

from __future__ import annotations

from typing import Any

from analytics.prom.bounds import Bound
from analytics.prom.frames import Chunks, Frames
from analytics.prom.progress import Progress
from analytics.prom.selector import Selector
from analytics.prom.server import DENIED, Api, Busy, TooMuch
from analytics.prom.wire import SAMPLES, STREAMED_XOR_CHUNKS, Unreadable, damaged, read_varint, request
from store.errors import SourceError

STREAMED = "application/x-streamed-protobuf"
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "Accept-Encoding": "identity",
    "X-Prometheus-Remote-Read-Version": "0.1.0",
}


def ask_chunks(api: Api, selector: Selector, lo: int, hi: int, bound: Bound, bar: Progress) -> Chunks:
    """All chunks with samples from `lo` to `hi` (ms); those at the ends have others too.

    Raises:
        Unreadable: the server has no such answers.
        SourceError: it stays away, or a frame is damaged.
    """
    body = request(selector, lo, hi, STREAMED_XOR_CHUNKS)

    def read() -> Chunks:
        with api.post("read", body, HEADERS) as response:
            _check(api, response)
            if not response.headers.get("content-type", "").startswith(STREAMED):
                raise Unreadable("no streamed chunks")
            frames = Frames(api.where, bound, bar)
            for part in response.iter_raw():
                frames.take(part)
            return frames.finish()

    found: Chunks = api.patiently(read)
    return found


def ask_samples(api: Api, selector: Selector, lo: int, hi: int) -> bytes:
    """An answer in plain samples: a ReadResponse.

    Raises:
        Unreadable: the server has no remote read.
        TooMuch: these are more samples than it gives at once.
        SourceError: it stays away, or the answer is damaged.
    """
    body = request(selector, lo, hi, SAMPLES)

    def read() -> bytes:
        with api.post("read", body, HEADERS) as response:
            _check(api, response)
            return b"".join(response.iter_raw())

    packed = api.patiently(read)
    if not packed:
        return b""
    import pyarrow as pa  # 0.15 s to load, and chunks need it not

    try:
        size, _ = read_varint(packed, 0)
        unpacked: bytes = pa.decompress(packed, decompressed_size=size, codec="snappy", asbytes=True)
    except (OSError, ValueError, MemoryError, OverflowError) as error:
        raise damaged(api.where, f"the answer cannot be unpacked: {error}") from None
    return unpacked


def _check(api: Api, response: Any) -> None:
    status = response.status_code
    if 400 <= status < 500 and status not in DENIED and status not in (408, 429):
        said = response.read()[:500].decode(errors="replace")
        if "exceeded sample limit" in said:
            raise TooMuch(said)
        raise Unreadable(f"status {status}: {said}")
    try:
        api.refuse(response, "read")
    except Busy:
        raise
    except SourceError as error:
        if error.kind == "denied":
            raise
        raise Unreadable(str(error)) from error
