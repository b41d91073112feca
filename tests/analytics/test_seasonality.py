"""Strength, shape and change of seasons, and a series taken apart."""

import numpy as np
import polars as pl
import pytest

from analytics import seasonality
from analytics.seasonal import changed, strength
from store.errors import ParameterInvalid, UnknownName
from tests.analytics.seed import NASTY, START, hours

T = np.arange(1008)
DAILY = np.sin(T / 24 * 2 * np.pi)


@pytest.mark.parametrize("noise", [0.1, 0.5, 1.0, 3.0])
def test_strength_is_the_share_that_the_season_explains(noise):
    random = np.random.default_rng(0)
    seen = np.mean([strength(T / 100 + DAILY + random.normal(0, noise, 1008), 24) for _ in range(20)])
    truth = 0.5 / (0.5 + noise**2)
    assert seen == pytest.approx(truth, abs=0.05)


def test_noise_has_no_strength():
    random = np.random.default_rng(0)
    assert np.mean([strength(random.normal(size=1008), 24) for _ in range(40)]) < 0.05
    assert strength(np.ones(30), 24) is None


def test_a_change_is_told_as_often_as_it_should_be():
    random = np.random.default_rng(0)
    same = [changed(DAILY * 2 + random.normal(size=1008), 24, seed=k) for k in range(100)]
    # A fair test: one in ten at 10 %.
    assert 0.03 <= np.mean(np.array(same) <= 0.1) <= 0.2
    moved = [changed(np.where(T < 504, DAILY, np.roll(DAILY, 6)) + random.normal(size=1008), 24) for _ in range(20)]
    assert np.mean(np.array(moved) <= 0.05) >= 0.9
    # Growth of the level alone is none.
    grown = [changed(2 * DAILY + T / 50 + random.normal(size=1008), 24, seed=k) for k in range(40)]
    assert np.mean(np.array(grown) <= 0.05) <= 0.15
    assert changed(DAILY[:100], 24) is None


def made(**columns):
    random = np.random.default_rng(0)
    week = np.where(T // 24 % 7 >= 5, 0.5, 1)
    y = 10 + 5 * week * (1 + DAILY) + random.normal(0, 0.3, 1008)
    return seasonality(pl.DataFrame({"ds": hours(1008), "y": y, **columns}))


def test_the_profile_is_the_mean_of_each_hour_of_the_week():
    found = made()
    profile = found.profile()
    assert len(profile) == 7 * 24
    assert profile["points"].sum() == 1008
    (row,) = profile.filter((pl.col("weekday") == START.isoweekday()) & (pl.col("hour") == 6)).rows(named=True)
    values = found.panel.values[0]
    assert row["mean"] == pytest.approx(values[6::168].mean())
    assert found.plot().data[0].type == "heatmap"


def test_the_parts_add_up():
    found = made()
    assert found.lengths("series") == (24, 168)
    parts = found.decomposition()
    assert parts.columns == ["ds", "y", "trend", "seasonal-24", "seasonal-168", "remainder"]
    total = parts.select(pl.sum_horizontal(pl.exclude("ds", "y"))).to_series()
    np.testing.assert_allclose(total, parts["y"], rtol=1e-9)
    assert parts["remainder"].std() < 1
    assert len(found.plot_decomposition().data) == 5


def test_integer_times_have_positions():
    found = seasonality(pl.DataFrame({"ds": T, "y": DAILY}))
    assert found.profile()["position"].to_list() == list(range(24))
    assert found.plot().data[0].type == "scatter"
    assert found.sentence() == "Confirmed: a season of 24 steps in 1 of 1 series (strength 1.00)."


@pytest.mark.parametrize("y", [np.zeros(200), np.full(200, np.nan), np.array([1.0, 2.0])], ids=["zeros", "one", "two"])
def test_the_plain(y):
    y = np.append(y, 1.0) if np.isnan(y).any() else y
    found = seasonality(pl.DataFrame({"ds": hours(len(y)), "y": y, "unique_id": NASTY}))
    assert found.sentence() == "No season was confirmed."
    assert len(found.decomposition()) >= 1
    assert len(found.profile()) >= 1
    assert "<script>" not in found._repr_html_() + found.plot().to_json()


def test_bad_names():
    with pytest.raises(UnknownName, match="no series 'x'"):
        made().profile("x")
    with pytest.raises(ParameterInvalid, match="season_length"):
        seasonality(pl.DataFrame({"ds": T, "y": DAILY}), season_length=1)
