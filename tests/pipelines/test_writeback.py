from uuid import uuid4

import polars as pl
import pytest

from analytics import anomalies, forecast
from pipelines.writeback import save_anomalies, save_forecast
from store.connect import connect
from store.errors import ParameterInvalid
from tests.analytics.seed import HOUR, START, seasonal

TWO = pl.concat([seasonal(240), seasonal(240, seed=1, unique_id="t")])


def rows(settings, table):
    with connect(settings) as connection:
        cursor = connection.execute(f"SELECT * FROM {table} ORDER BY unique_id, ds")
        return [dict(zip([column.name for column in cursor.description], row, strict=True)) for row in cursor]


def test_a_forecast_comes_back_as_it_was(any_store):
    made = forecast(TWO, 24)
    assert save_forecast(any_store, made, "hourly cost_usd").written == 48
    kept = rows(any_store, "analytics.forecasts")
    for row, told in zip(kept, made.to_polars().iter_rows(named=True), strict=True):
        assert [row[k] for k in ("unique_id", "ds", "y_hat")] == [told[k] for k in ("unique_id", "ds", "y_hat")]
        assert [row[k] for k in ("lo_80", "hi_80", "lo_95", "hi_95")] == [
            told[f"y_hat-{k}"] for k in ("lo-80", "hi-80", "lo-95", "hi-95")
        ]
    assert {(row["target"], row["engine"], row["trained_from"], row["trained_until"]) for row in kept} == {
        ("hourly cost_usd", "ensemble", START, START + 239 * HOUR)
    }


def test_the_same_run_is_written_once_and_another_beside_it(store):
    made, run = forecast(TWO, 3), uuid4()
    assert save_forecast(store, made, "t", run_id=run).written == 6
    assert save_forecast(store, made, "t", run_id=run).written == 0
    assert save_forecast(store, made, "t").written == 6


def test_bounds_that_are_not_known_or_not_asked_for_are_null(store):
    save_forecast(store, forecast(TWO, 1, level=80), "one level")
    save_forecast(store, forecast(TWO.group_by("unique_id").tail(2), 1), "short")
    kept = rows(store, "analytics.forecasts")
    assert {row["lo_95"] for row in kept} == {None}
    assert {row["lo_80"] is None for row in kept if row["target"] == "short"} == {True}
    assert {row["lo_80"] is None for row in kept if row["target"] == "one level"} == {False}


def test_findings_come_back_as_they_were(any_store):
    frame = TWO.with_columns(pl.when(pl.col("ds") == START + 200 * HOUR).then(99.0).otherwise("y").alias("y"))
    found = anomalies(frame)
    assert save_anomalies(any_store, found, "hourly cost_usd").written == len(found.findings) >= 2
    columns = found.findings.columns
    assert [{k: row[k] for k in columns} for row in rows(any_store, "analytics.anomalies")] == found.findings.sort(
        "unique_id", "ds"
    ).to_dicts()


def test_no_findings_are_no_rows(store):
    assert save_anomalies(store, anomalies(seasonal(30)), "t").written == 0


def test_names_are_the_callers(store):
    frame = TWO.rename({"unique_id": "team", "ds": "hour", "y": "usd"})
    names = {"id_col": "team", "time_col": "hour", "target_col": "usd"}
    assert save_forecast(store, forecast(frame, 2, **names), "t").written == 4
    save_anomalies(store, anomalies(frame, 0.05, **names), "t")


@pytest.mark.parametrize(
    "times", [pl.int_range(240, eager=True), TWO["ds"][:240].dt.replace_time_zone(None)], ids=["integers", "naive"]
)
def test_only_moments_can_be_saved(store, times):
    frame = seasonal(240).with_columns(ds=times)
    with pytest.raises(ParameterInvalid, match="datetimes with a zone"):
        save_forecast(store, forecast(frame, 2), "t")
    with pytest.raises(ParameterInvalid, match="datetimes with a zone"):
        save_anomalies(store, anomalies(frame), "t")
