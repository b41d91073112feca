"""What the comments of named queries say, and texts as parameters."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from pipelines.declared import TYPES, Parameter, declared, pairs, readable, value
from store.errors import ParameterInvalid
from store.files import sql_folder

ALL = sorted(path.stem for path in (sql_folder() / "queries").glob("*.sql"))
READABLE = [each.query.name for each in readable()]


def test_only_queries_that_read_are_readable():
    budgets = {"budget_add", "budget_change", "budget_announce_again", "budget_remove"}
    anomalies = {"anomaly_verdict_add", "anomaly_verdict_remove", "scorer_state_save"}
    written = {"write_back_begin", "write_back_replace", "write_back_prune"}
    steps = ("data_spans", "delivered", "finished", "interrupted", "job_seen", "retried", "retry", "skipped", "started")
    assert set(ALL) - set(READABLE) == {f"report_{step}" for step in steps} | budgets | anomalies | written


@pytest.mark.parametrize("name", READABLE)
def test_every_query_says_what_it_is_and_what_it_takes(name):
    query = declared(name)
    assert query.purpose.endswith(".")
    for parameter in query.parameters:
        assert parameter.type.removesuffix("[]") in TYPES
        assert parameter.meaning


def test_what_null_means_may_be_left_out():
    assert declared("llm_minutes").values({"by": "model"}) == {"by": ["model"], "since": None, "until": None}
    with pytest.raises(ParameterInvalid, match="'until'.*needs it"):
        declared("llm_points").values({"since": "2026-05-01"})
    with pytest.raises(ParameterInvalid, match="'sinze'.*no such parameter"):
        declared("llm_points").values({"sinze": "2026-05-01"})


@pytest.mark.parametrize(
    ("type_", "text", "expected"),
    [
        ("text", " a, b=c ", " a, b=c "),
        ("text[]", "", []),
        ("boolean", "True", True),
        ("text[]", "a, b", ["a", "b"]),
        ("float8[]", "0.5,0.99", [0.5, 0.99]),
        ("int", "-3", -3),
        ("timestamptz", "2026-05-01T02:00+02:00", datetime(2026, 5, 1, tzinfo=UTC)),
        ("timestamptz", "2026-05-01 12:00", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
    ],
)
def test_a_text_becomes_its_type(type_, text, expected):
    assert value(Parameter("x", type_, ""), text) == expected


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("text", "a\0"),
        ("float8[]", "0.5,x"),
        ("float8", "nan"),
        ("int", "1.5"),
        ("timestamptz", "today"),
        ("timestamptz", ""),
        ("timestamptz", "0001-01-01T00:00+14:00"),
        ("uuid", "1"),
        ("inet", "10.0.0.1"),
    ],
)
def test_one_that_does_not_fit_is_named(type_, text):
    with pytest.raises(ParameterInvalid, match="parameter 'x'"):
        value(Parameter("x", type_, ""), text)


@pytest.mark.parametrize("given", [["x"], ["=1"], ["a=1", "a=2"]])
def test_pairs_that_are_none(given):
    with pytest.raises(ParameterInvalid):
        pairs(given)


def test_a_value_may_hold_an_equals_sign():
    assert pairs(["a=b=c", "d="]) == {"a": "b=c", "d": ""}
