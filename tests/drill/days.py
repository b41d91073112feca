"""A day that goes on as some quiet minutes began: series for promtool, from what Prometheus has scraped.

What grew goes on to grow and what varied goes on to vary, with the hours and with noise; what stood still stands still.
promtool's time begins at 0: moments in seconds since 1970 are moved with it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.deploy.exported import every_rule, recorded, taken
from tests.deploy.site import DEPLOY
from tests.fix_prometheus import Prometheus

EVERY_S = 15
DAY_S = 86_400
SWING, NOISE = 0.5, 0.1  # of traffic, by the hours and by chance
BREATH = 0.1  # the same of gauges
COUNTS = ("_total", "_bucket", "_count", "_sum")


@dataclass(frozen=True)
class Seen:
    """A series as it was seen: its labels, and its samples as seconds since 1970 and values."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]

    @property
    def name(self) -> str:
        return self.labels["__name__"]

    @property
    def written(self) -> str:
        """As promtool wants it."""
        inside = ", ".join(f"{key}={_quoted(value)}" for key, value in self.labels.items() if key != "__name__")
        return f"{self.name}{{{inside}}}"


def asked() -> set[str]:
    """All that the shipped rules take and that is not recorded by them."""
    rules = [rule for path in (DEPLOY / "rules").glob("*.yml") for rule in every_rule(path)]
    by_name = {"rabbitmq_node_mem_alarm", "rabbitmq_node_disk_free_alarm"}  # which one rule takes by a pattern
    by_name |= {"rabbitmq_alarms_memory_used_watermark", "rabbitmq_alarms_free_disk_space_watermark"}
    return {name for rule in rules for name in taken(rule["expr"])} - recorded() - {"ALERTS"} | by_name


def seen(server: Prometheus, window: str) -> list[Seen]:
    """What of it Prometheus has scraped in the last while, such as `1m`."""
    names = "|".join(sorted(asked()))
    found: list[dict[str, Any]] = server.query(f'{{__name__=~"{names}"}}[{window}]')
    return [
        Seen(row["metric"], [(float(at), float(value)) for at, value in row["values"]])
        for row in found
        if len(row["values"]) > 1 and "NaN" not in {value for _, value in row["values"]}
    ]


def day(series: Iterable[Seen], began_s: float) -> list[dict[str, str]]:
    """The series of promtool for 24 hours, every 15 s, from `began_s` (since 1970) on."""
    traffic, breath = _traffic(), _breath()
    return [{"series": one.written, "values": _line(one, began_s, traffic, breath)} for one in series]


def _line(one: Seen, began_s: float, traffic: Sequence[float], breath: Sequence[float]) -> str:
    values = [value for _, value in one.samples]
    first, last, steps = values[0], values[-1], len(traffic)
    lasted = one.samples[-1][0] - one.samples[0][0]
    if "timestamp_seconds" in one.name or one.name == "process_start_time_seconds":
        moves = last > first  # of what happens again and again; and 0 of what has never happened
        return f"{last - began_s if last else 0:.3f}{f'+{EVERY_S}' if moves else '+0'}x{steps - 1}"
    if last == first == max(values) == min(values):
        return f"{first!r}x{steps - 1}"
    if one.name.endswith(COUNTS):
        grown = sum(max(0.0, after - before) for before, after in pairwise(values))
        per_step = grown / lasted * EVERY_S
        return " ".join(f"{last + per_step * so_far:.6g}" for so_far in traffic)
    if abs((last - first) / lasted - 1) < 0.2 and values == sorted(values):  # a clock, as the uptime of a node
        return f"{last:.3f}+{EVERY_S}x{steps - 1}"
    middle = sum(values) / len(values)
    return " ".join(f"{middle * factor:.6g}" for factor in breath)


def _traffic() -> list[float]:
    """How much has come until each step, where 1 would come in a step on average."""
    chance, so_far, found = random.Random(1), 0.0, []
    for step in range(DAY_S // EVERY_S + 1):
        so_far += max(0.0, _hours(step, SWING) * (1 + chance.gauss(0, NOISE)))
        found.append(so_far)
    return found


def _breath() -> list[float]:
    chance = random.Random(2)
    return [_hours(step, BREATH) * (1 + chance.gauss(0, BREATH / 5)) for step in range(DAY_S // EVERY_S + 1)]


def _hours(step: int, swing: float) -> float:
    """Least at 2 in the morning, most at 14."""
    return 1 + swing * math.sin((step * EVERY_S / 3600 - 8) / 24 * 2 * math.pi)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
