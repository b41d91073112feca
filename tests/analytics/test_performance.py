"""Speed and failures by model, objectives, hours of the week, causes of findings, and the record of forecasts."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from analytics import anomalies, backtest, causes, charts, performance, track_record
from store.errors import ColumnMissing, NoneYet, NoRows, ParameterInvalid, TooShort

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def latency(**models):
    """Percentiles of a span: model=(requests, errors, ttft_p95_s)."""
    rows = [
        {"model": name, "requests": n, "errors": failed, "ttft_p50_s": None if p95 is None else p95 / 3, "ttft_p95_s": p95,
         "tpot_p50_s": None if p95 is None else 0.02, "duration_p95_s": 5.0}
        for name, (n, failed, p95) in models.items()
    ]  # fmt: skip
    schema = {"ttft_p50_s": pl.Float64, "ttft_p95_s": pl.Float64, "tpot_p50_s": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=schema)


def failures(**models):
    """model=(rate_limit, timeout, server, client, other)."""
    names = ("rate_limit", "timeout", "server", "client", "other")
    rows = [{"ds": START, "model": name, **dict(zip(names, counts, strict=True))} for name, counts in models.items()]
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(names, pl.Int64))


def test_speeds_compare_and_name_the_slowest_and_what_fails():
    now = latency(fast=(900, 9, 0.3), slow=(100, 5, 3.0), silent=(50, 0, None), rare=(2, 0, 60.0))
    made = performance.speeds(
        now, latency(fast=(500, 0, 0.3), slow=(500, 0, 1.5)), failures(slow=(1, 0, 4, 0, 0), fast=(9, 0, 0, 0, 0))
    )
    table = {row["model"]: row for row in made.table.iter_rows(named=True)}
    assert table["slow"]["ttft_delta_pct"] == pytest.approx(100)
    assert table["fast"]["tokens_per_s"] == pytest.approx(50)
    assert (table["silent"]["ttft_delta_pct"], table["slow"]["error_share"]) == (None, 0.05)
    assert made.failures.rows() == [("fast", "rate limit", 9), ("slow", "server", 4), ("slow", "rate limit", 1)]
    assert "first token of slow comes within 3 s" in made.sentence()  # two requests are no percentile
    assert "1.3 % of 1,052 requests failed" in made.sentence()
    advice = " ".join(made.advice())
    assert "5.0 % of the requests of slow fail: retry with a back-off" in advice
    assert "first token of slow takes 3 s, 100 % longer" in advice
    assert len(made.plot().data[0].x) == 3


def test_speeds_without_any_first_token():
    made = performance.speeds(latency(a=(50, 0, None)), latency(a=(1, 0, None)).clear(), failures(a=(0, 0, 0, 0, 0)))
    assert "no request has told when its first token came" in made.sentence()
    assert (made.plot(), made.advice(), made.failed()) == (None, [], ("No request failed.", None))
    with pytest.raises(NoRows):
        performance.speeds(latency(a=(0, 0, None)), latency(a=(1, 0, None)), failures(a=(0, 0, 0, 0, 0)))


def objective(**models):
    """Two days: model=(requests, errors, measured, within) each day."""
    rows = [
        {
            "ds": START + timedelta(days=day),
            "model": name,
            "requests": n,
            "errors": failed,
            "measured": told,
            "within": kept,
        }
        for name, (n, failed, told, kept) in models.items()
        for day in (0, 1)
    ]
    return pl.DataFrame(rows)


def test_an_objective_counts_slow_and_failed_and_leaves_out_what_told_nothing():
    made = performance.slo(objective(a=(100, 10, 80, 72.0), b=(50, 0, 0, 0.0), c=(100, 0, 100, 100.0)), 2.0, 0.9)
    rows = {row["model"]: row for row in made.table.iter_rows(named=True)}
    assert rows.keys() == {"a", "c"}  # b neither failed nor told
    assert rows["a"]["bad_share"] == pytest.approx(1 - 72 / 90)
    assert (rows["a"]["slow"], rows["c"]["bad_share"]) == (16, 0.0)
    assert made.good_share == pytest.approx(172 / 190)
    assert made.budget_used == pytest.approx((18 / 190) / 0.1)
    assert made.days["good_share"].to_list() == pytest.approx([172 / 190] * 2)
    assert "is met" in made.sentence()
    missed = performance.slo(objective(a=(100, 10, 80, 72.0)), 2.0, 0.95)
    assert "is missed" in missed.sentence()
    assert "failures" in missed.advice()[0]
    assert "Retry" in missed.advice()[0]
    assert "faster" in performance.slo(objective(a=(100, 1, 90, 50.0)), 2.0, 0.95).advice()[0]
    assert missed.plot().layout.title.text == "Good requests by day, of 95 %"


def test_an_objective_that_cannot_be_measured_is_refused():
    with pytest.raises(TooShort):
        performance.slo(objective(b=(50, 0, 0, 0.0)), 2.0)
    with pytest.raises(ParameterInvalid):
        performance.slo(objective(b=(50, 0, 0, 0.0)), 2.0, 1.0)
    with pytest.raises(ColumnMissing):
        performance.slo(objective(b=(1, 1, 1, 1.0)).drop("within"), 2.0)


def test_the_week_names_its_worst_hour():
    hours = pl.DataFrame(
        {"weekday": [1, 1, 7], "hour": [9, 10, 23], "requests": [50, 50, 5], "ttft_s": [0.4, 0.8, 9.0]}
    )
    assert "Monday at 10:00 UTC: 800 ms, 1.3 times" in performance.worst_hours(hours)
    with pytest.raises(TooShort):
        performance.worst_hours(hours.with_columns(requests=1))
    figure = charts.week(hours, "ttft_s", title="First token", unit="seconds")
    assert [list(row) for row in figure.data[0].z] == [[0.4, 0.8, None], [None, None, 9.0]]
    assert list(figure.data[0].y) == ["Monday", "Sunday"]
    with pytest.raises(NoRows):
        charts.week(hours.clear(), "ttft_s", title="")


def spike():
    """Two teams on one model; in one hour one of them sends eight times as much."""
    random = np.random.default_rng(1)
    rows = []
    for hour in range(24 * 20):
        for team, project in (("a", "p"), ("b", "q")):
            sent = int(random.poisson(40)) * (8 if (team, hour) == ("b", 400) else 1)
            each = 0.01 * (3 if (team, hour) == ("a", 440) else 1)
            rows.append({"bucket": START + hour * HOUR, "model": "m", "team": team, "project": project,
                         "requests": sent, "total_cost": sent * each})  # fmt: skip
    return pl.DataFrame(rows)


def test_a_finding_is_blamed_on_who_and_how():
    rows = spike()
    series = rows.group_by(pl.col("bucket").alias("ds"), unique_id="model").agg(y=pl.col("total_cost").sum())
    found = causes(anomalies(series, unit="USD"), rows)
    table = {row["ds"]: row for row in found.table.iter_rows(named=True)}
    more, dearer = table[START + 400 * HOUR], table[START + 440 * HOUR]
    assert more["cause"].startswith(("team b:", "project q:"))
    assert "times the usual requests" in more["how"]
    assert "as dear" not in more["how"]
    assert dearer["cause"].startswith(("team a:", "project p:"))
    assert dearer["how"].endswith("times as dear a request")
    assert found.table["ds"][0] == START + 400 * HOUR  # the worst first
    assert "times the usual requests" in found.sentence()
    assert "team b" in found.advice()[0] or "project q" in found.advice()[0]
    assert found.for_people().columns[:3] == ["series", "ds", "lasted_s"]


def test_findings_without_rows_have_no_cause_and_none_no_table():
    rows = spike()
    series = rows.group_by(pl.col("bucket").alias("ds"), unique_id="model").agg(y=pl.col("total_cost").sum())
    found = causes(anomalies(series, unit="USD"))
    assert found.table["cause"].null_count() == len(found.table)
    quiet = causes(anomalies(series.head(300), unit="USD").since(START + 1000 * HOUR))
    assert (quiet.for_people(), quiet.advice()) == (None, [])


def stored(hours=240, runs=3, *, bias=0.0, width=1.3, seed=0):
    """Forecasts of noise about ten, from several moments, with bounds that are `width` standard deviations wide."""
    random = np.random.default_rng(seed)
    came = random.normal(10, 1, hours)
    rows = []
    for run in range(runs):
        for k in range(run * 24, hours):
            y_hat = 10 + bias
            rows.append(
                {"run_id": f"r{run}", "target": "hourly cost_usd", "unique_id": "a", "ds": START + k * HOUR,
                 "lead_h": float(k - run * 24 + 1), "y": came[k], "y_hat": y_hat, "lo_80": y_hat - width, "hi_80": y_hat + width,
                 "lo_95": None, "hi_95": None, "trained_until": START + (run * 24 - 1) * HOUR}
            )  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"lo_95": pl.Float64, "hi_95": pl.Float64})


def test_the_record_is_that_of_a_naive_loop():
    frame = stored(bias=0.5)
    made = track_record(frame)
    (row,) = made.table.rows(named=True)
    errors = [y_hat - y for y, y_hat in frame.select("y", "y_hat").rows()]
    size = frame["y"].abs().sum()
    assert row["error"] == pytest.approx(np.mean(np.abs(errors)))
    assert row["error_share"] == pytest.approx(sum(map(abs, errors)) / size)
    assert row["bias_share"] == pytest.approx(sum(errors) / size)
    inside = [low <= y <= high for y, low, high in frame.select("y", "lo_80", "hi_80").rows()]
    assert row["coverage_80"] == pytest.approx(np.mean(inside))
    assert (row["coverage_95"], row["runs"], row["points"]) == (None, 3, len(frame))
    assert made.leads["ahead"].to_list() == ["first hour", "first day", "first week", "later"]
    assert made.leads["points"].to_list() == [3, 69, 432, 144]
    assert made.latest["ds"].is_sorted()
    assert len(made.latest) == 240
    assert "cost_usd of a was off by" in made.sentence()


def test_the_latest_forecast_before_an_hour_is_shown():
    marked = stored(runs=2).with_columns(y_hat=pl.when(pl.col("run_id") == "r1").then(1.0).otherwise(2.0))
    latest = track_record(marked).latest
    assert latest["y_hat"].to_list() == [2.0] * 24 + [1.0] * 216


def test_forecasts_that_are_not_to_be_trusted_are_named():
    narrow = track_record(stored(width=0.2)).advice()
    assert "too narrow" in narrow[0]
    sided = track_record(stored(bias=3.0, width=9.0)).advice()
    assert sided == ["Look at what changed in cost_usd of a: forecasts are 30 % too high."]
    assert track_record(stored(width=1.35)).advice() == []


def test_nothing_stored_says_what_stores_some():
    with pytest.raises(NoneYet, match='write = "forecasts"'):
        track_record(stored().clear())
    with pytest.raises(NoneYet):
        track_record(stored().with_columns(y=pl.lit(None, pl.Float64)))


def test_a_backtest_has_a_record_too():
    hours = [START + k * HOUR for k in range(24 * 12)]
    y = [10 + 3 * np.sin(k / 24 * 2 * np.pi) for k in range(24 * 12)]
    noisy = np.asarray(y) + np.random.default_rng(0).normal(0, 0.3, len(y))
    tried = backtest(pl.DataFrame({"ds": hours, "y": noisy}), 24, windows=2, metrics=("mase", "coverage"))
    made = track_record(tried)
    own = tried.forecasts.filter(pl.col("engine") == tried.best)
    assert made.table["error"][0] == pytest.approx((own["y"] - own["y_hat"]).abs().mean())
    assert made.table["coverage_80"][0] == pytest.approx(tried.table["coverage_80"][0])
    assert made.sentence().startswith("In a backtest 2 forecasts met 48 hours")
    assert made.leads["ahead"].to_list() == ["first hour", "first day"]
