"""What nobody sends by accident: refused with 4xx, counted, and the next request is answered."""

from __future__ import annotations

import gzip
import json
import random
import time
import zlib

import pytest
from prometheus_client import CollectorRegistry

from collectors.llm.attribution import Owner
from collectors.otlp.intake import Export, Intake
from collectors.otlp.metrics import Metrics
from collectors.web.body import decoded
from collectors.web.keep import Keeper
from collectors.web.refusal import Refusal
from store.settings import Settings
from tests.collectors.otlp.exports import CALL, JSON, PROTOBUF, encoded, span, traces
from tests.collectors.otlp.mutate import broken, seeds
from tests.fix_otlp import Receiver
from tests.store.tallies import Told

GOOD = traces(span())
FUZZ_S = 2.0


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field of protobuf."""
    length, size = b"", len(payload)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + payload


def in_a_span(payload: bytes) -> bytes:
    return field(1, field(2, field(2, payload)))


def nested_value(depth: int) -> bytes:
    value = b""
    for _ in range(depth):
        value = field(5, field(1, value))
    return in_a_span(field(9, field(1, b"gen_ai.request.model") + field(2, value)))


def nested_json(depth: int) -> bytes:
    value = '{"arrayValue":{"values":[' * depth + "]}}" * depth
    pair = '{"key":"gen_ai.request.model","value":' + value + "}"
    return f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"attributes":[{pair}]}}]}}]}}]}}'.encode()


def with_bad_text() -> bytes:
    good = encoded(GOOD, PROTOBUF)
    return good.replace(b"gpt-4o", b"gpt\xff4o")


MALFORMED = {
    "cut off": (encoded(GOOD, PROTOBUF)[:-5], PROTOBUF),
    "cut off JSON": (encoded(GOOD, JSON)[:-5], JSON),
    "bad UTF-8": (with_bad_text(), PROTOBUF),
    "bad UTF-8 in JSON": (encoded(GOOD, JSON).replace(b"gpt-4o", b"gpt\xff4o"), JSON),
    "half a character": (encoded(GOOD, JSON).replace(b"gpt-4o", b"\\ud800"), JSON),
    "deep JSON": (nested_json(100), JSON),
    "very deep JSON": (b"[" * 10**5, JSON),
    "a list": (b"[]", JSON),
    "a number": (b"9" * 5_000, JSON),
    "NaN": (b'{"resourceSpans": NaN}', JSON),
    "no list": (b'{"resourceSpans": 7}', JSON),
    "nulls": (b'{"resourceSpans": [null]}', JSON),
    "ids": (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}', JSON),
    "times": (b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"-1"}]}]}]}', JSON),
    "integers": (encoded(GOOD, JSON).replace(b'"1000"', b'"1' + b"0" * 400 + b'"'), JSON),
    "floats": (
        encoded(traces(span({**CALL, "gen_ai.server.time_to_first_token": 1.5})), JSON).replace(
            b"1.5", b"1" + b"0" * 400
        ),
        JSON,
    ),
    "the wrong kind": (encoded(GOOD, JSON), PROTOBUF),
    "the other wrong kind": (encoded(GOOD, PROTOBUF), JSON),
    "negative tokens": (encoded(traces(span({**CALL, "gen_ai.usage.input_tokens": -1})), PROTOBUF), PROTOBUF),
    "NaN seconds": (encoded(traces(span({**CALL, "gen_ai.server.time_to_first_token": float("nan")})), JSON), JSON),
    "the year 1970": (encoded(traces(span(start_ns=1)), PROTOBUF), PROTOBUF),
    "the year 2554": (encoded(traces(span(start_ns=2**64 - 2 * 10**9)), PROTOBUF), PROTOBUF),
}
HARMLESS = {
    "deep values": (nested_value(1_000), PROTOBUF),
    "deep groups": (b"\x0b" * 50, PROTOBUF),
    "a huge attribute": (encoded(traces(span({**CALL, "gen_ai.prompt": "x" * 10**6})), PROTOBUF), PROTOBUF),
    "a huge name": (encoded(traces(span(CALL, name="x" * 10**6)), JSON), JSON),
    "a huge model": (encoded(traces(span({**CALL, "gen_ai.request.model": "m\0" * 10**6})), PROTOBUF), PROTOBUF),
    "many attributes": (encoded(traces(span({**CALL, **{f"a{n}": n for n in range(50_000)}})), PROTOBUF), PROTOBUF),
}
TOO_MUCH = {
    "resources": (b"\x0a\x00" * 10**6, PROTOBUF),
    "spans": (field(1, field(2, b"\x12\x00" * 10**6)), PROTOBUF),
    "scopes": (field(1, b"\x12\x00" * 10**6), PROTOBUF),
    "JSON objects": (b'{"resourceSpans":[' + b"{}," * 10**6 + b"{}]}", JSON),
}


def test_everything_hostile_over_http(receiver: Receiver) -> None:
    for what, (body, kind) in MALFORMED.items():
        assert receiver.post("traces", body, kind).status_code == 400, what
    for what, (body, kind) in TOO_MUCH.items():
        assert receiver.post("traces", body, kind).status_code == 413, what
    for what, (body, kind) in HARMLESS.items():
        assert receiver.post("traces", body, kind).status_code in (200, 400), what
    for bomb in (gzip.compress(bytes(2 * 10**7)), zlib.compress(b" " * 2 * 10**7)):
        encoding = "gzip" if bomb[0] == 0x1F else "deflate"
        assert receiver.post("traces", bomb, JSON, **{"content-encoding": encoding}).status_code == 413
    assert receiver.post("traces", GOOD).status_code == 200
    refused = sum(
        receiver.value("llm_otlp_refused_total", reason=reason)
        for reason in ("malformed", "too_many", "too_large", "unusable")
    )
    assert refused >= len(MALFORMED) + len(TOO_MUCH) + 2
    assert receiver.value("llm_otlp_failures_total") == 0
    kept = receiver.rows()
    assert all(len(row["model"]) <= 200 for row in kept)


@pytest.mark.parametrize("size", [10**6, 3 * 10**7])
def test_a_bomb_is_not_blown_up(size: int) -> None:
    bomb = gzip.compress(bytes(size))
    began = time.perf_counter()
    if size > 1 << 20:
        with pytest.raises(Refusal) as refused:
            decoded(bomb, "gzip", 1 << 30)
        assert refused.value.status == 413
    else:
        assert len(decoded(bomb, "gzip", 1 << 30)) == size
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize("damage", ["cut", "flipped", "followed", "plain"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_damaged_compression(encoding: str, damage: str) -> None:
    plain = json.dumps([{"n": n} for n in range(1_000)]).encode()
    packed = gzip.compress(plain) if encoding == "gzip" else zlib.compress(plain)
    sent = {
        "cut": packed[:-9],
        "flipped": packed[:50] + bytes([packed[50] ^ 255]) + packed[51:],
        "followed": packed + b"more",
        "plain": plain,
    }[damage]
    with pytest.raises(Refusal) as refused:
        decoded(sent, encoding, 1 << 20)
    assert refused.value.status == 400


def test_fuzz(store: Settings) -> None:
    """Whatever comes is answered or refused; the drill does this for ten minutes over HTTP."""
    told = Told()
    keeper = Keeper(store, told, "otlp")
    intake = Intake(keeper, Metrics(CollectorRegistry()), owner=Owner(), limit=1 << 20)
    rng = random.Random(4)
    start = seeds()
    until = time.monotonic() + FUZZ_S
    statuses: dict[int, int] = {}
    while time.monotonic() < until:
        sent = broken(rng, start)
        if sent.content_type not in (PROTOBUF, JSON):
            continue
        try:
            status = intake.take(Export(sent.signal, sent.content_type, sent.encoding, sent.body)).status
        except Refusal as refusal:
            status = refusal.status
        statuses[status] = statuses.get(status, 0) + 1
    assert set(statuses) <= {200, 400, 413, 415}
    assert statuses[200] > 50
    assert statuses[400] > 50
    assert keeper.flush(30)
    keeper.close()
    assert told["rejected"] == told["dropped disk"] == 0
