"""Reading Prometheus' text format: what is well formed, what is not, and pages that something has been done to."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from collectors import text
from collectors.rabbitmq import names, pages
from collectors.rabbitmq.pages import depths
from collectors.rabbitmq.reading import Queue
from store.errors import SourceError
from tests.fix_rabbitmq import recording

MUTATIONS = 1000


@pytest.mark.parametrize(
    ("line", "sample"),
    [
        ("a 5", ("", 5.0)),
        ("  a\t5 1790000000000", ("", 5.0)),
        ("a{} 5\r", ("", 5.0)),
        ('a{b="c",} 5', ('b="c",', 5.0)),
        ('a{b="}"} +Inf', ('b="}"', float("inf"))),
        ("a 1e3", ("", 1000.0)),
    ],
)
def test_a_line_that_is_one(line: str, sample: tuple[str, float]) -> None:
    assert text.read(f"{line}\n") == text.Page({"a": [sample]})


@pytest.mark.parametrize(
    "line", ["a", "a5", "a nonsense", "a 1_0", "a ٣", 'a{b="c"', 'a{b="c"}', "{b} 1", "5", "a 1 x"]
)
def test_a_line_that_is_none_costs_itself(line: str) -> None:
    page = text.read(f"x 1\n{line}\n# HELP a {line}\n\nx 2\n")
    assert page.samples == {"x": [("", 1.0), ("", 2.0)]}
    assert page.skipped == 1


def test_a_series_that_is_shown_twice() -> None:
    page = text.read('a{b="1"} 1\na{b="1"} 1\nc{b="1"} 1\nc{b="1"} 2\n')
    assert (page.total("a"), page.total("c")) == (1.0, None)


def test_a_sum_without_one_of_its_parts_is_none() -> None:
    page = text.read('a{b="1"} 1\na{b="2"} x\nc{b="1"} 1\nc{b="2"} 2\n')
    assert (page.total("a"), page.total("c"), page.total("d")) == (None, 3.0, None)


@pytest.mark.parametrize(
    ("written", "labels"),
    [
        ("", {}),
        (r'a="say \"hi\"", b = "\\n\n\x",', {"a": 'say "hi"', "b": "\\n\n\\x"}),
        ('a="say "hi""', None),
        ('a="1",a="2"', None),
        ("a=1", None),
        ('a="1"b="2"', None),
    ],
)
def test_labels(written: str, labels: dict[str, str] | None) -> None:
    assert text.labels(written) == labels


@given(st.text(max_size=200))
def test_no_page_raises(page: str) -> None:
    for name, samples in text.read(f"{page}\na{{{page}}} 1\n").samples.items():
        assert name
        for written, _ in samples:
            text.labels(written)


def test_it_reads_what_the_reference_reads() -> None:
    page = recording("03-load", "metrics.prom")
    ours = {
        (name.removesuffix("_total"), *sorted((text.labels(written) or {}).items())): value
        for name, samples in text.read(page).samples.items()
        for written, value in samples
    }
    theirs = {
        (sample.name.removesuffix("_total"), *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert ours == theirs


@pytest.mark.parametrize("raw", [True, False])
def test_a_thousand_mutations_change_no_other_sample(raw: bool) -> None:
    page = _queues(40) if not raw else recording("03-load", "detailed.prom")
    queues, _ = depths(page, raw=raw)
    lines = page.split("\n")
    choose = random.Random(5)
    for _ in range(MUTATIONS):
        mutated, touched = _mutate(lines, choose)
        found = {queue.key: queue for queue in depths(mutated, raw=raw)[0]}
        for queue in queues:
            _unchanged(queue, found.get(queue.key), touched)


def test_a_thousand_mutations_change_no_other_sum() -> None:
    """Of the page of a node: its values, and what is summed over its series."""
    lines = recording("03-load", "metrics.prom").split("\n")
    lines = [line for line in lines if line.startswith("rabbitmq_")]
    before = pages.shown("\n".join(lines), 0.0, "here")
    theirs: dict[str, list[str]] = {}
    for name in names.names("native", "node", "totals", "counters"):
        theirs.setdefault(name.ours, []).append(pages.PREFIX + name.theirs)
    choose = random.Random(7)
    for _ in range(MUTATIONS):
        mutated, touched = _mutate(lines, choose)
        try:
            after = pages.shown(mutated, 0.0, "here")
        except SourceError:  # the two lines that say what page this is
            assert any(line.startswith(("rabbitmq_build", "rabbitmq_identity")) for line in touched)
            continue
        for part in ("values", "totals", "counters"):
            for ours, value in getattr(before, part).items():
                if not any(line.startswith(name) for line in touched for name in theirs[ours]):
                    assert getattr(after, part).get(ours, value) == value, (ours, touched)


def _unchanged(before: Queue, after: Queue | None, touched: set[str]) -> None:
    """What is not shown by a touched line is as it was, or - where a line pretends to be another - not believed."""
    name = f'vhost="{before.vhost}",queue="{before.name}"}}'
    for ours, theirs in {"messages": "", "ready": "_ready", "unacked": "_unacked"}.items():
        series = f"rabbitmq_detailed_queue_messages{theirs}{{{name}"
        if any(line.startswith(series) for line in touched):
            continue
        value = None if after is None else getattr(after, ours)
        assert value in (None, getattr(before, ours)), (series, touched)


def _mutate(lines: list[str], choose: random.Random) -> tuple[str, set[str]]:
    """The page with one thing done to it, and the lines that this happened to."""
    at = choose.randrange(len(lines) - 1)
    line = lines[at]
    where = choose.randrange(len(line) + 1)
    noise = choose.choice(
        ['"', "\\", "{", "}", ",", "=", " ", "\n", "\0", "é", "\ud83d", "9", "x", "_", "#", "NaN", '"} 7\n']
    )
    match choose.randrange(6):
        case 0:  # something comes in
            return _page(lines, at, line[:where] + noise + line[where:]), {line}
        case 1:  # something is changed
            return _page(lines, at, line[:where] + noise + line[where + 1 :]), {line}
        case 2:  # something is lost
            return _page(lines, at, line[:where] + line[where + choose.randrange(1, 9) :]), {line}
        case 3:  # a line runs into the next
            joined = line + lines[at + 1]
            return "\n".join([*lines[:at], joined, *lines[at + 2 :]]), {line, lines[at + 1]}
        case 4:  # the page ends early
            return "\n".join([*lines[:at], line[:where]]), set(lines[at:])
        case _:  # a line comes twice
            return _page(lines, at, f"{line}\n{line}"), set()


def _page(lines: list[str], at: int, instead: str) -> str:
    return "\n".join([*lines[:at], instead, *lines[at + 1 :]])


def _queues(count: int) -> str:
    families = {"_ready": 2, "_unacked": 3, "": 5}
    return "".join(
        f'rabbitmq_detailed_queue_messages{name}{{vhost="/",queue="orders.{number}"}} {number * factor}\n'
        for name, factor in families.items()
        for number in range(count)
    )


def test_a_page_of_ten_thousand_queues_is_read_in_bulk() -> None:
    page = _queues(10_000)
    queues, skipped = depths(page)
    assert (len(queues), skipped) == (10_000, 0)
    assert sum(queue.messages or 0 for queue in queues) == 5 * sum(range(10_000))
