"""The table of names: a test for each row, made up and, where there is one, against a recording."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collectors import text
from collectors.rabbitmq import api, kbudde, names, pages
from collectors.rabbitmq.names import NAMES, Name, Version
from collectors.rabbitmq.reading import Node, Queue
from tests.fix_rabbitmq import recording, recordings

RECORDED: Version = (3, 10, 8)
EXPORTER = Path(__file__).parent / "recorded" / "kbudde_1.0_on_3.10.8.prom"
WHEN = datetime(2026, 11, 23, tzinfo=UTC)
ABOUT = 'rabbitmq_identity_info{rabbitmq_node="rabbit@a",rabbitmq_cluster="c"%s} 1\n'
BUILD = 'rabbitmq_build_info{rabbitmq_version="%s"} 1\n'
NATIVE = [name for name in NAMES if name.source == "native"]
MANAGEMENT = [name for name in NAMES if name.source == "management"]
KBUDDE = [name for name in NAMES if name.source == "kbudde"]


def ids(name: Name) -> str:
    return f"{name.source} {name.theirs} -> {name.of}.{name.ours}"


def read(name: Name, queue: Queue | None, node: dict[str, float], sums: dict[str, Any]) -> float | None:
    """Where a row says that its value is to be found."""
    found: Any
    if name.of == "queue":
        found = getattr(queue, name.ours) if queue else None
    elif name.of == "queue.counters":
        found = queue.counters.get(name.ours) if queue else None
    elif name.of == "queue.extra":
        found = queue.extra.get(name.ours) if queue else None
    else:
        found = node.get(name.ours) if name.of == "node" else sums.get(name.ours)
    return None if found is None else float(found)


def value_of(name: Name) -> float:
    return 0.5 if name.ours == "consumer_utilisation" else 7.0


def release(name: Name) -> str:
    """The last release that has the row."""
    if name.until is None:
        return "4.3.5"
    major, minor = name.until[:2]
    return f"{major}.{minor - 1}.7" if minor else "3.13.7"


@pytest.mark.parametrize("prefix", [pages.PREFIX, pages.DETAILED])
@pytest.mark.parametrize("name", NATIVE, ids=ids)
def test_native(name: Name, prefix: str) -> None:
    value = value_of(name)
    queue, shown = None, None
    if name.of.startswith("queue"):
        page = f'{prefix}{name.theirs}{{vhost="/",queue="q"}} {value}\n'
        (queue,) = pages.details(page, {("/", "q")})
    elif prefix == pages.PREFIX:
        page = f"{prefix}{name.theirs} {value}\n" + ABOUT % ',rabbitmq_endpoint="aggregated"' + BUILD % release(name)
        shown = pages.shown(page, 0.0, "here")
        assert (shown.node, shown.cluster, shown.version) == ("rabbit@a", "c", release(name))
    else:
        return  # of a node the detailed endpoint is not asked
    sums: dict[str, float] = {} if shown is None else {**shown.totals, **shown.counters}
    assert read(name, queue, shown.values if shown else {}, sums) == value


@pytest.mark.parametrize("name", MANAGEMENT, ids=ids)
def test_management(name: Name) -> None:
    value = value_of(name)
    *path, last = name.theirs.split(".")
    inner: dict[str, Any] = {last: value}
    for part in reversed(path):
        inner = {part: inner}
    queue = api.queue({"vhost": "/", "name": "q", "messages": 1} | inner)
    node = api.node({"name": "rabbit@a"} | inner) or Node("", running=False)
    overview = {"rabbitmq_version": "4.3.5"} | inner
    found = read(name, queue, node.values, {**api.totals(overview), **api.counters(overview)})
    assert found == pytest.approx(value * name.factor)


@pytest.mark.parametrize("name", KBUDDE, ids=ids)
def test_kbudde(name: Name) -> None:
    value = value_of(name)
    labels = 'cluster="c",node="rabbit@a",vhost="/",queue="q",durable="true",policy="",self="1"'
    page = f"rabbitmq_up{{}} 1\nrabbitmq_running{{{labels}}} 1\nrabbitmq_{name.theirs}{{{labels}}} {value}\n"
    reading = kbudde.parse(page, WHEN, 0.0, "here")
    queue = reading.queues[0] if reading.queues else None
    assert read(name, queue, reading.nodes[0].values, reading.totals) == pytest.approx(value * name.factor)


@pytest.mark.parametrize("name", [name for name in NATIVE if name.there(RECORDED)], ids=ids)
def test_recorded_native(name: Name) -> None:
    if name.of.startswith("queue"):
        pages_of = {prefix: recording("03-load", page) for prefix, page in PAGES.items()}
        if name.family in ("ra_metrics", "queue_metrics"):  # of no queue in the one, or asked for only in the other
            pages_of.pop(pages.DETAILED)
        for prefix, page in pages_of.items():
            samples = text.read(page).samples[prefix + name.theirs]
            assert samples
            columns, _ = pages.by_queue(page, (name.of,), raw=True)
            assert columns[name.of, name.ours] or name.ours == "head_timestamp"
    else:
        shown = pages.shown(recording("03-load", "metrics.prom"), 0.0, "here")
        assert read(name, None, shown.values, {**shown.totals, **shown.counters}) is not None


PAGES = {pages.DETAILED: "detailed.prom", pages.PREFIX: "per-object.prom"}


@pytest.mark.parametrize("name", [name for name in MANAGEMENT if name.there(RECORDED)], ids=ids)
def test_recorded_management(name: Name) -> None:
    """Somewhere in the recordings of 3.10.8 or 3.7.0 there is such a field."""
    of = name.of.partition(".")[0]
    files = {"queue": "queues", "node": "nodes", "totals": "overview", "counters": "overview"}
    answers = [json.loads(recording("03-load", f"api-{files[of]}.json"))]
    answers.append(json.loads((recordings() / "kbudde_3.7.0" / f"{files[of]}-3.7.0.json").read_text()))
    items = [item for answer in answers for item in (answer if isinstance(answer, list) else [answer])]
    assert any(_has(item, name.theirs) for item in items)


def _has(item: Any, path: str) -> bool:
    for part in path.split("."):
        if not isinstance(item, dict) or part not in item:
            return False
        item = item[part]
    return True


@pytest.mark.parametrize("name", KBUDDE, ids=ids)
def test_recorded_kbudde(name: Name) -> None:
    """The exporter of commit 4dcae0489d on RabbitMQ 3.10.8 shows it; a head message with a time it had none."""
    samples = text.read(EXPORTER.read_text(encoding="utf-8")).samples
    absent = {"queue_head_message_timestamp", "queue_max_length_bytes"}  # shown only of queues that have one
    assert (f"rabbitmq_{name.theirs}" in samples) == (name.theirs not in absent)


def test_the_sources_agree() -> None:
    """What plugin and management API said in one moment is the same, but for what moved between the two questions."""
    shown = pages.shown(recording("03-load", "metrics.prom"), 0.0, "here")
    overview = json.loads(recording("03-load", "api-overview.json"))
    node = api.node(json.loads(recording("03-load", "api-nodes.json"))[0])
    assert node is not None
    for told, asked in (
        ({**shown.totals, **shown.counters}, {**api.totals(overview), **api.counters(overview)}),
        (shown.values, node.values),
    ):
        common = set(told) & set(asked)
        assert len(common) >= 12
        for ours in common:
            assert told[ours] == pytest.approx(asked[ours], rel=0.08, abs=6), ours


def test_a_plain_name_has_another_meaning_in_each_source() -> None:
    theirs = "queue_messages_delivered_total"
    meanings = {name.source: name.meaning for name in NAMES if name.theirs == theirs}
    assert "that acknowledge" in meanings["kbudde"]
    assert "do not acknowledge" in meanings["native"]
    (native,) = [name for name in NATIVE if name.theirs == theirs]
    assert not native.there(RECORDED)


def test_every_row_has_its_source_and_is_alone() -> None:
    keys = [(name.source, name.of, name.theirs, name.since) for name in NAMES]
    assert len(set(keys)) == len(keys)
    for name in NAMES:
        assert name.link.startswith("https://")
        assert name.meaning
        assert bool(name.family) == (name.source == "native" and name.of.startswith("queue"))


@pytest.mark.parametrize(
    ("written", "numbers"), [("3.10.8", (3, 10, 8)), ("4.0.0-rc.1", (4, 0, 0)), ("", (3, 7)), (None, (3, 7))]
)
def test_a_release(written: str | None, numbers: Version) -> None:
    assert names.version(written) == numbers


def table(of: str) -> list[str]:
    """The rows of the documentation: of each thing that is read, its name in each source."""
    lines = []
    rows = [name for name in NAMES if name.of == of]
    for ours in dict.fromkeys(name.ours for name in rows):
        cells = [", ".join(_cell(row) for row in rows if (row.ours, row.source) == (ours, way)) or "-" for way in WAYS]
        lines.append(f"| `{ours}` | {' | '.join(cells)} |")
    return lines


WAYS = ("native", "management", "kbudde")


def _cell(name: Name) -> str:
    """Such as `raft_log_commit_index` (to 4.1)."""
    since = ".".join(map(str, name.since))
    spans = [f"since {since}"] if name.since > ((3, 8) if name.source == "native" else (3, 7)) else []
    if name.until:
        spans.append(f"to {release(name).rpartition('.')[0]}")
    return f"`{name.theirs}`" + (f" ({', '.join(spans)})" if spans else "")


@pytest.mark.parametrize("of", dict.fromkeys(name.of for name in NAMES))
def test_the_documentation_has_each_row(of: str) -> None:
    page = (Path(__file__).parents[3] / "docs/sources/rabbitmq.md").read_text(encoding="utf-8")
    missing = [line for line in table(of) if line not in page]
    assert not missing
