import numpy as np
import polars as pl
import pytest

from analytics import forecast
from analytics.analogues import analogues
from analytics.intervals import Rolling
from store.errors import ParameterInvalid
from tests.analytics.seed import hours, seasonal


def bursty(count, seed, unique_id):
    random = np.random.default_rng(seed)
    y = np.where(random.random(count) < 0.4, random.lognormal(2, 1, count), 0.0)
    return pl.DataFrame({"unique_id": unique_id, "ds": hours(count), "y": y})


FRAMES = {
    "seasonal": pl.concat([seasonal(480, seed=k, unique_id=str(k)) for k in range(8)]),
    "one": seasonal(480),
    "bursty": pl.concat([bursty(480, k, str(k)) for k in range(8)]),
    "both": pl.concat([seasonal(480, unique_id="s"), *(bursty(480, k, str(k)) for k in range(5))]),
}


@pytest.fixture(scope="module", params=FRAMES)
def made(request):
    return forecast(FRAMES[request.param], 24, (50, 80, 95), season_length=24)


def test_paths_have_the_quantiles_of_points(made):
    drawn = made.paths(2000)
    table = made.to_polars()
    shape = (len(made.panel.ids), made.horizon)
    assert drawn.shape == (shape[0], 2000, shape[1])
    wide = (table["y_hat-hi-95"] - table["y_hat-lo-95"]).to_numpy().reshape(shape)
    for level in (80, 95):
        for name, tail in (("lo", (100 - level) / 200), ("hi", (100 + level) / 200)):
            bound = table[f"y_hat-{name}-{level}"].to_numpy().reshape(shape)
            apart = np.abs(np.quantile(drawn, tail, axis=1) - bound) / wide
            # Two thousand draws, the small move that gives sums their quantiles, gaps between few analogues.
            assert apart.mean() < 0.12


def test_sums_of_paths_have_the_quantiles_of_the_total(made):
    sums = made.paths(4000).sum(axis=2)
    totals = made.totals()
    wide = (totals["total-hi-95"] - totals["total-lo-95"]).to_numpy()
    for level in (50, 80, 95):
        for name, tail in (("lo", (100 - level) / 200), ("hi", (100 + level) / 200)):
            apart = np.abs(np.quantile(sums, tail, axis=1) - totals[f"total-{name}-{level}"].to_numpy()) / wide
            assert apart.max() < 0.15


def test_the_seed_names_the_paths_and_a_series_keeps_its_own():
    made = forecast(FRAMES["seasonal"], 24, season_length=24)
    np.testing.assert_array_equal(made.paths(50, seed=1), made.paths(50, seed=1))
    assert not np.allclose(made.paths(50, seed=1), made.paths(50, seed=2))
    assert (made.paths(50) >= 0).all()


def test_series_that_err_together_have_paths_that_go_together():
    random = np.random.default_rng(0)
    shared = np.exp(np.repeat(random.normal(0, 0.3, 20), 24))  # good days and bad days, for all alike
    frames = [seasonal(480, seed=k, noise=0.05, unique_id=str(k)).with_columns(pl.col("y") * shared) for k in range(6)]
    together = forecast(pl.concat(frames), 24, season_length=24).paths(500).sum(axis=2)
    apart = forecast(FRAMES["seasonal"], 24, season_length=24).paths(500).sum(axis=2)

    def mean_correlation(sums):
        return np.corrcoef(sums)[~np.eye(len(sums), dtype=bool)].mean()

    assert mean_correlation(together) > 0.6
    assert abs(mean_correlation(apart)) < 0.25


def test_a_total_over_series_from_paths_covers():
    """Sums over series and steps of simulated data, against the quantiles of the summed paths."""
    inside = []
    for seed in range(12):
        whole = [seasonal(264 + 24, seed=100 * seed + k, noise=0.3, unique_id=str(k)) for k in range(5)]
        past = pl.concat([one.head(264) for one in whole])
        drawn = forecast(past, 24, season_length=24).paths(400).sum(axis=(0, 2))
        came = sum(one.tail(24)["y"].sum() for one in whole)
        inside.append(np.quantile(drawn, 0.05) <= came <= np.quantile(drawn, 0.95))
    # Seen: 11 of 12 at 90 %.
    assert sum(inside) >= 9


def test_what_never_changed_has_one_path_and_two_points_have_none_but_the_forecast():
    flat = forecast(pl.DataFrame({"ds": hours(100), "y": 7.0}), 5)
    assert (flat.paths(10) == 7).all()
    two = forecast(pl.DataFrame({"ds": hours(2), "y": [3.0, 4.0]}), 5)
    assert (two.paths(10) == 4).all()


@pytest.mark.parametrize("n", [0, -1, 2.5, True])
def test_a_number_of_paths(n):
    with pytest.raises(ParameterInvalid, match="at least 1"):
        forecast(FRAMES["one"], 24, season_length=24).paths(n)


def test_the_forecast_of_bursts_lies_inside_the_distribution_of_its_sum():
    made = forecast(FRAMES["bursty"], 24, 80, season_length=24)
    rows = made.totals()
    assert rows["total"].is_between(rows["total-lo-80"], rows["total-hi-80"]).all()
    came = pl.concat([bursty(4000, k, str(k)) for k in range(8)])["y"].mean() * 24 * 8
    assert rows["total"].sum() == pytest.approx(came, rel=0.25)


def test_zeros_stay_exact():
    made = forecast(FRAMES["bursty"], 24, season_length=24)
    # Six of ten hours are zero: so are about as many steps of the paths.
    assert 0.45 < (made.paths(300) == 0).mean() < 0.75


def test_too_few_analogues_tell_nothing():
    few = np.ones((1, 5, 2))
    assert analogues(np.ones((1, 2)), Rolling(few, tuple(range(5)), few)) is None


def test_coverage_says_level_kind_and_how_many():
    table = forecast(FRAMES["seasonal"], 24, season_length=24).coverage()
    assert table.columns == ["level", "kind", "covered", "n"]
    assert table.select("level", "kind").rows() == [(80.0, "point"), (95.0, "point"), (80.0, "sum"), (95.0, "sum")]
    assert table["n"].to_list() == [8 * 8 * 24] * 2 + [8 * 8] * 2
    np.testing.assert_allclose(table["covered"], (0.8, 0.95, 0.8, 0.95), atol=0.08)


def test_coverage_of_what_has_no_errors_is_unknown():
    table = forecast(pl.DataFrame({"ds": hours(2), "y": [3.0, 4.0]}), 5).coverage()
    assert table["covered"].null_count() == 4
    assert table["n"].to_list() == [0] * 4
