"""Where a month ends, and how declared budgets stand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from analytics import cost, standings
from store.errors import ColumnMissing, NoRows, ParameterInvalid, TooShort

START = datetime(2026, 2, 1, tzinfo=UTC)


def spend(hours, *, level=1.0, start=START, noise=0.1):
    random = np.random.default_rng(0)
    times = [start + timedelta(hours=k) for k in range(hours)]
    return pl.DataFrame({"unique_id": "total", "ds": times, "y": level * np.maximum(0, random.normal(1, noise, hours))})


def test_a_month_ends_between_its_bounds_and_is_compared_with_a_whole_one():
    frame = spend((28 + 14) * 24)
    made = cost.landing(frame)
    row = made.row
    february = frame.filter(pl.col("ds") < datetime(2026, 3, 1, tzinfo=UTC))["y"].sum()
    assert row["before"] == pytest.approx(february)
    assert row["spent"] == pytest.approx(frame["y"].sum() - february)
    assert row["total-lo-95"] < row["total-lo-80"] < row["total"] < row["total-hi-80"] < row["total-hi-95"]
    assert row["total"] == pytest.approx(31 * 24, rel=0.02)
    assert "of February" in made.sentence()
    assert "so far and will end at" in made.sentence()
    assert [trace.name for trace in made.plot().data][-1] == "March"
    assert made.advice() == []


def test_a_month_that_grows_much_is_a_decision_and_half_a_month_is_no_comparison():
    grown = pl.concat([spend(28 * 24), spend(14 * 24, level=2.0, start=datetime(2026, 3, 1, tzinfo=UTC))])
    assert "more than in February" in cost.landing(grown).advice()[0]
    alone = cost.landing(spend(14 * 24, start=datetime(2026, 3, 1, tzinfo=UTC)))
    assert alone.row["before"] is None
    assert "before_usd" not in alone.for_people().columns
    late = cost.landing(spend(30 * 24, start=datetime(2026, 2, 10, tzinfo=UTC)))
    assert late.row["before"] is None  # February is not whole


def test_a_month_that_is_over_has_ended():
    made = cost.landing(spend(28 * 24))
    assert made.row["total"] == pytest.approx(made.row["spent"])
    assert made.sentence().startswith("February cost $")


def test_requests_are_no_money():
    made = cost.landing(spend(20 * 24), unit="requests")
    assert "has had" in made.sentence()
    assert made.plot().layout.title.text.startswith("Requests of February")


@pytest.mark.parametrize(
    ("frame", "error"),
    [(spend(0), NoRows), (spend(30), TooShort), (spend(60).drop("y"), ColumnMissing),
     (spend(60).with_columns(ds=pl.int_range(60)), ParameterInvalid)],
)  # fmt: skip
def test_what_cannot_be_used_is_named(frame, error):
    with pytest.raises(error):
        cost.landing(frame)


def rows(hours=24 * 14):
    times = [datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=k) for k in range(hours)]
    each = [("a", "p", "gpt-5", 1.0), ("a", "q", "o3", 0.5), ("b", "p", "gpt-5-mini", 0.1)]
    return pl.concat(
        pl.DataFrame({"bucket": times, "team": team, "project": project, "model": model, "total_cost": usd})
        for team, project, model, usd in each
    )


def budget(name, limit, *, team=None, project=None, model=None, by_key=False, month=3):
    return {
        "name": name, "team": team, "project": project, "model": model, "by_key": by_key, "period": "month",
        "limit_usd": limit, "starts_at": datetime(2026, month, 1, tzinfo=UTC), "ends_at": datetime(2026, month + 1, 1, tzinfo=UTC),
    }  # fmt: skip


def test_each_budget_counts_its_own_spend_and_the_endangered_come_first():
    declared = [
        budget("all", 2000.0), budget("team", 500.0, team="a"), budget("models", 9999.0, model="gpt-*"),
        budget("one", 10.0, model="gpt-5"), budget("key", 1.0, by_key=True), budget("none", 5.0, team="c"),
    ]  # fmt: skip
    found = standings(pl.DataFrame(declared), rows())
    table = {row["budget"]: row for row in found.table.iter_rows(named=True)}
    hours, whole = 24 * 14, 24 * 31
    spent = {"all": 1.6, "team": 1.5, "models": 1.1, "one": 1.0}
    for name, usd in spent.items():
        assert table[name]["spent_usd"] == pytest.approx(usd * hours)
        assert table[name]["total_usd"] == pytest.approx(usd * whole, rel=1e-6)
        assert table[name]["p_exceed"] == float(usd * whole > table[name]["limit_usd"])
    assert table["team"]["exhausted"] == datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=500 / 1.5)
    assert (table["key"]["p_exceed"], table["none"]["spent_usd"]) == (None, None)
    assert table["key"]["counts"] == "one API key"
    assert table["models"]["counts"] == "model gpt-*"
    assert found.table["p_exceed"].to_list()[:2] == [1.0, 1.0]
    assert "2 of 6 budgets" in found.sentence()
    assert len(found.advice()) == 2
    assert found.plot() is not None


def test_budgets_that_hold_and_none_at_all():
    held = standings(pl.DataFrame([budget("all", 5000.0)]), rows())
    assert held.sentence() == "The one budget will probably hold."
    assert held.advice() == []
    none = standings(pl.DataFrame([budget("x", 1.0)]).clear(), rows())
    assert "No budget is declared" in none.sentence()
    assert (none.plot(), none.for_people()) == (None, None)
    assert len(none.advice()) == 1


def test_a_budget_of_a_period_without_data_has_no_outlook():
    found = standings(pl.DataFrame([budget("later", 1.0, month=5)]), rows())
    assert found.table["p_exceed"].to_list() == [None]
    assert found.plot() is None
