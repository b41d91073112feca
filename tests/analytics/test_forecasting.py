import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import forecast
from store.errors import ColumnMissing, NoRows, ParameterInvalid, UnknownName
from tests.analytics.seed import HOUR, NASTY, START, hours, seasonal

ENGINES = ("ensemble", "seasonal_naive", "ets")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_columns_and_the_clock(engine):
    ahead = forecast(seasonal(240), 24, engine=engine).to_polars()
    assert ahead.columns == ["unique_id", "ds", "y_hat", "y_hat-lo-80", "y_hat-hi-80", "y_hat-lo-95", "y_hat-hi-95"]
    assert ahead["ds"].to_list() == [START + (240 + k) * HOUR for k in range(24)]
    assert ahead.select((pl.col("y_hat-lo-95") <= pl.col("y_hat-lo-80")).all()).item()
    assert ahead.select((pl.col("y_hat-hi-80") <= pl.col("y_hat-hi-95")).all()).item()
    truth = 10 * (1 + 0.5 * np.sin(np.arange(240, 264) / 24 * 2 * np.pi))
    # One naive season repeats the noise of one day; its standard deviation is 10 %.
    assert np.abs(ahead["y_hat"] / truth - 1).mean() < 0.12


def test_pandas_in_pandas_out_and_names_are_the_callers():
    frame = seasonal(240).to_pandas().rename(columns={"unique_id": "team", "ds": "hour", "y": "usd"})
    made = forecast(frame, 3, level=80, id_col="team", time_col="hour", target_col="usd")
    assert list(made.to_pandas().columns) == ["team", "hour", "y_hat", "y_hat-lo-80", "y_hat-hi-80"]
    assert isinstance(made.total(), pd.DataFrame)
    assert list(made.total().columns) == ["team", "total", "total-lo-80", "total-hi-80"]


def test_totals_are_sums_of_points_with_intervals_of_their_own():
    made = forecast(pl.concat([seasonal(480), seasonal(480, seed=1, unique_id="t")]), 48)
    sums = made.to_polars().group_by("unique_id", maintain_order=True).agg(pl.col("y_hat", "y_hat-hi-80").sum())
    totals = made.totals()
    np.testing.assert_allclose(totals["total"], sums["y_hat"])
    # Errors of hours partly cancel: adding up the bounds of hours would be far too wide.
    assert (totals["total-hi-80"] - totals["total"] < 0.6 * (sums["y_hat-hi-80"] - sums["y_hat"])).all()
    assert made.totals(50).columns == ["unique_id", "total", "total-lo-50", "total-hi-50"]


AWKWARD = {
    "zeros": np.zeros(100),
    "constant": np.full(100, 7.0),
    "two points": np.array([3.0, 4.0]),
    "short": np.array([3.0, 4.0, 3.5, 5.0, 4.0]),
    "intermittent": np.where(np.arange(200) % 9 == 0, 5.0, 0.0),
    "began late": np.concatenate([np.zeros(300), seasonal(60)["y"].to_numpy()]),
    "stopped": np.concatenate([seasonal(300)["y"].to_numpy(), np.zeros(60)]),
    "gaps": np.where(np.arange(300) % 10 < 2, np.nan, seasonal(300)["y"].to_numpy()),
    "ends in a gap": np.where(np.arange(300) > 280, np.nan, seasonal(300)["y"].to_numpy()),
    "huge": 1e18 * seasonal(300)["y"].to_numpy(),
    "tiny": 1e-12 * seasonal(300)["y"].to_numpy(),
    "a spike": np.where(np.arange(300) == 150, 1e9, seasonal(300)["y"].to_numpy()),
}


@pytest.mark.parametrize("horizon", [1, 30, 400], ids=lambda h: f"{h} ahead")
@pytest.mark.parametrize("kind", AWKWARD)
def test_awkward_histories_are_answered(kind, horizon):
    values = AWKWARD[kind]
    made = forecast(pl.DataFrame({"ds": hours(len(values)), "y": values}), horizon)
    points = made.to_polars()["y_hat"].to_numpy()
    assert np.isfinite(points).all()
    assert (points >= 0).all()
    assert points.max() <= 2 * np.nanmax(values)
    assert made.how().count("\n") == 1
    assert made.sentence()
    assert "<svg" in made._repr_html_()
    for bound in made.totals().select(pl.selectors.float()).iter_columns():
        assert (bound.drop_nulls() >= 0).all()


def test_what_can_be_negative_may_be():
    frame = seasonal(240).with_columns(pl.col("y") - 10)
    assert forecast(frame, 24).to_polars()["y_hat"].min() < 0


def test_two_points_have_no_interval_and_say_so():
    made = forecast(pl.DataFrame({"ds": hours(2), "y": [3.0, 4.0]}), 5)
    assert made.to_polars()["y_hat-hi-80"].is_null().all()
    assert "interval unknown" in made.sentence()


def test_a_team_that_began_late_is_not_forecast_from_the_zeros_before():
    made = forecast(pl.DataFrame({"ds": hours(360), "y": AWKWARD["began late"]}), 24)
    assert made.to_polars()["y_hat"].mean() == pytest.approx(10, rel=0.25)


