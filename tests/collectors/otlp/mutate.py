"""Bodies that somebody has broken: cut, flipped, repeated, mixed, nested, and lengths that lie."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from tests.collectors.otlp.exports import CALL, JSON, PROTOBUF, encoded, event, logs, metrics, span, traces

SIGNALS = ("traces", "metrics", "logs")
LARGEST = 1 << 18
# What has broken parsers before: ends of ranges, half characters, deep and empty things.
SCRAPS = (
    b"\xff" * 10,
    b"\x00",
    b"\xed\xa0\x80",
    b"\x0a\x00" * 300,
    b"[" * 500,
    b'{"a":' * 500,
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b'"\\ud800"',
    b"18446744073709551616",
    b"-9223372036854775809",
    b"9" * 400,
    b"\x4a\x02\x2a\x00" * 50,
)


@dataclass(frozen=True)
class Broken:
    """One request as a fuzzer sends it."""

    signal: str
    content_type: str
    encoding: str
    body: bytes


def seeds(*recorded: tuple[str, str, bytes]) -> list[Broken]:
    """Good requests to start from: `recorded` (signal, content type, body), and some of our own."""
    made = span({**CALL, "gen_ai.response.id": "chatcmpl-1", "gen_ai.response.finish_reasons": ["stop"]})
    made.events.add(name="exception", time_unix_nano=1).attributes.extend(made.attributes)
    ours = {"traces": traces(made, span(failed=True)), "logs": logs(event(CALL, of=made)), "metrics": metrics("a", "b")}
    return [
        *(Broken(signal, kind, "", body) for signal, kind, body in recorded),
        *(
            Broken(signal, kind, "", encoded(request, kind))
            for signal, request in ours.items()
            for kind in (PROTOBUF, JSON)
        ),
    ]


def broken(rng: random.Random, start: Sequence[Broken]) -> Broken:
    """One of `start`, broken in up to eight places, and at times compressed, damaged again or sent as something else."""
    given = rng.choice(start)
    body = bytearray(given.body[:LARGEST])
    for _ in range(rng.randint(0, 8)):
        _break(rng, body, rng.choice(start).body)
    signal = given.signal if rng.random() < 0.95 else rng.choice(SIGNALS)
    content_type = given.content_type if rng.random() < 0.95 else rng.choice([PROTOBUF, JSON, "text/plain", ""])
    sent, encoding = bytes(body[: 2 * LARGEST]), ""
    match rng.randint(0, 9):
        case 0:
            sent, encoding = gzip.compress(sent, 1), "gzip"
        case 1:
            sent, encoding = zlib.compress(sent, 1), "deflate"
        case 2:
            packed = bytearray(gzip.compress(sent, 1))
            _break(rng, packed, b"")
            sent, encoding = bytes(packed), "gzip"
        case 3:
            encoding = rng.choice(["gzip", "deflate", "br", "identity", "zstd", "gzip, gzip"])
    return Broken(signal, content_type, encoding, sent)


def _break(rng: random.Random, body: bytearray, other: bytes) -> None:
    at, to = sorted((rng.randint(0, len(body)), rng.randint(0, len(body))))
    match rng.randint(0, 7):
        case 0:
            del body[at:]
        case 1:
            del body[at:to]
        case 2 if body:
            body[min(at, len(body) - 1)] ^= 1 << rng.randint(0, 7)
        case 3:
            body[at:at] = body[at : min(to, at + 4_096)] * rng.randint(1, 4)
        case 4:
            body[at:at] = rng.choice(SCRAPS)
        case 5:
            body[at : at + rng.randint(1, 12)] = rng.choice(SCRAPS)
        case 6 if other:
            begin = rng.randint(0, len(other))
            body[at:to] = other[begin : begin + rng.randint(0, 4_096)]
        case _:
            body[at:at] = rng.randbytes(rng.randint(1, 16))
