"""Feeds a reader, and puts together what it is fed."""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zlib import crc32

from collectors.llm.formats import find
from collectors.llm.formats.base import Answer, Asked, Format

SSE = "text/event-stream"
JSON = "application/json"
BINARY = "application/vnd.amazon.eventstream"
NDJSON = "application/x-ndjson"


def read(
    form: Format,
    pieces: Iterable[bytes],
    kind: str = SSE,
    *,
    streamed: bool = True,
    hide_usage: bool = False,
    **more: str,
) -> tuple[Answer, bytes]:
    """What is read of a body that comes in these pieces, and what is shown of it; the clock counts the pieces from 1."""
    headers = {"content-type": kind, **{name.replace("_", "-"): value for name, value in more.items()}}
    reader = form.reader(headers=headers, asked=Asked(streamed=streamed), hide_usage=hide_usage)
    shown, at = b"", 0.0
    for piece in pieces:
        at += 1.0
        shown += reader.feed(piece, at)
    shown += reader.rest(at + 1.0)
    return reader.answer, shown


def read_body(form: Format, body: object, **more: str) -> Answer:
    """What is read of an answer that was not streamed."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer, shown = read(form, [text], JSON, streamed=False, **more)
    assert shown == text
    return answer


def times(answer: Answer) -> tuple[float | None, ...]:
    """First chunk, first token, last token."""
    return answer.first_chunk_at, answer.first_token_at, answer.last_token_at


def untimed(answer: Answer) -> Answer:
    """What may not depend on how a stream was cut."""
    return replace(answer, first_chunk_at=None, first_token_at=None, last_token_at=None)


def cut(stream: bytes, sizes: list[int]) -> list[bytes]:
    """`stream` in pieces of these sizes, over and over."""
    pieces, at, turn = [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        pieces.append(stream[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


def compact(value: object) -> bytes:
    """JSON as most servers write it."""
    return json.dumps(value, separators=(",", ":")).encode()


def sse(*told: Any, named: bool = False, spaced: bool = False) -> list[bytes]:
    """Server-sent events; `named`: with their type as the name of the event."""
    events = []
    for each in told:
        data = each if isinstance(each, bytes) else json.dumps(each).encode() if spaced else compact(each)
        head = f"event: {each['type']}\n".encode() if named and isinstance(each, dict) else b""
        events.append(head + b"data: " + data + b"\n\n")
    return events


def frame(payload: object, headers: dict[str, str]) -> bytes:
    """A message of AWS's event stream."""
    body = payload if isinstance(payload, bytes) else compact(payload)
    named = b"".join(
        bytes([len(name)]) + name.encode() + struct.pack(">BH", 7, len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", len(named) + len(body) + 16, len(named))
    message = prelude + struct.pack(">I", crc32(prelude)) + named + body
    return message + struct.pack(">I", crc32(message))


def aws(kind: str, payload: object) -> bytes:
    """An event of AWS's event stream."""
    return frame(payload, {":event-type": kind, ":content-type": JSON, ":message-type": "event"})


@dataclass(frozen=True)
class Recording:
    """A stream that was recorded from a provider."""

    file: str
    host: str
    url: str
    kind: str
    body: bytes

    @property
    def form(self) -> Format | None:
        split = urlsplit(self.url)
        return find(split.hostname or "", split.path)


def recordings(data_folder: Path) -> Iterator[Recording]:
    """All recorded streams."""
    folder = data_folder / "llm_streams"
    with (folder / "index.csv").open(newline="") as index:
        for row in csv.DictReader(index):
            yield Recording(row["file"], row["host"], row["url"], row["ctype"], (folder / row["file"]).read_bytes())
