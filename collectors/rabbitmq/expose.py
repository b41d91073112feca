"""The last sample of a broker as a page of Prometheus metrics, in the text format."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Literal

from collectors.rabbitmq import families
from collectors.rabbitmq.families import Family
from collectors.rabbitmq.reading import Check, Queue, Reading
from collectors.rabbitmq.rows import cluster, head_age_s, text

Reason = Literal["ok", "down", "denied", "slow", "wrong"]
REASONS: tuple[Reason, ...] = ("ok", "down", "denied", "slow", "wrong")
Labels = Sequence[tuple[str, str]]
PART = 1_000  # series that are written at once
STEP_ASIDE_S = 0.001  # between two parts: a collection goes on at once, which would otherwise wait for its turn
WELL = ("running", "idle")  # states of a queue
Number = float | int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One collection: `queues` are all that were looked at, `detailed` those of them of which all is known.

    `counters`: of the cluster, as `rates.Totals` has them.
    """

    at_s: float
    reading: Reading
    queues: Sequence[Queue]
    detailed: Sequence[Queue]
    checks: Sequence[Check] = ()
    counters: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Shown:
    """What /metrics says of the broker: its last `sample`, so that what was deleted vanishes, and whether it is up.

    Older than `stale_s`, only the state and the collector's own counters are left. The page is written when it is asked
    for, bit by bit, in the thread of who asks: 40,000 series take 0.08 s of CPU.
    """

    stale_s: float
    sample: Sample | None = None
    reason: Reason = "down"
    skipped: int = 0
    resets: int = 0

    def page(self) -> Iterator[bytes]:
        """The page in parts, UTF-8."""
        sample = self.sample
        yield "".join(self._state()).encode()
        if sample is not None and time.monotonic() - sample.at_s <= self.stale_s:
            for part in _parts(sample):
                yield part.encode()
                time.sleep(STEP_ASIDE_S)

    def _state(self) -> Iterator[str]:
        yield from _one(
            "rabbitmq_up", "gauge", "1 where the last collection was answered.", [((), self.reason == "ok")]
        )
        yield from _one(
            "rabbitmq_up_reason",
            "gauge",
            "1 at what the last collection met: ok, down (no answer), denied (not allowed), slow (no answer in time), "
            "wrong (an answer that is none of a broker's).",
            [((("reason", reason),), self.reason == reason) for reason in REASONS],
        )
        mine = (("collector", "rabbitmq"),)
        for name, value, said in (
            ("skipped_samples", self.skipped, "Samples of the broker that could not be read."),
            ("counter_resets", self.resets, "Times that counters of the broker began anew."),
        ):
            yield from _one(f"gaugebook_collector_{name}_total", "counter", said, [(mine, value)])


def _parts(sample: Sample) -> Iterator[str]:
    reading = sample.reading
    whole = (("cluster", cluster(reading)),)
    about = (
        *whole,
        ("rabbitmq_version", text(reading.version) or ""),
        ("erlang_version", text(reading.erlang) or ""),
        ("source", reading.source),
    )
    yield from _one(
        "rabbitmq_build_info", "gauge", "1 at the versions of the broker and how it is asked.", [(about, 1)]
    )
    for family in families.TOTALS:
        yield from _one(family.name, "gauge", family.text, [(whole, reading.totals.get(family.of))])
    for family in families.COUNTERS:
        yield from _one(family.name, "counter", family.text, [(whole, sample.counters.get(family.of))])
    nodes = [((*whole, ("node", text(node.name) or "")), node) for node in reading.nodes]
    yield from _one("rabbitmq_running", "gauge", "1 where the node runs.", [(at, node.running) for at, node in nodes])
    for family in families.NODES:
        yield from _one(family.name, "gauge", family.text, [(at, node.values.get(family.of)) for at, node in nodes])
    yield from _health(sample, whole)
    yield from _queues(sample, whole)


def _health(sample: Sample, whole: Labels) -> Iterator[str]:
    yield from _one(
        "rabbitmq_health_check",
        "gauge",
        "1 where the broker's own check passed.",
        [((*whole, ("check", check.name)), check.passed) for check in sample.checks if check.state != "unknown"],
    )
    yield from _one(
        "rabbitmq_link_running",
        "gauge",
        "1 where a shovel or a federation link runs.",
        [
            (
                (*whole, ("kind", link.kind), ("vhost", text(link.vhost) or ""), ("name", text(link.name) or "")),
                link.state == "running",
            )
            for link in sample.reading.links
        ],
    )


