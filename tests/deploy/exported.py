"""Every name that a rule may take: from our exporters themselves, and of other programs as they were scraped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from collectors.exposition import Health
from collectors.gateways.expose import LastPages
from collectors.gateways.kinds import KINDS
from collectors.llm.metrics import Metrics as Tap
from collectors.otlp.metrics import Metrics as Receiver
from collectors.rabbitmq import expose, families, names, pages
from pipelines import gauges
from tests.deploy.site import DEPLOY

SCRAPED = Path(__file__).with_name("scraped")  # the names alone, one a line
PAGES = Path(__file__).with_name("recorded")  # whole pages, of `python -m tests.deploy.record`
OF_EVERY_SCRAPE = {"up", "scrape_duration_seconds", "scrape_samples_scraped", "ALERTS"}
# Not in what was scraped, and why. Nothing else may be missing there.
ELSEWHERE = {
    "erlang_vm_dist_node_state": "of a cluster of two nodes or more",
    "rabbitmq_detailed_queue_exchange_messages_published_total": "since 4.0",
    "rabbitmq_detailed_queue_messages_delivered_total": "since 4.0",
    "rabbitmq_detailed_queue_messages_delivered_ack_total": "since 4.0",
    "rabbitmq_detailed_queue_get_total": "since 4.0",
    "rabbitmq_detailed_queue_get_ack_total": "since 4.0",
    "rabbitmq_detailed_queue_messages_acked_total": "since 4.0",
    "rabbitmq_detailed_queue_messages_redelivered_total": "since 4.0",
    "node_filesystem_avail_bytes": "of a node exporter, where one runs",
    "node_filesystem_size_bytes": "of a node exporter, where one runs",
    "node_filesystem_readonly": "of a node exporter, where one runs",
    "prometheus_remote_storage_queue_highest_sent_timestamp_seconds": "once a receiver has taken something",
}


@cache
def known() -> frozenset[str]:
    """All of them, with what the rules record."""
    return frozenset({*ours(), *scraped(), *recorded(), *OF_EVERY_SCRAPE, *ELSEWHERE})


def ours() -> set[str]:
    """What our own programs show at /metrics."""
    registry = CollectorRegistry()
    Health("any", registry)
    Receiver(registry)
    pages = LastPages(stale_s=60)
    made = [*registry.collect(), *Tap().registry.collect(), *pages.collect(), *_budgets(), *_ticked()]
    names = {name for metric in made for name in _series(metric)}
    for kind in KINDS.values():
        names |= {f"{name}{end}" for name in kind.histograms for end in ("_bucket", "_sum", "_count")}
        names |= set(kind.gauges)
    return names | _of_the_broker()


def scraped() -> set[str]:
    """What RabbitMQ, Prometheus, Alertmanager and a collector showed when they were asked."""
    lines = [line for path in (*SCRAPED.glob("*.txt"), *PAGES.glob("*.prom")) for line in path.read_text().split("\n")]
    return {re.split(r"[{ ]", line)[0] for line in lines if line and line[0] != "#"}


def recorded() -> set[str]:
    """What the rules record."""
    rules = [rule for path in sorted((DEPLOY / "rules").glob("*.yml")) for rule in every_rule(path)]
    return {rule["record"] for rule in rules if "record" in rule}


def every_rule(path: Path) -> Iterator[dict[str, Any]]:
    """The rules of a file, one after the other."""
    for group in yaml.safe_load(path.read_text())["groups"]:
        yield from group["rules"]


WORDS = frozenset(
    ("and", "or", "unless", "by", "on", "ignoring", "without", "group_left", "group_right", "offset", "bool")
)


def taken(expression: str) -> set[str]:
    """The metrics that a PromQL expression takes.

    >>> sorted(taken('sum by (team) (rate(a_total{job="x"}[5m])) > 2 * on (team) b:c:d offset 1h'))
    ['a_total', 'b:c:d']
    """
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", " ", bare)
    bare = re.sub(r"\b(by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)", " ", bare)
    bare = re.sub(r"\boffset\s+\d+[smhd]", " ", bare)
    words = re.findall(r"(?<![\w:.])([a-zA-Z_:][\w:]*)\s*(\(?)", bare)
    return {word for word, opens in words if not opens and word not in WORDS}


def _series(metric: Metric) -> Iterator[str]:
    """The names under which the samples of a metric are shown."""
    ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(metric.type, ("",))
    yield from (f"{metric.name}{end}" for end in ends)


def _budgets() -> Iterator[Metric]:
    tap = Tap()
    tap.watch_budgets(list)
    return iter(list(tap.registry.collect()))


def _ticked() -> Iterator[Metric]:
    yield from gauges.of_jobs({}, [])
    yield from gauges.of_rollups([])
    yield from gauges.of_periods([])
    yield from gauges.of_forecasts([])
    yield from gauges.of_budgets([])
    yield from gauges.of_queues([], datetime.now(UTC))
    yield from gauges.of_peaks([], [], datetime.now(UTC))
    yield from gauges.of_findings([])
    yield Metric("gaugebook_store_up", "It tells whether the rest was read.", "gauge")


def _of_the_broker() -> set[str]:
    """What the collector of RabbitMQ writes beside its registry."""
    found = [one for one in vars(families).values() if isinstance(one, tuple | families.Family)]
    told = {each.name for one in found for each in (one if isinstance(one, tuple) else (one,))}
    source = Path(expose.__file__).read_text()
    told |= set(re.findall(r'_one\(\s*"(\w+)"', source))
    told |= {f"gaugebook_collector_{name}_total" for name in re.findall(r'\("(\w+)", self\.', source)}
    # What a queue has besides is shown under the name that it was read by.
    reads = Path(names.__file__).read_text() + Path(pages.__file__).read_text()
    return told | {f"rabbitmq_queue_{name}" for name in ("raft_lag", "stream_lag") if f'"{name}"' in reads}
