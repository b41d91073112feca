"""Ten minutes of broken OTLP against the receiver as a process: it answers each, keeps its memory, and stays."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from pathlib import Path

import httpx2
import pytest

from store.settings import Settings
from tests.collectors.otlp.exports import PROTOBUF, encoded, span, traces
from tests.collectors.otlp.mutate import Broken, broken, seeds
from tests.collectors.otlp.test_stop import Program, program

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(1800),
]

FUZZ_S = float(os.environ.get("GAUGEBOOK_TEST_FUZZ_S", "600"))
SENDERS = 3
MOST_RSS = 400 << 20
ANSWERS = {200, 400, 413, 415, 503}


def test_ten_minutes(store: Settings, tmp_path: Path, recordings: Path) -> None:
    start = seeds(
        *(
            (signal, kind, (recordings / f"{signal}{ending}").read_bytes())
            for signal in ("traces", "metrics")
            for ending, kind in ((".pb", PROTOBUF), (".json", "application/json"))
        )
    )
    statuses: Counter[int] = Counter()
    slowest: list[float] = []
    errors: list[str] = []
    with program(store, tmp_path) as running:
        until = time.monotonic() + FUZZ_S
        senders = [
            threading.Thread(target=_send, args=(running, seed, start, until, statuses, slowest, errors))
            for seed in range(SENDERS)
        ]
        for sender in senders:
            sender.start()
        rss = 0
        while any(sender.is_alive() for sender in senders):
            rss = max(rss, _rss(running))
            time.sleep(0.5)
        assert running.post(encoded(traces(span()), PROTOBUF)).status_code == 200
        running.process.terminate()
        assert running.process.wait(60) == 0
    print(f"{statuses.total():,} requests: {dict(statuses)}; most memory {rss >> 20} MB; slowest {max(slowest):.2f} s")
    assert not errors, errors[:3]
    assert set(statuses) <= ANSWERS
    assert statuses[200] > 100
    assert rss < MOST_RSS
    heard = running.log.read_text()
    assert "Traceback" not in heard
    assert "refused" not in heard  # a row that the database does not take should have been refused at the door


def _send(
    running: Program,
    seed: int,
    start: list[Broken],
    until: float,
    statuses: Counter[int],
    slowest: list[float],
    errors: list[str],
) -> None:
    rng = random.Random(seed)
    worst = 0.0
    with httpx2.Client(base_url=running.client.base_url, trust_env=False, timeout=60) as client:
        while time.monotonic() < until and not errors:
            sent = broken(rng, start)
            headers = {"content-type": sent.content_type, "content-encoding": sent.encoding}
            headers = {name: value for name, value in headers.items() if value}
            began = time.monotonic()
            try:
                answer = client.post(f"/v1/{sent.signal}", content=sent.body, headers=headers)
            except httpx2.TransportError as error:
                errors.append(f"{error!r} for {sent.body[:200]!r}")
                break
            worst = max(worst, time.monotonic() - began)
            statuses[answer.status_code] += 1
            if answer.status_code not in ANSWERS:
                errors.append(f"{answer.status_code} for {sent}")
    slowest.append(worst)


def _rss(running: Program) -> int:
    pages = int(Path(f"/proc/{running.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
