"""Too much at once: the sender is told to come back, and what is under way goes on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import httpx2
import pytest

from collectors.web.admission import LEAST_BYTES, Admission
from collectors.web.refusal import Refusal
from store.settings import Settings
from tests.collectors.otlp.exports import PROTOBUF, encoded, span, traces
from tests.fix_otlp import Receiver
from tests.fix_prometheus import wait_until


def test_there_is_room_for_so_much() -> None:
    admission = Admission(3 * LEAST_BYTES)
    with admission.admitted(2 * LEAST_BYTES):
        with admission.admitted(1):  # which takes more than it says
            assert admission.in_flight == 3 * LEAST_BYTES
            with pytest.raises(Refusal) as refused, admission.admitted(1):
                pass
            assert (refused.value.status, refused.value.reason) == (503, "overload")
        with admission.admitted(1):
            pass
    assert admission.in_flight == 0


def test_it_is_closed_before_the_end() -> None:
    admission = Admission(LEAST_BYTES)
    admission.open = False
    with pytest.raises(Refusal) as refused, admission.admitted(1):
        pass
    assert refused.value.reason == "stopping"


def test_a_second_large_request_has_to_wait(store: Settings, tmp_path: Path) -> None:
    given = {"spool": tmp_path / "spool", "otlp_body_mb": 1, "otlp_in_flight_mb": 1}
    receiver = Receiver(store.model_copy(update=given))
    body, goes_on = encoded(traces(span()), PROTOBUF), Event()

    def slowly() -> Iterator[bytes]:
        yield body[:10]
        goes_on.wait(30)
        yield body[10:]

    def send() -> httpx2.Response:
        with httpx2.Client(base_url=receiver.url, trust_env=False, timeout=60) as client:
            return client.post("/v1/traces", content=slowly(), headers={"content-type": PROTOBUF})

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(send)
        wait_until(lambda: receiver.value("llm_otlp_in_flight_bytes") > 0)
        refused = receiver.post("traces", body)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        goes_on.set()
        assert first.result().status_code == 200
    assert receiver.post("traces", traces(span())).status_code == 200
    assert receiver.value("llm_otlp_refused_total", reason="overload") == 1
    assert len(receiver.rows()) == 2
