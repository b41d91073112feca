"""Faults, one after another, in all that an operator runs: who is told, of what, and after how many seconds?

docs/operations/faults.md has the table of a run and what the shipped times, which are longer, make of it.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.drill.live import QUEUE, Live, living
from tests.drill.workers import flood, purge
from tests.fix_prometheus import wait_until
from tests.store.faults import kill_server

WRITE_TO = "GAUGEBOOK_TEST_FAULTS"  # a file for the table, as JSON
QUIET_S, PATIENCE_S = 30.0, 150.0
SWITCH_S = 30.0  # of silence, after which the dead-man's switch calls
PAGE_S, SWITCHED_S = 30.0, 60.0

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(1800),
]


@dataclass(frozen=True)
class Fault:
    """What goes wrong, how it is mended, and who is to be told of what.

    `inject` may say from when on the fault was there, by the monotonic clock; else it is the moment before. `names` is
    in the page, or in the line of Slack. `after`: alerts besides its own that have to be over before.
    """

    name: str
    alert: str
    inject: Callable[[Live], object]
    repair: Callable[[Live], object]
    to: Literal["pagerduty", "slack", "deadman"] = "pagerduty"
    names: str = ""
    after: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What became of a fault; seconds of the monotonic clock."""

    fault: Fault
    began_s: float
    told_s: float | None = None
    key: str = ""
    repaired_s: float = 0.0
    resolved_s: float | None = None
    also: list[str] = field(default_factory=list)  # other pages meanwhile

    @property
    def took_s(self) -> float:
        return float("inf") if self.told_s is None else self.told_s - self.began_s

    @property
    def row(self) -> dict[str, object]:
        ended = None if self.resolved_s is None else round(self.resolved_s - self.repaired_s, 1)
        return {
            "fault": self.fault.name,
            "alert": self.fault.alert,
            "receiver": self.fault.to,
            "seconds to notified": None if self.told_s is None else round(self.took_s, 1),
            "seconds to resolved": ended,
            "other pages": self.also,
        }


