import numpy as np
import polars as pl
import pytest

from analytics import forecast
from analytics.repairs import moved
from tests.analytics.seed import hours, seasonal

T = np.arange(480)


def error(y, **options):
    """Mean absolute error of a day ahead against the shape without noise, at the level of the end of `y`."""
    made = forecast(pl.DataFrame({"ds": hours(len(y)), "y": y}), 24, season_length=24, **options)
    truth = 1 + 0.5 * np.sin(np.arange(len(y), len(y) + 24) / 24 * 2 * np.pi)
    return np.abs(made.to_polars()["y_hat"].to_numpy() - truth).mean(), made


@pytest.mark.parametrize("start", [400, 380, 300])
def test_after_a_level_shift_the_forecast_is_on_the_new_level(start):
    noise = np.random.default_rng(start).lognormal(0, 0.1, 480)
    shape = (1 + 0.5 * np.sin(T / 24 * 2 * np.pi)) * noise
    off, made = error(np.where(start > T, 20, 1) * shape)
    assert "1 on the level after a shift" in made.explain()
    assert off < 0.15
    table = made.to_polars()
    assert (table["y_hat-hi-95"] - table["y_hat-lo-95"]).mean() < 1.0


def test_seasons_trends_and_bursts_are_no_shifts():
    random = np.random.default_rng(0)
    for make in (
        lambda: 1.0 * seasonal(480, seed=int(random.integers(1e6)))["y"].to_numpy(),
        lambda: 10 + T / 10 + random.normal(0, 1, 480),
        lambda: random.lognormal(0, 1.5, 480),
        lambda: 100 + random.normal(0, 1, 480).cumsum(),
    ):
        series = np.stack([make() for _ in range(30)])
        assert (moved(series, (24,), positive=bool(series.min() > 0))[1] > 0).mean() <= 0.1


@pytest.mark.parametrize("gap", [(200, 260), (440, 470)], ids=["in the middle", "near the end"])
def test_a_gap_is_filled_by_its_season(gap):
    noise = np.random.default_rng(0).lognormal(0, 0.1, 480)
    y = (1 + 0.5 * np.sin(T / 24 * 2 * np.pi)) * noise
    whole, _ = error(y)
    holed, _ = error(np.where((gap[0] <= T) & (gap[1] > T), np.nan, y))
    assert holed < whole + 0.05
