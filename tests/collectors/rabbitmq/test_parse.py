"""Parsing the management API, against what real brokers said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.rabbitmq import parse

TS = datetime(2026, 9, 22, tzinfo=UTC)
ODD = 'weird "quoted" back\\slash'


@pytest.fixture(params=range(7))
def captured(request: pytest.FixtureRequest, data_folder: Path) -> Path:
    return sorted((data_folder / "rabbitmq/captured_3.10.8").iterdir())[request.param]


def test_queues_of_3_10(captured: Path) -> None:
    answers = json.loads((captured / "api-queues.json").read_text())
    rows = [parse.queue_row(TS, "c", answer) for answer in answers]
    for answer, row in zip(answers, rows, strict=True):
        assert row["messages"] == answer["messages"] == row["messages_ready"] + row["messages_unacked"]
        assert (row["vhost"], row["queue"], row["type"]) == (answer["vhost"], answer["name"], answer["type"])
        assert row["acked_total"] == answer.get("message_stats", {}).get("ack")
        assert row["consumers"] == answer["consumers"]
    assert (ODD in {row["queue"] for row in rows}) == (captured.name != "00-empty")


def test_overview_and_nodes_of_3_10(captured: Path) -> None:
    answer = json.loads((captured / "api-overview.json").read_text())
    row = parse.overview_row(TS, answer)
    assert (row["cluster"], row["rabbitmq_version"]) == ("fixcap@vm", "3.10.8")
    assert row["queues"] == answer["object_totals"]["queues"]
    assert row["published_total"] == answer["message_stats"].get("publish")
    (node,) = json.loads((captured / "api-nodes.json").read_text())
    row = parse.node_row(TS, "fixcap@vm", node)
    assert row["running"] is True
    assert row["memory_bytes"] == node["mem_used"]
    assert row["uptime_s"] == node["uptime"] / 1000


def test_3_7(data_folder: Path) -> None:
    folder = data_folder / "rabbitmq/kbudde_3.7.0"
    queues = [parse.queue_row(TS, "c", queue) for queue in json.loads((folder / "queues-3.7.0.json").read_text())]
    assert [row["messages"] for row in queues] == [0, 0, 0]
    assert {row["published_total"] for row in queues} == {row["type"] for row in queues} == {None}
    overview = parse.overview_row(TS, json.loads((folder / "overview-3.7.0.json").read_text()))
    assert (overview["cluster"], overview["queues"], overview["acked_total"]) == ("rabbit@demandred", 3, None)
    (node,) = json.loads((folder / "nodes-3.7.0.json").read_text())
    assert parse.node_row(TS, "c", node)["fd_used"] == 36


@pytest.mark.parametrize(
    ("queue", "utilisation"),
    [
        ({"consumer_utilisation": 0.25}, 0.25),
        ({"consumer_capacity": 0.5}, 0.5),
        ({"consumer_utilisation": None, "consumer_capacity": 1}, 1.0),
        ({"consumer_utilisation": ""}, None),
        ({}, None),
    ],
)
def test_either_name_of_utilisation(queue: dict, utilisation: float | None) -> None:
    assert parse.queue_row(TS, "c", {"name": "q"} | queue)["consumer_utilisation"] == utilisation


@pytest.mark.parametrize(
    ("stamped", "age_s"),
    [(-90, 90.0), (0, 0.0), (30, 0.0), (3600, None)],
    ids=["old", "now", "clock a little ahead", "clock far ahead"],
)
def test_age_of_the_head(stamped: int, age_s: float | None) -> None:
    assert parse.head_age_s(TS, int(TS.timestamp()) + stamped) == age_s


def test_age_of_no_head_or_in_milliseconds() -> None:
    assert [parse.head_age_s(TS, value) for value in (None, "", 0, int(TS.timestamp() * 1000))] == [None] * 4


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_names_that_postgresql_cannot_hold(name: str) -> None:
    assert parse.queue_row(TS, "c", {"name": name})["queue"] == "a\ufffdb"


TEXT = st.text("aé\0\ud800", max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    ["name", "vhost", "messages", "consumers", "consumer_utilisation", "head_message_timestamp", "message_stats"]
)


@given(st.dictionaries(FIELDS, JSON))
def test_any_json_gives_a_row_that_the_table_takes(queue: dict) -> None:
    row = parse.queue_row(TS, "c", queue)
    if row is None:
        assert not queue.get("name") or not isinstance(queue["name"], str)
        return
    assert row["queue"]
    row["queue"].encode()
    assert row["consumer_utilisation"] is None or 0 <= row["consumer_utilisation"] <= 1
    for name in ("messages", "consumers", "head_age_s", "published_total"):
        assert row[name] is None or 0 <= row[name] < 2**63
