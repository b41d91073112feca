from datetime import timedelta

import pandas as pd
import polars as pl
import pytest

from analytics import forecast, quality
from store.errors import ColumnMissing, GaugebookError, NoRows, ParameterInvalid
from tests.analytics.seed import NASTY, START, hours, seasonal

WIDE = pl.DataFrame({
    "bucket": hours(4), "model": ["a", "a", NASTY, "a"], "requests": [10, 0, 5, 5], "errors": 0,
    "total_cost": [1.0, None, None, 1.0], "unpriced": [0, 0, 5, 0], "unmetered": [1, 0, 0, 0],
})  # fmt: skip


def test_what_llm_rows_lack():
    found = quality.check(WIDE)
    assert (found.requests, found.unpriced, found.unmetered, found.silent, found.buckets) == (20, 5, 1, 1, 4)
    assert "5 of 20 requests (25 %) have no known price" in found.sentence()
    assert isinstance(quality.check(WIDE.to_pandas()).to_native(), pd.DataFrame)
    assert "<script>" not in found._repr_html_()


def faulty():
    bad = [
        (NASTY, START, 1.0), (NASTY, START, 2.0), (NASTY, START + timedelta(hours=1), None),
        (NASTY, START + timedelta(hours=5), float("inf")), (NASTY, START + timedelta(hours=6), -3.0),
    ]  # fmt: skip
    return pl.concat([seasonal(48, unique_id="good"), pl.DataFrame(bad, schema=["unique_id", "ds", "y"], orient="row").cast({"ds": pl.Datetime("us", "UTC")})])  # fmt: skip


def test_every_fault_of_a_series_is_counted():
    bad, good = quality.check(faulty()).table.rows(named=True)
    assert (bad["unique_id"], bad["missing"], bad["gaps"], bad["duplicates"]) == (NASTY, 1, 3, 1)
    assert (bad["infinite"], bad["negative"], bad["zeros"], bad["constant"], bad["late"]) == (1, 1, 0, False, 41)
    assert [good[name] for name in ("missing", "gaps", "duplicates", "infinite", "negative", "late")] == [0] * 6


def test_the_sentence_tells_them_or_that_there_are_none():
    said = quality.check(faulty()).sentence()
    assert "infinite values 1 (in 1 series)" in said
    assert quality.check(seasonal(48)).sentence() == "1 series, 48 rows: complete."
    assert "one value only" in quality.check(seasonal(48).with_columns(y=pl.lit(1.0))).sentence()


@pytest.mark.parametrize("rows", [slice(0, 48), slice(48, 53), slice(48, 50), slice(50, 52)])
def test_sound_is_what_forecast_takes(rows):
    frame = faulty()[rows.start : rows.stop]
    found = quality.check(frame)
    if found.sound:
        forecast(frame, 2)
    else:
        with pytest.raises(GaugebookError):
            forecast(frame, 2)


def test_any_frame():
    theirs = seasonal(10).rename({"unique_id": "who", "ds": "when", "y": "usd"}).to_pandas()
    found = quality.check(theirs, id_col="who", time_col="when", target_col="usd")
    assert isinstance(found.to_native(), pd.DataFrame)
    assert found.sound
    assert quality.check(pl.DataFrame({"ds": range(5), "y": 1})).table["unique_id"].to_list() == ["series"]


def test_awkward_input():
    with pytest.raises(NoRows):
        quality.check(seasonal(5).clear())
    with pytest.raises(NoRows):
        quality.check(WIDE.clear())
    with pytest.raises(ColumnMissing, match="did you mean 'yy'"):
        quality.check(seasonal(5).rename({"y": "yy"}))
    with pytest.raises(ColumnMissing, match="unmetered"):
        quality.check(WIDE.drop("unmetered"))
    with pytest.raises(ParameterInvalid, match="numbers"):
        quality.check(seasonal(5).with_columns(y=pl.lit("a")))
    with pytest.raises(ParameterInvalid, match="datetimes"):
        quality.check(seasonal(5).with_columns(ds=pl.lit("a")))
    one = quality.check(seasonal(1)).table.row(0, named=True)
    assert (one["rows"], one["gaps"], one["constant"]) == (1, 0, False)
