"""A Prometheus with a past: pages as they were recorded once, moved along a time axis, and our rules evaluated over it.

The names and labels are those of the pages; how their values move is made up: counters grow by day and night, gauges sway.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.site import DEPLOY
from tests.fix_prometheus import Prometheus, prometheus_program, serving, wait_until
from tests.servers import need

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
GROWS = ("_total", "_bucket", "_count", "_sum", "_index")  # the last are of Raft: gauges that only grow
STAYS = ("_info", "_limit", "_limit_bytes", "_up", "_running", "_check", "_max_length", "_alarm", "_usd", "_ratio")
RECORDED = re.compile(r"[a-z_]+:\w+:\w+")
WAVE_S = 5400.0  # from one height of the traffic to the next
# What prometheus.yml leaves out of each job.
DROPPED = {
    "rabbitmq": re.compile(r"rabbitmq_queue_messages_(published|delivered)_total"),
    "rabbitmq-detailed": re.compile(r"rabbitmq_detailed_queue_(process_reductions_total|messages_(ready|unacked))"),
}


@dataclass(frozen=True)
class Page:
    """What a target of a job of prometheus.yml shows at /metrics."""

    job: str
    instance: str
    text: str


@dataclass(frozen=True)
class Past:
    """From when to when there are samples, every `step_s` seconds."""

    until: datetime
    span_s: int = 5400
    step_s: int = 60

    @property
    def times(self) -> list[int]:
        end = int(self.until.timestamp()) // self.step_s * self.step_s
        return list(range(end - self.span_s, end + 1, self.step_s))


@contextmanager
def replay(folder: Path, pages: Sequence[Page], past: Past, wanted: str) -> Iterator[Prometheus]:
    """A running Prometheus that has scraped `pages`, and itself, and evaluated the recording rules that `wanted` names."""
    config = f"global: {{evaluation_interval: 1s}}\nrule_files: ['{DEPLOY}/rules/*.yml']\n"
    with serving(prometheus_program(2), folder, config=config) as server:
        own = wait_until(lambda: _with(server, "prometheus_rule_group_last_duration_seconds"))
    written = folder / "scrapes.om"
    with written.open("w", encoding="utf-8") as file:
        for page in (*pages, Page("prometheus", "127.0.0.1:9090", own)):
            file.writelines(moved(page, past))
        file.write("# EOF\n")
    _tsdb(folder, "openmetrics", written, folder / "data")
    written.unlink()
    for number, rules in enumerate(levels(DEPLOY / "rules", wanted)):
        path = folder / f"rules-{number}.yml"
        path.write_text(yaml.safe_dump({"groups": [{"name": f"level-{number}", "rules": rules}]}))
        with serving(prometheus_program(2), folder, "--storage.tsdb.retention.time=1y") as server:
            times = past.times
            span = (f"--start={times[0]}", f"--end={times[-1]}", f"--eval-interval={past.step_s}s")
            _tsdb(folder, "rules", *span, f"--url={server.url}", f"--output-dir={folder / 'made'}", path)
        for block in (folder / "made").iterdir():
            block.rename(folder / "data" / block.name)
        shutil.rmtree(folder / "made")
    with serving(prometheus_program(2), folder, "--storage.tsdb.retention.time=1y") as server:
        yield server


def levels(folder: Path, wanted: str) -> list[list[dict[str, Any]]]:
    """Recording rules that a text names, in the order in which they need each other: promtool evaluates each by itself."""
    rules = {
        rule["record"]: rule
        for path in sorted(folder.glob("*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    needs = {name: set(RECORDED.findall(rule["expr"])) & set(rules) for name, rule in rules.items()}
    waiting = set(RECORDED.findall(wanted)) & set(rules)
    while more := set().union(*(needs[name] for name in waiting)) - waiting:
        waiting |= more
    found = []
    while waiting:
        now = {name for name in waiting if not needs[name] & waiting}
        assert now, f"rules need each other in a circle: {waiting}"
        found.append([rules[name] for name in sorted(now)])
        waiting -= now
    return found


def moved(page: Page, past: Past) -> Iterator[str]:
    """The samples of a page, each once for every moment, as OpenMetrics."""
    job, count = page.job, 0
    own = f'job="{job}",instance="{page.instance}"'
    for line in page.text.splitlines():
        found = SAMPLE.match(line)
        if found is None or line.startswith("#"):
            continue
        name, labels, value = found.groups()
        if job in DROPPED and DROPPED[job].fullmatch(name):
            continue
        count += 1
        labels = f"{own},{labels}" if labels else own
        yield from _series(f"{name}{{{labels}}}", values(name, float(value), labels, past.times), past.times)
    for name, shown in (
        ("up", 1.0),
        ("scrape_duration_seconds", 0.02),
        ("scrape_samples_post_metric_relabeling", count),
    ):
        yield from _series(f"{name}{{{own}}}", [shown] * len(past.times), past.times)


def values(name: str, first: float, labels: str, times: Sequence[int]) -> list[float]:
    """How a value moves. Buckets of one histogram grow alike, so that they stay in order."""
    if name.endswith("_last_success_timestamp_seconds"):
        return [at - 4.0 for at in times]
    if name.endswith("_timestamp_seconds") or not math.isfinite(first):
        return [first] * len(times)
    if name.endswith(GROWS):
        # The whole of a wave, so that its slope is the traffic: between a half and one and a half of the mean.
        return [
            first * (1 + (at - times[0]) / 900 + 3 * (1 - math.cos((at - times[0]) / WAVE_S * 2 * math.pi)) / 6)
            for at in times
        ]
    if first in (0, 1) or name.endswith(STAYS):
        return [first] * len(times)
    phase = zlib.crc32(labels.encode()) % 628 / 100
    moving = [first * (1 + 0.3 * math.sin(at / WAVE_S * 2 * math.pi + phase)) for at in times]
    return [round(value) if first == int(first) else value for value in moving]


def _series(series: str, shown: Sequence[float], times: Sequence[int]) -> Iterator[str]:
    for at, value in zip(times, shown, strict=True):
        yield f"{series} {value!r} {at}\n"


def _with(server: Prometheus, name: str) -> str:
    """The page of a Prometheus; nothing where it does not show that yet."""
    page = server.client.get("/metrics").text
    return page if f"\n{name}{{" in page else ""


def _tsdb(folder: Path, *words: object) -> None:
    program = need("promtool", package="prometheus")
    command = [str(program), "tsdb", "create-blocks-from", *map(str, words)]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr + told.stdout
