from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest

from analytics import budget, forecast
from store.errors import ColumnMissing, NoRows, ParameterInvalid, TooShort, UnknownName
from tests.analytics.seed import HOUR, NASTY, START, hours, seasonal

DAYS = 26
SPEND = pl.concat([seasonal(24 * DAYS, unique_id="a"), seasonal(24 * DAYS, seed=1, level=2, unique_id="b")])
END = datetime(2026, 4, 1, tzinfo=UTC)


LATE = datetime(2026, 3, 20, tzinfo=UTC)  # ten days from here leave two of March


def steady(count=240, usd=1.0):
    return pl.DataFrame({"ds": hours(count, LATE), "y": usd})


@pytest.fixture(scope="module")
def ahead():
    return budget.outlook(SPEND, 9000, n=1000)


def test_the_month_that_the_data_ends_in(ahead):
    row = ahead.table.row(0, named=True)
    assert ahead.period.sentence() == "2026-03-01 00:00 UTC to 2026-04-01 00:00 UTC"
    assert ahead.period.horizon == (END - START) // HOUR - 24 * DAYS
    assert row["spent"] == pytest.approx(SPEND["y"].sum())
    assert row["total-lo-95"] <= row["total-lo-80"] <= row["total"] <= row["total-hi-80"] <= row["total-hi-95"]
    # Twelve a hour for what is left of March.
    assert row["total"] == pytest.approx(12 * 24 * 30, rel=0.05)
    assert row["run_rate"] == pytest.approx(SPEND["y"].sum() * 31 / DAYS, rel=1e-6)


def test_the_probability_is_the_share_of_outcomes_and_falls_with_the_limit(ahead):
    limits = np.quantile(ahead.samples[0], [0.1, 0.5, 0.9])
    assert [ahead.probability(float(limit)) for limit in limits] == pytest.approx([0.9, 0.5, 0.1], abs=0.01)
    assert ahead.table["p_exceed"][0] == ahead.probability(9000)
    with pytest.raises(UnknownName):
        ahead.probability(1.0, "c")


def test_what_is_uncertain_is_shared_out(ahead):
    assert ahead.drivers["uncertainty"].sum() == pytest.approx(1)
    assert ahead.drivers["share"].sum() == pytest.approx(1)
    assert ahead.table["driver"].to_list() == ["a"]
    assert ahead.drivers["spent"].sum() == pytest.approx(SPEND["y"].sum())


def test_the_fan_begins_where_the_spend_ends_and_ends_at_the_period(ahead):
    known, coming = (ahead.fan.filter(pl.col(name).is_not_null()) for name in ("spent", "expected"))
    assert known["spent"][-1] == pytest.approx(ahead.table["spent"][0])
    assert coming["ds"][-1] == END
    assert coming["expected"][-1] == pytest.approx(ahead.table["total"][0])
    assert coming["ds"][0] == known["ds"][-1] + HOUR


def test_one_seed_one_outlook():
    again = [budget.outlook(SPEND, 9000, n=200, seed=seed).samples for seed in (1, 1, 2)]
    assert (again[0] == again[1]).all()
    assert not (again[0] == again[2]).all()


def test_a_budget_each(ahead):
    both = budget.outlook(SPEND, {"b": 1500.0, "a": 100.0}, n=1000)
    assert both.table["budget"].to_list() == ["a", "b"]
    assert both.table["p_exceed"][0] == 1.0
    assert both.probability(0.0, "b") == 1.0
    assert both.table["driver"].null_count() == 2
    assert both.table["total"].sum() == pytest.approx(ahead.table["total"][0], rel=0.05)


def test_each_budget_is_that_of_its_series_in_whatever_order():
    parts = [steady(usd=float(k)).with_columns(unique_id=pl.lit(f"s{k}")) for k in (3, 11, 2, 10)]
    made = budget.outlook(pl.concat(parts), {"s3": 1.0, "s11": 2.0, "s2": 3.0, "s10": 4.0}, n=100).table
    assert dict(made.select("budget", "total").iter_rows()) == pytest.approx(
        {f"s{k}": 288.0 * k for k in (2, 3, 10, 11)}
    )
    assert dict(made.select("budget", "limit").iter_rows()) == {"s3": 1.0, "s11": 2.0, "s2": 3.0, "s10": 4.0}


