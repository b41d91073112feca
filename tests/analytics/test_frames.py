from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.frames import native, panel
from store.errors import ColumnMissing, NoRows, ParameterInvalid, TooShort

LONG = pl.DataFrame({"unique_id": ["b", "a", "a", "b", "a"], "ds": [1, 4, 1, 2, 2], "y": [1, 8, 2, 3, None]})


def test_series_are_aligned_at_their_ends_and_gaps_are_nan():
    made = panel(LONG)
    assert made.ids.to_list() == ["a", "b"]
    assert made.ends.tolist() == [4, 2]
    np.testing.assert_array_equal(made.values, [[2, np.nan, np.nan, 8], [np.nan, np.nan, 1, 3]])


def test_the_history_names_the_gaps():
    assert panel(LONG).history().rows() == [
        ("a", 1, 2.0),
        ("a", 2, None),
        ("a", 3, None),
        ("a", 4, 8.0),
        ("b", 1, 1.0),
        ("b", 2, 3.0),
    ]


@pytest.mark.parametrize(
    ("times", "after"),
    [
        ([1, 2, 3], 4),
        ([date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)], date(2026, 1, 4)),
        ([datetime(2026, m, 1) for m in (11, 12)] + [datetime(2027, 1, 1)], datetime(2027, 2, 1)),
        ([datetime(2026, 1, 1, h, tzinfo=UTC) for h in (0, 1, 2)], datetime(2026, 1, 1, 3, tzinfo=UTC)),
    ],
)
def test_every_clock_goes_on(times, after):
    made = panel(pl.DataFrame({"ds": times, "y": [1.0, 2.0, 3.0]}))
    ahead = made.long({"y": np.array([[0.0]])}, np.array([1]))
    assert ahead["ds"][0] == after
    assert ahead["ds"].dtype == pl.Series(times).dtype


def test_a_zone_is_kept():
    times = pd.date_range("2026-01-01", periods=3, freq="h", tz="Europe/Berlin")
    made = panel(pd.DataFrame({"ds": times, "y": 1.0}))
    assert made.kind == "pandas"
    assert native(made.history(), "pandas")["ds"].dt.tz.key == "Europe/Berlin"


def test_column_names_are_the_callers():
    renamed = LONG.rename({"unique_id": "queue", "ds": "hour", "y": "depth"})
    made = panel(renamed, id_col="queue", time_col="hour", target_col="depth")
    assert made.history().columns == ["queue", "hour", "depth"]


@pytest.mark.parametrize(
    ("frame", "error", "says"),
    [
        (LONG.clear(), NoRows, "has no rows"),
        (LONG.rename({"y": "Y"}), ColumnMissing, "'y'"),
        (LONG.rename({"unique_id": "uniqe_id"}), ColumnMissing, "did you mean 'uniqe_id'"),
        (LONG.with_columns(pl.lit(None).alias("ds")), ParameterInvalid, "5 rows are null"),
        (LONG.with_columns(pl.lit("x").alias("y")), ParameterInvalid, "expected numbers"),
        (LONG.with_columns(pl.lit("2026").alias("ds")), ParameterInvalid, "parse it first"),
        (LONG.with_columns(pl.lit(float("inf")).alias("y")), ParameterInvalid, "infinite"),
        (pl.concat([LONG, LONG]), ParameterInvalid, "more than one row at 1"),
        (LONG.with_columns(pl.lit(None, pl.Float64).alias("y")), NoRows, "'a': every value is missing"),
        (LONG.unique("unique_id"), TooShort, "one row"),
        (pl.DataFrame({"ds": [0, 1, 10**9], "y": 1.0}), ParameterInvalid, "no regular grid"),
        ([1, 2], ParameterInvalid, "got list"),
        (pd.DataFrame({"ds": [1, "a"], "y": 1.0}), ParameterInvalid, "mixes types"),
        (LONG.with_columns(pl.lit(1e200).alias("y")), ParameterInvalid, "beyond 1e.140"),
        (
            pd.DataFrame({"ds": [pd.Timestamp("2026-01-01", tz="UTC"), pd.Timestamp("2026-01-02")], "y": 1.0}),
            ParameterInvalid,
            "some times have a zone and some have none",
        ),
    ],
)
def test_the_door_says_what_is_wrong(frame, error, says):
    with pytest.raises(error, match=says):
        panel(frame)


@given(st.dictionaries(st.tuples(st.sampled_from("abc"), st.integers(-50, 50)), st.floats(-1e9, 1e9), min_size=4))
def test_a_round_trip_loses_nothing(points):
    frame = pl.DataFrame([(i, t, y) for (i, t), y in points.items()], schema=["unique_id", "ds", "y"], orient="row")
    if frame["unique_id"].n_unique() == len(frame):
        return
    back = panel(frame).history().drop_nulls()
    assert {(i, t): y for i, t, y in back.iter_rows()} == points


def test_two_zones_in_one_column_are_one_clock():
    moments = [pd.Timestamp("2026-01-01", tz="UTC"), pd.Timestamp("2026-01-01 02:00", tz="Europe/Berlin")]
    made = panel(pd.DataFrame({"ds": moments, "y": [1.0, 2.0]}))
    assert made.grid.step_s == 3600
    assert made.values.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("kind", [pl.Categorical, pl.String])
def test_ids_of_any_kind_are_in_order(kind):
    made = panel(LONG.with_columns(pl.col("unique_id").cast(kind)))
    assert made.ids.to_list() == ["a", "b"]
