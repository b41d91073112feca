"""What a forecast must not depend on. Scaling holds for every series; a shift for series that cross zero, for models of
logarithms and roots take part where values are not negative, and a level is no mere offset to them."""

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import forecast
from tests.analytics.seed import hours

COUNT, AHEAD = 150, 12
seeds, kinds = st.integers(0, 2**20), st.sampled_from(["positive", "crossing", "zeros"])


def series(kind, seed):
    random = np.random.default_rng(seed)
    shape = 1 + 0.5 * np.sin(np.arange(COUNT) / 24 * 2 * np.pi)
    if kind == "positive":
        return 10 * shape * random.lognormal(0, 0.2, COUNT)
    if kind == "crossing":
        return 5 * (shape - 1) + random.normal(0, 1, COUNT)
    return np.where(random.random(COUNT) < 0.5, random.lognormal(1, 1, COUNT), 0.0)


def frame(*values, names=None):
    names = names or [f"s{k}" for k in range(len(values))]
    parts = [pl.DataFrame({"unique_id": n, "ds": hours(COUNT), "y": y}) for n, y in zip(names, values, strict=True)]
    return pl.concat(parts)


def numbers(made):
    return made.to_polars().select(pl.selectors.float()).to_numpy()


@settings(max_examples=12, deadline=None)
@given(kinds, seeds, st.floats(1e-6, 1e9))
def test_scale(kind, seed, factor):
    y = series(kind, seed)
    plain, scaled = (forecast(frame(one), AHEAD, season_length=24) for one in (y, y * factor))
    size = np.abs(y).max() * factor
    np.testing.assert_allclose(numbers(scaled), numbers(plain) * factor, rtol=1e-4, atol=1e-5 * size)
    np.testing.assert_allclose(scaled.paths(20), plain.paths(20) * factor, rtol=1e-4, atol=1e-5 * size)


@settings(max_examples=12, deadline=None)
@given(seeds, st.floats(-1.0, 1.0))
def test_shift_of_what_crosses_zero(seed, shift):
    y = series("crossing", seed)
    moved = forecast(frame(y + shift), AHEAD, season_length=24)
    np.testing.assert_allclose(numbers(moved), numbers(forecast(frame(y), AHEAD, season_length=24)) + shift, atol=1e-5)


@settings(max_examples=8, deadline=None)
@given(seeds, st.permutations(range(5)))
def test_order_and_names_of_series(seed, order):
    values = [series(kind, seed + k) for k, kind in enumerate(("positive", "crossing", "zeros", "positive", "zeros"))]
    plain = forecast(frame(*values), AHEAD, season_length=24).to_polars()
    other = forecast(frame(*(values[k] for k in order)), AHEAD, season_length=24).to_polars()
    for place, k in enumerate(order):
        left, right = (one.filter(unique_id=f"s{n}").drop("unique_id") for one, n in ((other, place), (plain, k)))
        np.testing.assert_allclose(
            left.select(pl.selectors.float()).to_numpy(),
            right.select(pl.selectors.float()).to_numpy(),
            rtol=1e-6,
            atol=1e-9,
        )


@settings(max_examples=12, deadline=None)
@given(kinds, seeds)
def test_never_below_zero_and_always_finite(kind, seed):
    made = forecast(frame(series(kind, seed)), AHEAD)
    assert np.isfinite(numbers(made)).all()
    if kind != "crossing":
        assert (numbers(made) >= 0).all()
        assert (made.paths(20) >= 0).all()


@settings(max_examples=10, deadline=None)
@given(kinds, seeds, st.integers(1, 300))
def test_any_horizon(kind, seed, horizon):
    made = forecast(frame(series(kind, seed)), horizon, season_length=24)
    assert numbers(made).shape == (horizon, 5)
    assert np.isfinite(numbers(made)).all()
    assert made.paths(5).shape == (1, 5, horizon)
