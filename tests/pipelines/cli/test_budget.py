"""`gaugebook budget`, as its user meets it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from collectors.llm.budget import Budgets, Lease
from pipelines.cli import app
from store.errors import GaugebookError, ParameterInvalid, UnknownName
from tests.analytics.seed import put_requests, request
from tests.collectors.llm.budget_race import ask


@pytest.fixture
def gaugebook(store, monkeypatch):
    """Runs a command on the store: its output."""
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())

    def run(*words: str) -> str:
        ended = CliRunner().invoke(app, ["budget", *words])
        if isinstance(ended.exception, GaugebookError):
            raise ended.exception
        assert ended.exit_code == 0, ended.output
        return ended.output

    return run


def row(output: str, name: str) -> list[str]:
    (line,) = [line for line in output.splitlines() if line.strip().startswith(name)]
    return line.split()


def test_set_list_history_remove(gaugebook, store):
    assert "gaugebook budget set NAME" in gaugebook("list")
    made = gaugebook("set", "search", "--team", "search", "--limit", "$1,000.50", "--soft", "0.8", "--soft", "0.5")
    assert "here it is off" in made
    gaugebook("set", "nightly", "--project", "reports", "--model", "gpt-5*", "--limit", "20", "--per", "day")
    budgets = Budgets(store.model_copy(update={"llm_budgets": "fail_open"}))
    lease = budgets.reserve(ask("search"))
    assert isinstance(budgets.reserve(ask("search")), Lease)
    budgets.settle(lease, Decimal("0.0125"))
    budgets.close()
    listed = gaugebook("list")
    assert row(listed, "search")[:8] == [
        "search",
        "team",
        "search",
        "month",
        "$0.0125",
        "$0.03",
        "$1,000.4575",
        "$1,000.50",
    ]
    assert "project reports, model gpt-5*" in listed
    gaugebook("set", "search", "--limit", "0.05")
    listed = gaugebook("list")
    assert row(listed, "search")[4:10] == ["$0.0125", "$0.03", "$0.0075", "$0.05", "85.0", "%"]
    assert row(gaugebook("history"), "search")[2:5] == ["month", "$0.0125", "$0.05"]
    gaugebook("set", "search", "--disable", "--soft", "none", "--webhook", "https://hooks.example/x")
    assert "month, off" in gaugebook("list")
    assert "removed search" in gaugebook("remove", "search")
    assert "search" not in gaugebook("list")
    assert "search (removed)" in gaugebook("history", "search")
    assert "nothing has been booked" in gaugebook("history", "nightly", "--days", "100000")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("b",), "needs a limit"),
        (("b", "--limit", "much"), "'much' is no number"),
        (("b", "--limit", "-1"), "no amount in USD"),
        (("b", "--limit", "NaN"), "no amount in USD"),
        (("b", "--limit", "1", "--soft", "80"), "80 is no fraction"),
        (("b", "--limit", "1", "--team", "*"), "leave it out"),
        (("b", "--limit", "1", "--webhook", "ftp://x"), "begins with https://"),
        (("b", "--limit", "1", "--key", "sk-s3cret"), "first eight hex digits"),
        ((" ", "--limit", "1"), "called something"),
        (("there", "--team", "other"), "counts something else already"),
        (("there", "--per", "day"), "counts something else already"),
    ],
)
def test_what_cannot_be_set(gaugebook, words, says):
    gaugebook("set", "there", "--limit", "1", "--team", "search")
    with pytest.raises(ParameterInvalid, match=says) as told:
        gaugebook("set", *words)
    assert "s3cret" not in str(told.value)


def test_a_name_that_is_not_there(gaugebook):
    gaugebook("set", "search", "--limit", "1")
    with pytest.raises(UnknownName, match="did you mean 'search'"):
        gaugebook("remove", "serach")


def spent(hours: int, before: timedelta = timedelta(0)):
    """A dollar an hour, now of one team, now of another, until the hour before this one."""
    last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - before
    rows = [request(k, 0, cost=1.0, team="search" if k % 2 else "ads") for k in range(hours)]
    return [(last - timedelta(hours=k + 1), *row[1:]) for k, row in enumerate(rows)]


def test_outlook(gaugebook, store):
    put_requests(store, spent(72))
    assert "gaugebook budget set NAME" in gaugebook("outlook")
    scopes = {"every": (), "ads": ("--team", "ads"), "none": ("--model", "x*"), "key": ("--key", "0a" * 4)}
    for name, scope in scopes.items():
        gaugebook("set", name, "--limit", "20", "--per", "day", *scope)
    shown = gaugebook("outlook")
    assert "nothing on record" in shown
    assert "counts by key" in shown
    assert row(shown, "every")[1] == "$20.00"
    assert row(shown, "every")[6] == "100"
    assert "every" not in gaugebook("outlook", "ads")
    with pytest.raises(UnknownName, match="did you mean 'ads'"):
        gaugebook("outlook", "adds")


def test_an_outlook_from_what_ended_long_ago_is_none(gaugebook, store):
    put_requests(store, spent(30, before=timedelta(days=90)))
    gaugebook("set", "every", "--limit", "20")
    assert "nothing on record lately" in gaugebook("outlook")
