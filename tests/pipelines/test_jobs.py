"""Write-back jobs against a seeded store: what each writes, once for each slot, and from nothing that came later."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from analytics import changepoints, forecast, load
from pipelines import jobs
from pipelines.jobs import Result
from pipelines.jobs.forecasts import ahead
from pipelines.jobs.keep import Rows, keep
from pipelines.parameters import check
from store.connect import connect
from store.errors import ParameterInvalid, StoreError
from store.read import read
from tests.analytics.seed import HOUR, put_requests, request
from tests.pipelines.seeded import DAYS, END, LIMIT, SHIFT, SPIKE, START, TEAMS, begun, rows, written

DAY = timedelta(days=1)


def test_forecasts_are_those_that_analytics_makes_of_the_past_of_the_slot(seeded):
    slot = END - DAY + timedelta(minutes=10)
    run, counts = written(seeded, "forecasts", slot)
    series = {*TEAMS, "total"}
    assert counts == {"analytics.forecasts": 4 * 168, "analytics.forecast_totals": 4 * 2}
    steps, totals = rows(seeded, "forecasts"), rows(seeded, "forecast_totals")
    assert {row["unique_id"] for row in steps} == series
    assert {row["run_id"] for row in (*steps, *totals)} == {run}
    assert {(row["target"], row["source"], *row["by"], row["engine"]) for row in (*steps, *totals)} == {
        ("hourly cost_usd", "llm_requests", "team", "ensemble")
    }
    assert {(row["trained_from"], row["trained_until"]) for row in totals} == {(START, END - DAY - HOUR)}
    assert {(row["horizon"], row["since"], row["until"]) for row in totals} == {
        ("24h", END - DAY, END),
        ("7d", END - DAY, END + 6 * DAY),
    }
    past = load.llm(seeded, by=("team",), until=END - DAY)
    assert isinstance(past, pl.DataFrame)
    made = forecast(past, 24).totals()
    told = {row["unique_id"]: row for row in totals if row["horizon"] == "24h"}
    for row in made.iter_rows(named=True):
        kept = told[row["unique_id"]]
        assert (kept["total"], kept["lo_80"], kept["hi_95"]) == pytest.approx(
            (row["total"], row["total-lo-80"], row["total-hi-95"])
        )


def test_the_largest_are_told_apart_and_the_rest_together(seeded):
    written(seeded, "forecasts", END, top=1, horizons="24h")
    assert {row["unique_id"] for row in rows(seeded, "forecasts")} == {"search", "other", "total"}
    written(seeded, "forecasts", END + HOUR, by="", horizons="24h", value="requests")
    assert {row["unique_id"] for row in rows(seeded, "forecasts") if row["target"] == "hourly requests"} == {"total"}
    written(seeded, "forecasts", END + 2 * HOUR, source="queues", value="messages", by="queue")
    assert {row["unique_id"] for row in rows(seeded, "forecasts") if row["source"] == "rabbitmq_queues"} == {
        "orders",
        "quiet",
    }


def test_what_came_stands_beside_what_was_forecast(seeded):
    written(seeded, "forecasts", END - DAY, horizons="24h,7d")
    written(seeded, "forecasts", END - 6 * HOUR, horizons="24h")
    asked = {"target": "hourly cost_usd", "since": START, "until": END + 7 * DAY}
    found = read(seeded, "forecast_outcomes", **asked, lead_h=None)
    # The hour in progress, which the latest request is in, is not over.
    assert found.select(pl.col("ds").min().alias("a"), pl.col("ds").max().alias("b")).row(0) == (
        END - DAY,
        END - 2 * HOUR,
    )
    assert len(found) == 4 * (23 + 5)
    truth = load.llm(seeded, by=("team",), since=END - DAY)
    total = truth.group_by("ds").agg(pl.col("y").sum()).with_columns(unique_id=pl.lit("total"))
    joined = found.join(
        pl.concat([truth.select("unique_id", "ds", "y"), total.select("unique_id", "ds", "y")]), on=["unique_id", "ds"]
    )
    assert len(joined) == len(found)
    assert (joined["y"] - joined["y_right"]).abs().max() < 1e-9
    assert found.filter(unique_id="search", ds=END - DAY)["lead_h"].to_list() == [1.0]
    assert read(seeded, "forecast_outcomes", **asked, lead_h=3.0)["lead_h"].max() == 3.0
    latest = found.unique(["unique_id", "ds"], keep="first", maintain_order=True)
    assert latest.filter(pl.col("ds") >= END - 6 * HOUR)["trained_until"].unique().to_list() == [END - 7 * HOUR]


def test_a_slot_has_the_rows_of_one_run_however_often_it_is_made(seeded):
    _, one = written(seeded, "forecasts", END, horizons="2h", by="")
    second, two = written(seeded, "forecasts", END, attempt=2, horizons="2h", by="")
    assert one == two
    for table in ("forecasts", "forecast_totals"):
        assert {row["run_id"] for row in rows(seeded, table)} == {second}
    written(seeded, "forecasts", END + HOUR, horizons="2h", by="")
    assert len({row["run_id"] for row in rows(seeded, "forecasts")}) == 2


def test_a_run_that_was_taken_for_dead_writes_nothing(seeded):
    old = begun(seeded, "queues", END)
    result = jobs.job("queues")(old)
    new, _ = written(seeded, "queues", END, attempt=2)
    with pytest.raises(StoreError, match="took this run for dead"):
        keep(old, result, keep_days=400)
    assert {row["run_id"] for row in rows(seeded, "queue_outlooks")} == {new}


def test_a_row_that_cannot_be_stored_leaves_none_of_the_run(seeded):
    asked = begun(seeded, "forecasts", END)
    good = jobs.job("queues")(asked)
    bad = Rows("analytics.queue_outlooks", good.tables[0].columns, [(None, *good.tables[0].rows[0][1:])])
    with pytest.raises(StoreError, match="refused 1 rows, the first: "):
        keep(asked, Result([*good.tables, bad]), keep_days=400)
    assert rows(seeded, "queue_outlooks") == []


def test_anomalies_go_on_where_the_last_slot_ended(seeded):
    written(seeded, "anomalies", SPIKE)
    before = rows(seeded, "anomalies")
    assert not [row for row in before if row["ds"] >= SPIKE]
    run, _ = written(seeded, "anomalies", SPIKE + HOUR)
    (spike, whole) = sorted(
        (row for row in rows(seeded, "anomalies") if row["run_id"] == run), key=lambda row: row["unique_id"]
    )
    assert (spike["unique_id"], spike["ds"], spike["until"]) == ("search", SPIKE, SPIKE + HOUR)
    assert (whole["unique_id"], spike["severity"], spike["engine"]) == ("total", "critical", "streaming scorer")
    assert spike["impact"] == pytest.approx(spike["y"] - spike["expected"])
    assert (spike["trained_from"], spike["trained_until"]) == (START, SPIKE - HOUR)
    # Made once more, and with the state lost and found again, there is nothing new.
    kept = rows(seeded, "anomalies")
    assert written(seeded, "anomalies", SPIKE + HOUR, attempt=2)[1] == {"analytics.anomalies": 0}
    written(seeded, "anomalies", END)
    many = {(row["unique_id"], row["ds"]) for row in rows(seeded, "anomalies")}
    assert {(row["unique_id"], row["ds"]) for row in kept} <= many
    with connect(seeded) as connection:
        connection.execute("DELETE FROM analytics.scorer_states")
        connection.execute("DELETE FROM analytics.anomalies")
    written(seeded, "anomalies", END + HOUR)
    assert {(row["unique_id"], row["ds"]) for row in rows(seeded, "anomalies")} == many


def test_states_and_findings_are_kept_together_or_not_at_all(seeded):
    asked = begun(seeded, "anomalies", END)
    result = jobs.job("anomalies")(asked)
    assert result.states
    begun(seeded, "anomalies", END, attempt=2)
    with pytest.raises(StoreError, match="nothing was written"):
        keep(asked, result, keep_days=400)
    assert rows(seeded, "scorer_states") == rows(seeded, "anomalies") == []


def test_a_state_of_another_release_is_learnt_anew(seeded):
    with connect(seeded) as connection:
        connection.execute(
            "INSERT INTO analytics.scorer_states (target, unique_id, ds, state) VALUES ('hourly cost_usd', 'lab', %s, 'old')",
            [START],
        )
    written(seeded, "anomalies", END)
    assert {row["ds"] for row in rows(seeded, "scorer_states")} == {END - HOUR}


def test_change_points_are_those_of_analytics(seeded):
    written(seeded, "change_points", END)
    kept = [row for row in rows(seeded, "change_points") if row["unique_id"] == "ads"]
    made = changepoints(load.llm(seeded, by=("team",)).filter(unique_id="ads")).table
    assert [row["ds"] for row in kept] == made["ds"].to_list()
    (shift,) = [row for row in kept if abs(row["ds"] - SHIFT) <= 12 * HOUR]
    assert shift["ds_lo"] <= SHIFT <= shift["ds_hi"]
    assert shift["size"] > 0
    assert (shift["trained_from"], shift["trained_until"]) == (START, END - HOUR)


def test_budgets_stand_as_they_did_in_the_period_of_the_slot(seeded):
    written(seeded, "budgets", END)
    found = {row["budget"]: row for row in rows(seeded, "budget_outlooks")}
    assert set(found) == {"everything", "search month"}  # nothing on record for the other
    search = found["search month"]
    spent = load.llm(seeded, by=("team",)).filter(unique_id="search")["y"].sum()
    assert search["spent_usd"] == pytest.approx(spent)
    assert (search["starts_at"].isoformat(), search["resets_at"].isoformat()) == (
        "2026-03-01T00:00:00+00:00",
        "2026-04-01T00:00:00+00:00",
    )
    assert END < search["exhausted_at"] < search["resets_at"]
    assert search["lo_95"] < search["lo_80"] < search["total_usd"] < search["hi_80"] < search["hi_95"]
    assert found["everything"]["exhausted_at"] is None or found["everything"]["exhausted_at"] > search["exhausted_at"]
    day = START + 15 * DAY
    written(seeded, "budgets", day)
    early = [row for row in rows(seeded, "budget_outlooks") if row["trained_until"] == day - HOUR]
    assert {row["budget"] for row in early} == {"everything", "search month"}
    assert next(row["spent_usd"] for row in early if row["budget"] == "search month") < spent


def test_a_queue_that_fills_up_says_when(seeded):
    written(seeded, "queues", END)
    found = {row["queue"]: row for row in rows(seeded, "queue_outlooks")}
    orders, quiet = found["orders"], found["quiet"]
    assert (orders["max_length"], orders["messages"], orders["trained_until"]) == (LIMIT, 9_000, END)
    assert orders["full_s"] == pytest.approx(1_000 / 60 * 3600, rel=0.05)
    assert (orders["drain_s"], quiet["drain_s"], quiet["full_s"]) == (None, 0.0, None)
    assert orders["p_full"] > 0.5
    written(seeded, "queues", END + HOUR, top=1, max_length=5.0)
    assert {
        row["queue"] for row in rows(seeded, "queue_outlooks") if row["horizon_s"] and row["run_id"] != orders["run_id"]
    } == {"orders"}


def test_nothing_that_came_later_is_looked_at(seeded):
    slot = END - 2 * DAY
    written(seeded, "forecasts", slot, horizons="24h")
    before = {(row["unique_id"], row["ds"]): row["y_hat"] for row in rows(seeded, "forecasts")}
    put_requests(seeded, [request(10**6, DAYS * 24 - 24, team="search", cost=5000.0, minute=5)])
    try:
        written(seeded, "forecasts", slot, attempt=2, horizons="24h")
        after = {(row["unique_id"], row["ds"]): row["y_hat"] for row in rows(seeded, "forecasts")}
    finally:
        with connect(seeded) as connection:
            connection.execute("DELETE FROM metrics.llm_requests WHERE request_id = 'r1000000'")
        from store.rollup import refresh

        refresh(seeded)
    assert before == pytest.approx(after)


@pytest.mark.parametrize("name", jobs.NAMES)
def test_an_empty_store_is_no_failure(store, name):
    _, counts = written(store, name, END)
    assert sum(counts.values()) == 0


def test_old_rows_of_the_job_go_and_those_of_others_stay(seeded):
    written(seeded, "queues", END - 3 * DAY)
    other, _ = written(seeded, "forecasts", END, horizons="1h", by="")
    with connect(seeded) as connection:
        connection.execute("UPDATE analytics.queue_outlooks SET made_at = now() - interval '50 days'")
        connection.execute("UPDATE analytics.forecasts SET made_at = now() - interval '50 days'")
    new, _ = written(seeded, "queues", END, keep_days=30)
    assert {row["run_id"] for row in rows(seeded, "queue_outlooks")} == {new}
    assert {row["run_id"] for row in rows(seeded, "forecasts")} == {other}


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("forecasts", {"grain": "weekly"}, "'grain': must be one of hourly, daily, not 'weekly'"),
        ("forecasts", {"value": 3}, "'value': must be text, not 3"),
        ("anomalies", {"rate": 0.5}, "'rate': must be from 1e-06 to 0.2"),
        ("queues", {"horizont_h": 3}, "'horizont_h': does not exist; did you mean 'horizon_h'"),
        ("budgets", {"days": 0}, "'days': must be from 1 to 4000, not 0"),
    ],
)
def test_parameters_are_checked_as_those_of_a_notebook(name, given, says):
    with pytest.raises(ParameterInvalid) as caught:
        check(jobs.declared(name), given)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["", "24", "24x", "30h,", "h", "12h"])
def test_horizons_that_are_none(text):
    if text == "30h,":
        assert ahead(text, HOUR) == {"30h": 30}
    else:
        with pytest.raises(ParameterInvalid, match="horizons"):
            ahead(text, DAY)


def test_a_value_that_a_source_does_not_have(seeded):
    with pytest.raises(ParameterInvalid, match="source 'usage' has no 'errors'; it has requests, cost_usd"):
        jobs.job("forecasts")(begun(seeded, "forecasts", END), source="usage", value="errors")
