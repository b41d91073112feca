"""Running a source: at its interval, through failures, until it is told to stop."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from collectors.exposition import Health
from collectors.runner import backoff_s, run, until_signalled
from collectors.sink import Batch
from store.errors import SourceError

INTERVAL_S = 0.1
ONE = Batch("t", ("ts",), [(1,)])


class Recorder:
    """A source and a sink in one: remembers when it was asked and what it was given."""

    def __init__(self, stop: threading.Event, samples: int, *, busy_s: float = 0.0, away: Sequence[int] = ()) -> None:
        self.stop, self.samples, self.busy_s, self.away = stop, samples, busy_s, away
        self.asked: list[float] = []
        self.given: list[Batch] = []
        self.closed = False

    def collect(self) -> list[Batch]:
        self.asked.append(time.monotonic())
        if len(self.asked) == self.samples:
            self.stop.set()
        time.sleep(self.busy_s)
        if len(self.asked) in self.away:
            raise SourceError("here", "away")
        return [ONE]

    def write(self, *batches: Batch) -> None:
        self.given.extend(batches)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def counted(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(f"gaugebook_collector_{name}", {"collector": "t"})


def test_samples_do_not_drift(registry: CollectorRegistry) -> None:
    stop = threading.Event()
    source = Recorder(stop, 8, busy_s=INTERVAL_S / 2)
    run(source, source, Health("t", registry), stop, interval_s=INTERVAL_S)
    offsets = [asked - source.asked[0] - slot * INTERVAL_S for slot, asked in enumerate(source.asked)]
    # A loop that sleeps a whole interval after each sample would be half an interval later every time: 0.35 s in all.
    assert max(offsets) < 0.2 or counted(registry, "missed_total") > 0
    assert source.given == [ONE] * 8
    assert source.closed


def test_overrun_samples_are_left_out_and_counted(registry: CollectorRegistry) -> None:
    stop = threading.Event()
    source = Recorder(stop, 3, busy_s=INTERVAL_S * 2.5)
    run(source, source, Health("t", registry), stop, interval_s=INTERVAL_S)
    assert counted(registry, "missed_total") >= 6
    assert source.asked[1] - source.asked[0] >= INTERVAL_S * 2.9


def test_a_source_that_is_away_is_asked_less_often_and_again_when_it_is_back(registry: CollectorRegistry) -> None:
    stop = threading.Event()
    source = Recorder(stop, 6, away=(1, 2, 3))
    run(source, source, Health("t", registry), stop, interval_s=INTERVAL_S)
    gaps = [after - before for before, after in zip(source.asked, source.asked[1:], strict=False)]
    assert gaps[1] > INTERVAL_S * 1.5
    assert gaps[2] > INTERVAL_S * 3.5
    assert gaps[3] < gaps[2] / 2
    assert len(source.given) == 3
    assert counted(registry, "errors_total") == 3
    assert counted(registry, "last_success_timestamp_seconds") == pytest.approx(time.time(), abs=5)


def test_backoff_has_a_ceiling() -> None:
    assert backoff_s(1, 10**6) == 60
    assert backoff_s(300, 5) == 300


def test_the_refresh_neither_stops_nor_delays(registry: CollectorRegistry, caplog: pytest.LogCaptureFixture) -> None:
    stop = threading.Event()
    source = Recorder(stop, 5)
    calls: list[float] = []

    def refresh() -> None:
        calls.append(time.monotonic())
        time.sleep(INTERVAL_S * 2)
        raise RuntimeError("no")

    run(source, source, Health("t", registry), stop, interval_s=INTERVAL_S, refresh=refresh, refresh_every_s=0.01)
    assert 2 <= len(calls) <= 4
    assert calls[-1] > source.asked[-1]
    assert source.asked[-1] - source.asked[0] < INTERVAL_S * 12
    assert "refresh failed: no" in caplog.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_and_the_former_handler_comes_back(number: signal.Signals) -> None:
    former = signal.getsignal(number)
    with until_signalled() as stop:
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) is former