def test_the_outcomes_have_the_quantiles_of_the_forecasts_total():
    made = budget.outlook(SPEND.filter(unique_id="a"), 1e4, n=1000)
    total = forecast(SPEND.filter(unique_id="a"), made.period.horizon).totals(80).row(0, named=True)
    row = made.table.row(0, named=True)
    spent = row["spent"]
    assert row["total-lo-80"] - spent == pytest.approx(total["total-lo-80"], rel=0.01)
    assert row["total-hi-80"] - spent == pytest.approx(total["total-hi-80"], rel=0.01)


def test_steady_spend_is_used_up_when_arithmetic_says():
    made = budget.outlook(steady(), 260.5, since=LATE, n=100)
    row = made.table.row(0, named=True)
    assert (row["spent"], row["total"], row["p_exceed"]) == (240.0, 288.0, 1.0)
    assert row["exhausted"] == row["exhausted-lo-95"] == LATE + 260.5 * HOUR


def test_a_limit_that_is_passed_already_says_when():
    row = budget.outlook(steady(), 100.0, n=100).table.row(0, named=True)
    assert (row["p_exceed"], row["exhausted"]) == (1.0, LATE + 100 * HOUR)


def test_a_limit_out_of_reach_has_no_date():
    made = budget.outlook(steady(), 1e9, n=100)
    row = made.table.row(0, named=True)
    assert (row["p_exceed"], row["exhausted"], row["exhausted-hi-80"]) == (0.0, None, None)
    assert "not passed in any outcome" in made.sentence()


def test_a_period_that_is_over_is_certain():
    made = budget.outlook(steady(48), 40.0, since=LATE, until=LATE + timedelta(days=2))
    row = made.table.row(0, named=True)
    assert made.period.horizon == 0
    assert (row["total"], row["total-lo-80"], row["p_exceed"]) == (48.0, 48.0, 1.0)
    assert row["exhausted"] == LATE + 40 * HOUR
    assert made.plot().data


def test_what_the_frame_does_not_tell_can_be_given():
    plain, told = (budget.outlook(steady(), 2000.0, spent=spent, n=100).table for spent in (None, 1240.0))
    assert told["total"][0] == plain["total"][0] + 1000


def test_buckets_that_straddle_the_bounds_count_in_part():
    weeks = pl.DataFrame({"ds": [START + timedelta(days=7 * k) for k in range(20)], "y": 7.0})
    made = budget.outlook(weeks, 100.0, since="2026-07-01T00:00Z", until="2026-08-01T00:00Z", n=100)
    assert made.table["total"][0] == pytest.approx(31.0)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_the_calendar_is_that_of_the_frames_zone(zone):
    local = steady().with_columns(pl.col("ds").dt.convert_time_zone(zone))
    made = budget.outlook(local, 100.0, n=100)
    first = made.period.grid.times(np.array([made.period.since]))[0]
    assert (first.day, first.hour) == (1, 0)
    assert str(made.table["exhausted"].dtype.time_zone) == zone


def test_any_clock():
    numbers = pl.DataFrame({"ds": range(50), "y": 2.0})
    made = budget.outlook(numbers, 150.0, until=100, n=100).table.row(0, named=True)
    assert (made["total"], made["exhausted"]) == (200.0, 75.0)
    months = pl.DataFrame({"ds": [date(2025, month, 1) for month in range(1, 10)], "y": 5.0})
    yearly = budget.outlook(months, 55.0, period="year", n=100)
    assert yearly.table["total"][0] == 60.0
    days = pl.DataFrame({"ds": [datetime(2026, 3, day) for day in range(1, 21)], "y": 1.0})
    assert budget.outlook(days, 30.0, n=100).table["total"][0] == 31.0
    theirs = days.rename({"ds": "day", "y": "usd"}).to_pandas()
    made = budget.outlook(theirs, 30.0, time_col="day", target_col="usd", n=100)
    assert isinstance(made.to_native(), pd.DataFrame)