def _queues(sample: Sample, whole: Labels) -> Iterator[str]:
    known = sum(queue.type is not None for queue in sample.detailed)  # without its detail, nobody knows the type
    yield from _one(
        "rabbitmq_collected_queues",
        "gauge",
        "Queues that were looked at, with detail or at their depth and consumers alone.",
        [((*whole, ("detail", "yes")), known), ((*whole, ("detail", "no")), len(sample.queues) - known)],
    )
    every = [(_written(_names(whole, queue)), queue) for queue in sample.queues]
    for family in families.EVERY:
        yield from _many(family, "gauge", every, partial(_attribute, family))
    if not sample.detailed:
        return
    detailed = [(_written(_names(whole, queue)), queue) for queue in sample.detailed]
    for family in families.DETAIL:
        yield from _many(family, "gauge", detailed, partial(_attribute, family))
    ts = sample.reading.ts
    yield from _many(families.HEAD_AGE, "gauge", detailed, lambda queue: head_age_s(ts, queue.head_timestamp))
    yield from _many(families.RUNNING, "gauge", detailed, _runs)
    for family in families.QUEUE_COUNTERS:
        yield from _many(family, "counter", detailed, partial(_counter, family))
    for name in sorted({name for queue in sample.detailed for name in queue.extra}):
        unit = f"{name[:-2]}_seconds" if name.endswith("_s") else name
        said = f"{name.replace('_', ' ').capitalize()}, as the broker tells it."
        yield from _many(Family(f"rabbitmq_queue_{unit}", name, said), "gauge", detailed, partial(_extra, name))
    about = [(_written(_about(whole, queue)), queue) for queue in sample.detailed]
    yield from _many(families.INFO, "gauge", about, lambda _: 1)


def _attribute(family: Family, queue: Queue) -> Number:
    value: Number = getattr(queue, family.of)
    return value if value is None or family.scale == 1 else value * family.scale


def _runs(queue: Queue) -> Number:
    return None if queue.state is None else queue.state in WELL


def _counter(family: Family, queue: Queue) -> Number:
    return queue.counters.get(family.of)


def _extra(name: str, queue: Queue) -> Number:
    return queue.extra.get(name)


def _names(whole: Labels, queue: Queue) -> Labels:
    return (*whole, ("vhost", text(queue.vhost) or "/"), ("queue", text(queue.name) or ""))


def _about(whole: Labels, queue: Queue) -> Labels:
    said: Mapping[str, str | None] = {
        "type": queue.type,
        "policy": queue.policy,
        "node": queue.node,
        "dead_letter_exchange": queue.dead_letter_exchange,
        "dead_letter_routing_key": queue.dead_letter_routing_key,
    }
    return (*_names(whole, queue), *((name, text(value) or "") for name, value in said.items()))


def _one(name: str, kind: str, said: str, samples: Iterable[tuple[Labels, Number]]) -> Iterator[str]:
    told = [f"{name}{_written(labels)} {_number(value)}\n" for labels, value in samples if value is not None]
    if told:
        yield f"# HELP {name} {said}\n# TYPE {name} {kind}\n{''.join(told)}"


def _many(
    family: Family, kind: str, queues: Sequence[tuple[str, Queue]], value: Callable[[Queue], Number]
) -> Iterator[str]:
    name, begun = family.name, False
    for at in range(0, len(queues), PART):
        part = queues[at : at + PART]
        told = [f"{name}{labels} {_number(it)}\n" for labels, queue in part if (it := value(queue)) is not None]
        if told and not begun:
            begun = True
            yield f"# HELP {name} {family.text}\n# TYPE {name} {kind}\n"
        yield "".join(told)


def _written(labels: Labels) -> str:
    return "{" + ",".join([f'{name}="{_escaped(value)}"' for name, value in labels]) + "}" if labels else ""


def _escaped(value: str) -> str:
    r"""The value of a label as the text format wants it.

    >>> print(_escaped('a "quoted" back\\slash'))
    a \"quoted\" back\\slash
    """
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(int(value))  # of a bool too
    return str(int(value)) if isfinite(value) and value == int(value) else repr(value)