def fill(live: Live) -> None:
    """The disk of the collector's spool is full."""
    if live.spool is None:
        pytest.skip("no file system can be mounted here")
    with suppress(OSError), (live.spool / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def provider_down(live: Live) -> None:
    """It dies while its calls come often, as they do when everybody tries again."""
    live.kill_server("anthropic")
    live.call("mail", 5)


def provider_up(live: Live) -> None:
    live.server_again("anthropic")
    live.call("mail")


def storm(live: Live) -> None:
    """Ten times what the consumer takes."""
    live.publisher.per_s = 200


def calm(live: Live) -> None:
    live.publisher.per_s = 2
    purge(live.broker, QUEUE)


def restart(live: Live) -> None:
    live.kill("prometheus")
    live.again("prometheus")


def empty(live: Live) -> None:
    assert live.spool is not None
    (live.spool / "ballast").unlink()


CUTS: list[Any] = []


def cut(live: Live) -> None:
    """Nothing passes between the collector and its broker."""
    for name in ("management", "plugin"):
        CUTS.append(live.ways[name].cut())
        CUTS[-1].__enter__()


def mend(_: Live) -> None:
    while CUTS:
        CUTS.pop().__exit__(None, None, None)


BROKER = ("RabbitMQDown",)  # while it fires nobody is told of queues
FAULTS = (
    Fault("broker killed", "RabbitMQDown", Live.kill_broker, Live.broker_again),
    Fault(
        "20 % of LLM calls fail",
        "LLMErrorBudgetBurn",
        lambda live: live.call("search", 15, fails=5),
        lambda live: live.call("search"),
        names="search",
    ),
    Fault("database killed", "StoreDown", lambda live: kill_server(live.store), lambda live: live.store.start()),
    Fault(
        "memory alarm",
        "RabbitMQMemoryAlarm",
        lambda live: live.broker.ctl("set_vm_memory_high_watermark", "0.0001"),
        lambda live: live.broker.ctl("set_vm_memory_high_watermark", "0.4"),
        after=BROKER,
    ),
    Fault(
        "OTLP receiver killed",
        "TargetDown",
        lambda live: live.kill("otlp"),
        lambda live: live.again("otlp"),
        names="gaugebook-otlp",
    ),
    Fault(
        "cost runs away",
        "HighLLMCosts",
        lambda live: live.call("research", 10, input_tokens=1_000_000),
        lambda live: live.call("research"),
        names="research",
    ),
    Fault(
        "disk alarm",
        "RabbitMQDiskAlarm",
        lambda live: live.broker.ctl("set_disk_free_limit", "900000GB"),
        lambda live: live.broker.ctl("set_disk_free_limit", "50MB"),
    ),
    Fault(
        "collector frozen",
        "RabbitMQDown",
        lambda live: live.freeze("collector"),
        lambda live: live.thaw("collector"),
    ),
    Fault(
        "LLM slow",
        "LLMFirstTokenBudgetBurn",
        lambda live: live.call("support", 8, text_s=3.2),
        lambda live: live.call("support"),
        names="gpt-4o",
    ),
    Fault(
        "queue flooded",
        "QueueDeep",
        lambda live: flood(live.broker, QUEUE, 110_000),
        lambda live: purge(live.broker, QUEUE),
        names=QUEUE,
        after=BROKER,
    ),
    Fault(
        "tick killed",
        "TargetDown",
        lambda live: live.kill("tick"),
        lambda live: live.again("tick"),
        names="gaugebook-tick",
    ),
    Fault("disk of the spool full", "RowsDropped", fill, empty, names="disk"),
    Fault(
        "consumers gone",
        "QueueNoConsumers",
        lambda live: live.consumer.off.set(),
        lambda live: live.consumer.off.clear(),
        to="slack",
        names="Nobody consumes",
        after=("QueueDeep", "QueueGrowing", *BROKER),
    ),
    Fault(
        "provider down",
        "LLMProviderFailing",
        provider_down,
        provider_up,
        names="anthropic",
    ),
    Fault(
        "certificate expired",
        "RabbitMQCertificateExpires",
        lambda live: live.certificate(days=0),
        lambda live: live.certificate(days=300),
        to="slack",
        names="A certificate of",
    ),
    Fault(
        "publisher storm",
        "QueueGrowing",
        storm,
        calm,
        to="slack",
        names=f"{QUEUE} grows",
        after=("QueueNoConsumers", *BROKER),
    ),
    Fault(
        "collector killed",
        "RabbitMQDown",
        lambda live: live.kill("collector"),
        lambda live: live.again("collector"),
    ),
    Fault(
        "program with the tap killed",
        "TargetDown",
        lambda live: live.kill("caller"),
        lambda live: live.again("caller"),
        to="slack",
        names="gaugebook-llm",
    ),
    Fault("network to the broker cut", "RabbitMQDown", cut, mend),
    Fault(
        "Prometheus restarted",
        "PrometheusRestarted",
        restart,
        lambda live: None,
        to="slack",
        names="has started again",
    ),
    Fault(
        "Alertmanager killed",
        "Watchdog",
        lambda live: live.kill("alertmanager"),
        lambda live: live.again("alertmanager"),
        to="deadman",
    ),
    Fault(
        "Prometheus killed",
        "Watchdog",
        lambda live: live.kill("prometheus"),
        lambda live: live.again("prometheus"),
        to="deadman",
    ),
)


def told_of(live: Live, outcome: Outcome) -> bool:
    """Whether the right one has been told; notes when."""
    fault = outcome.fault
    if fault.to == "deadman":
        silent = time.monotonic() - live.told.deadman[-1]
        if silent > SWITCH_S:
            outcome.told_s = live.told.deadman[-1] + SWITCH_S
    elif fault.to == "pagerduty":
        for at, event in live.pagerduty.since(outcome.began_s):
            mine = event["event_action"] == "trigger" and event["payload"]["class"] == fault.alert
            if mine and fault.names in json.dumps(event):
                outcome.told_s, outcome.key = at, event["dedup_key"]
                break
    else:
        for at, message in live.slack.since(outcome.began_s):
            if says(message, fault, over=False):
                outcome.told_s = at
                break
    return outcome.told_s is not None


def over(live: Live, outcome: Outcome) -> bool:
    """Whether the right one has been told that it is over; notes when."""
    if outcome.resolved_s is not None or outcome.told_s is None:
        return True
    if outcome.fault.to == "deadman":
        found = [at for at in live.told.deadman if at > outcome.repaired_s]
    elif outcome.fault.to == "pagerduty":
        found = [
            at
            for at, event in live.pagerduty.since(outcome.told_s)
            if event["event_action"] == "resolve" and event.get("dedup_key") == outcome.key
        ]
    else:
        found = [at for at, message in live.slack.since(outcome.told_s) if says(message, outcome.fault, over=True)]
    outcome.resolved_s = next(iter(found), None)
    return outcome.resolved_s is not None


def says(message: dict[str, Any], fault: Fault, *, over: bool) -> bool:
    """Whether a line of a message in Slack is about a fault: of a group each alert has one, and those that are over say so."""
    title = message["title"]
    lines = [title, *(line for line in message["text"].splitlines() if line.startswith("•"))]
    return any(fault.names in line and ("Resolved:" in line) is over for line in lines)


def happens(live: Live, fault: Fault) -> Outcome:
    """Inject a fault, wait until the right one is told, and repair it."""
    outcome = Outcome(fault, time.monotonic())
    since = fault.inject(live)
    if isinstance(since, float):
        outcome.began_s = since
    try:
        wait_until(lambda: told_of(live, outcome), PATIENCE_S, 0.05)
    except AssertionError:
        came = [message["title"] + message["text"] for _, message in live.slack.since(outcome.began_s)]
        print(f"{fault.name}: nobody was told of {fault.alert}; Slack was told {came}")
    ended_s = time.monotonic()
    pages = [event for at, event in live.pagerduty.since(outcome.began_s) if event["event_action"] == "trigger"]
    outcome.also = sorted({event["payload"]["class"] for event in pages} - {fault.alert})
    fault.repair(live)
    outcome.repaired_s = time.monotonic()
    print(f"{fault.name}: {outcome.took_s:.1f} s to {fault.alert}; repaired in {outcome.repaired_s - ended_s:.1f} s")
    return outcome


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with living() as running:
        yield running


@pytest.fixture(scope="module")
def outcomes(live: Live) -> list[Outcome]:
    """All of them, one after another; those of one alert only when it is over and that has been told."""
    time.sleep(QUIET_S)
    assert live.pagerduty == []
    assert live.slack == []
    outcomes: list[Outcome] = []
    for fault in FAULTS:
        before = {fault.alert, *fault.after}
        waited = [one for one in outcomes if fault.to == "deadman" or one.fault.alert in before]
        for one in waited:
            try:
                wait_until(lambda one=one: over(live, one), PATIENCE_S, 0.05)  # type: ignore[misc]
            except AssertionError:
                print(f"{one.fault.name}: nobody was told that {one.fault.alert} is over")
        if fault.to != "deadman":
            wait_until(lambda before=before: not any(map(live.active, before)), PATIENCE_S, 0.5)  # type: ignore[misc]
        outcomes.append(happens(live, fault))
    wait_until(lambda: all(over(live, one) for one in outcomes), PATIENCE_S, 0.1)
    tell(outcomes)
    return outcomes


def tell(outcomes: list[Outcome]) -> None:
    """Print the table, and write it where it is asked for."""
    rows = [one.row for one in outcomes]
    print("\n| " + " | ".join(rows[0]) + " |")
    for row in rows:
        cells = [", ".join(cell) if isinstance(cell, list) else str(cell) for cell in row.values()]
        print("| " + " | ".join(cells) + " |")
    if name := os.environ.get(WRITE_TO):
        Path(name).write_text(json.dumps(rows, indent=1) + "\n")


def test_the_right_one_is_told_of_every_fault(outcomes: list[Outcome]) -> None:
    assert len(outcomes) >= 15
    assert [one.fault.name for one in outcomes if one.told_s is None] == []


def test_and_that_it_is_over(outcomes: list[Outcome]) -> None:
    assert [one.fault.name for one in outcomes if one.resolved_s is None] == []


def test_pages_come_within_half_a_minute(outcomes: list[Outcome]) -> None:
    pages = [one.took_s for one in outcomes if one.fault.to == "pagerduty"]
    p95_s = statistics.quantiles(pages, n=20, method="inclusive")[-1]
    print(f"{len(pages)} pages: median {statistics.median(pages):.1f} s, p95 {p95_s:.1f} s, worst {max(pages):.1f} s")
    assert p95_s <= PAGE_S


def test_the_switch_calls_within_a_minute(outcomes: list[Outcome]) -> None:
    assert all(one.took_s <= SWITCHED_S for one in outcomes if one.fault.to == "deadman")


def test_nothing_was_refused(live: Live, outcomes: list[Outcome]) -> None:
    assert len(outcomes) == len(FAULTS)
    assert live.told.refused == []