def test_silence_is_zero_and_null_is_unknown():
    gone = pl.concat([steady(240).with_columns(unique_id=pl.lit("a")), steady(100).with_columns(unique_id=pl.lit("b"))])
    made = budget.outlook(gone, 1000.0, n=100)
    assert made.drivers.filter(series="b")["spent"].item() == 100
    holes = steady().with_columns(y=pl.when(pl.col("ds").dt.hour() == 5).then(None).otherwise(pl.col("y")))
    made = budget.outlook(holes, 1000.0, n=100)
    assert made.table["spent"][0] == pytest.approx(240.0)
    assert "not known" in made.note


def test_credits_and_zeros():
    assert budget.outlook(steady(usd=0.0), 1.0, n=100).table["total"][0] == 0
    assert budget.outlook(steady(usd=0.0), 0.0, n=100).table["p_exceed"][0] == 0
    credit = budget.outlook(steady(usd=-1.0), 10.0, n=100).table.row(0, named=True)
    assert credit["total"] < 0 == credit["p_exceed"]


def test_a_short_history_has_no_probability_or_a_wide_one():
    two = budget.outlook(steady(2).with_columns(y=pl.Series([1.0, 2.0])), 100.0, n=100)
    row = two.table.row(0, named=True)
    assert row["p_exceed"] is None or 0 <= row["p_exceed"] <= 1
    assert two.sentence()


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"limit": float("nan")}, ParameterInvalid, "limit"),
        ({"limit": -1.0}, ParameterInvalid, "zero or more"),
        ({"limit": {}}, ParameterInvalid, "at least one series"),
        ({"limit": {"serie": 1.0}}, UnknownName, "did you mean 'series'"),
        ({"period": "fortnight"}, UnknownName, "no period 'fortnight'"),
        ({"since": "2026-05-01T00:00Z"}, ParameterInvalid, "before it begins"),
        ({"since": "yesterday"}, ParameterInvalid, "ISO"),
        ({"until": datetime(2026, 4, 1)}, ParameterInvalid, "no time zone"),
        ({"level": 120}, ParameterInvalid, "level"),
        ({"n": 10}, ParameterInvalid, "at least 100"),
        ({"target_col": "cost"}, ColumnMissing, "no column 'cost'"),
    ],
)
def test_bad_arguments(arguments, error, says):
    with pytest.raises(error, match=says):
        budget.outlook(steady(), **{"limit": 10.0, **arguments})


def test_awkward_frames():
    with pytest.raises(NoRows):
        budget.outlook(steady().clear(), 1.0)
    with pytest.raises(TooShort):
        budget.outlook(steady(1), 1.0)
    with pytest.raises(ParameterInvalid, match="more than one row"):
        budget.outlook(pl.concat([steady(5), steady(5)]), 1.0)
    with pytest.raises(ParameterInvalid, match="infinite"):
        budget.outlook(steady(5, float("inf")), 1.0)
    with pytest.raises(ParameterInvalid, match="integer times have no calendar"):
        budget.outlook(pl.DataFrame({"ds": range(9), "y": 1.0}), 1.0)


def test_two_zones_in_one_column_are_moments():
    moments = [pd.Timestamp("2026-01-01", tz="UTC"), pd.Timestamp("2026-01-02", tz="Europe/Berlin")]
    mixed = pd.DataFrame({"ds": [*moments, moments[0] + pd.Timedelta(hours=46)], "y": 1.0})
    made = budget.outlook(mixed, 100.0, since="2026-01-01T00:00Z", until="2026-01-05T00:00Z", n=100)
    assert made.table["spent"][0] == 3.0


def test_names_are_escaped_and_more_series_than_are_told_are_added_up():
    many = pl.concat([seasonal(48, seed=k, unique_id=f"{NASTY}{k}") for k in range(budget.LARGEST + 5)])
    made = budget.outlook(many, 1e6, period="week", n=100)
    assert len(made.drivers) == budget.LARGEST + 1
    assert "other (5)" in made.drivers["series"].to_list()
    assert "<script>" not in made._repr_html_()