def test_series_of_all_kinds_in_one_frame_keep_their_places():
    frames = [pl.DataFrame({"unique_id": kind, "ds": hours(len(y)), "y": y}) for kind, y in AWKWARD.items()]
    together = forecast(pl.concat(frames), 3, season_length=24).to_polars()
    for kind, y in AWKWARD.items():
        alone = forecast(pl.DataFrame({"ds": hours(len(y)), "y": y}), 3, season_length=24).to_polars()
        np.testing.assert_allclose(together.filter(unique_id=kind)["y_hat"], alone["y_hat"], rtol=1e-6, err_msg=kind)


def test_rows_in_any_order():
    frame = pl.concat([seasonal(240), seasonal(240, seed=1, unique_id="t")])
    shuffled = frame.sample(fraction=1, shuffle=True, seed=0)
    assert forecast(shuffled, 5).to_polars().equals(forecast(frame, 5).to_polars())


@settings(max_examples=15, deadline=None)
@given(st.floats(1e-6, 1e6))
def test_the_unit_does_not_matter(factor):
    frame = seasonal(120)
    scaled = forecast(frame.with_columns(pl.col("y") * factor), 12, season_length=24).to_polars()
    plain = forecast(frame, 12, season_length=24).to_polars()
    for name in plain.columns[2:]:
        np.testing.assert_allclose(scaled[name], plain[name] * factor, rtol=1e-5)


def test_days_have_weeks():
    t = np.arange(84)
    days = pl.date_range(pl.date(2026, 1, 5), pl.date(2026, 3, 29), eager=True)
    y = np.where(t % 7 >= 5, 20.0, 100.0) + np.random.default_rng(0).normal(0, 3, 84)
    made = forecast(pl.DataFrame({"ds": days, "y": y}), 14)
    assert "season 7" in made.explain()
    assert made.step == "day"
    np.testing.assert_allclose(made.to_polars()["y_hat"], np.where(np.arange(84, 98) % 7 >= 5, 20, 100), atol=12)


def test_depths_are_not_added_up():
    frame = pl.concat([seasonal(240), seasonal(240, level=99, unique_id=NASTY)])
    made = forecast(frame, 3, unit="messages", additive=False)
    assert made.sentence().startswith(f"In 3 hours, 2 series: {NASTY}: ")
    assert made.report()[2].columns[:3] == ["unique_id", "ds", "y_hat"]
    assert "<script>" not in made._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"horizon": 0}, ParameterInvalid, "at least 1, got 0"),
        ({"horizon": 1.5}, ParameterInvalid, "whole number"),
        ({"horizon": 3, "level": 0}, ParameterInvalid, "between 0 and 100"),
        ({"horizon": 3, "level": (80, 100)}, ParameterInvalid, "between 0 and 100"),
        ({"horizon": 3, "level": ()}, ParameterInvalid, "between 0 and 100"),
        ({"horizon": 3, "engine": "ensembel"}, UnknownName, "did you mean 'ensemble'"),
        ({"horizon": 3, "season_length": 1}, ParameterInvalid, "at least 2 steps"),
        ({"horizon": 3, "season_length": 2.5}, ParameterInvalid, "whole numbers of steps"),
        ({"horizon": 3, "season_length": "24"}, ParameterInvalid, "whole numbers of steps"),
        ({"horizon": True}, ParameterInvalid, "whole number"),
        ({"horizon": 3, "level": None}, ParameterInvalid, "between 0 and 100"),
        ({"horizon": 3, "level": "80"}, ParameterInvalid, "between 0 and 100"),
        ({"horizon": 3, "target_col": "yy"}, ColumnMissing, "did you mean 'y'"),
        ({"horizon": 3, "time_col": "dss"}, ColumnMissing, "did you mean 'ds'"),
    ],
)
def test_bad_arguments(arguments, error, says):
    with pytest.raises(error, match=says):
        forecast(seasonal(100), **arguments)


def test_no_rows():
    with pytest.raises(NoRows):
        forecast(seasonal(10).clear(), 3)


def test_a_season_longer_than_the_history_is_left_out():
    frame = seasonal(100)
    longer = forecast(frame, 3, season_length=(24, 1000)).to_polars()
    assert longer.equals(forecast(frame, 3, season_length=24).to_polars())
    assert "no season confirmed" in forecast(frame, 3, season_length=1000).explain()


def test_many_short_series():
    count = 3_000
    frame = pl.DataFrame(
        {
            "unique_id": np.repeat(np.arange(count), 10),
            "ds": np.tile(np.arange(10), count),
            "y": np.random.default_rng(0).poisson(3, 10 * count),
        }
    )
    made = forecast(frame, 2).to_polars()
    assert len(made) == 2 * count
    assert (made["y_hat"] >= 0).all()


def test_history_and_forecast_know_nothing_of_the_unit_however_small():
    frame = seasonal(240)
    tiny = forecast(frame.with_columns(pl.col("y") * 1e-120), 12, season_length=24).to_polars()
    plain = forecast(frame, 12, season_length=24).to_polars()
    np.testing.assert_allclose(tiny["y_hat"], plain["y_hat"] * 1e-120, rtol=1e-6)
