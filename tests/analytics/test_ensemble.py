import numpy as np
import pytest

from analytics.autoregression import RIDGE, TRACE, autoregression
from analytics.ensemble import ensemble, lags, weighted_median
from analytics.intermittent import intermittent
from analytics.naive import levels, seasonal_mean, seasonal_naive

RANDOM = np.random.default_rng(0)
SERIES = 10 + np.sin(np.arange(120) / 12 * 2 * np.pi) + RANDOM.normal(0, 0.3, (3, 120))


def naive_autoregression(series, horizon, difference, wanted, limit):
    """One series, one row of the regression, one step at a time."""
    z = [series[k] - series[k - difference] for k in range(difference, len(series))] if difference else list(series)
    mean, spread = np.mean(z), np.std(z)
    z = [(value - mean) / spread for value in z]
    used = [lag for lag in wanted if lag <= (limit - difference) // 2]
    rows = [[1.0, *(z[k - lag] for lag in used)] for k in range(max(used), len(z))]
    gram, right = np.zeros((len(used) + 1,) * 2), np.zeros(len(used) + 1)
    for row, target in zip(rows, z[max(used) :], strict=True):
        gram += np.outer(row, row)
        right += target * np.array(row)
    gram += np.diag([TRACE] + [RIDGE] * len(used))
    weights = np.linalg.solve(gram, right)
    low, high = min(z), max(z)
    room, out = 0.5 * (high - low), list(series)
    for _ in range(horizon):
        ahead = weights[0] + sum(w * z[-lag] for w, lag in zip(weights[1:], used, strict=True))
        z.append(min(max(ahead, low - room), high + room))
        out.append(z[-1] * spread + mean + (out[-difference] if difference else 0.0))
    return out[-horizon:]


@pytest.mark.parametrize("difference", [0, 12])
@pytest.mark.parametrize("offsets", [(0,), (0, 12, 35)])
def test_the_batch_agrees_with_a_loop_at_every_origin(difference, offsets):
    batch = autoregression(SERIES, 30, lags((12,)), difference=difference, offsets=offsets)
    for row, series in zip(batch, SERIES, strict=True):
        for ahead, offset in zip(row, offsets, strict=True):
            alone = naive_autoregression(series[: 120 - offset], 30, difference, lags((12,)), 120)
            np.testing.assert_allclose(ahead, alone, rtol=1e-7)


@pytest.mark.parametrize("solver", [ensemble, intermittent])
def test_what_lies_after_an_origin_is_not_seen_by_its_models(solver):
    changed = SERIES.copy()
    changed[:, 90:] += 100
    # One origin: nothing weighs the models. The tiny penalty of the mean knows the scale of all, hence not exactly.
    np.testing.assert_allclose(solver(changed, 20, (12,), (30,)), solver(SERIES, 20, (12,), (30,)), rtol=1e-4)


def test_a_series_that_begins_later_is_as_if_alone():
    late = SERIES[:1, 40:]
    padded = np.concatenate([np.full((1, 40), np.nan), late], axis=1)
    np.testing.assert_allclose(ensemble(padded, 24, (12,)), ensemble(late, 24, (12,)), rtol=1e-6)


def test_series_do_not_touch_each_other(monkeypatch):
    together = ensemble(SERIES, 24, (12,))
    monkeypatch.setattr("analytics.ensemble.CELLS", 1)
    np.testing.assert_allclose(ensemble(SERIES[::-1], 24, (12,))[::-1], together, rtol=1e-8)


@pytest.mark.parametrize("factor", [1e-9, 7.0, 1e15])
def test_the_unit_does_not_matter(factor):
    np.testing.assert_allclose(ensemble(SERIES * factor, 24, (12,)), ensemble(SERIES, 24, (12,)) * factor, rtol=1e-6)


def test_nothing_explodes():
    wild = np.exp(np.cumsum(RANDOM.normal(0, 0.5, (5, 200)), axis=1))
    ahead = ensemble(wild, 500, ())[:, 0]
    assert np.isfinite(ahead).all()
    assert (ahead.max(axis=1) < 10 * wild.max(axis=1)).all()


def test_a_seasonal_naive_repeats_and_the_short_repeats_its_last():
    past = np.array([[1.0, 2, 3, 4], [np.nan, np.nan, np.nan, 9]])
    assert seasonal_naive(past, 5, 3)[:, 0].tolist() == [[2, 3, 4, 2, 3], [9, 9, 9, 9, 9]]
    assert seasonal_naive(past, 2, 3, (0, 1))[0].tolist() == [[2, 3], [1, 2]]


def test_a_seasonal_mean_agrees_with_a_loop():
    seasons = [SERIES[0, 120 - 12 * (age + 1) : 120 - 12 * age] for age in range(4)]
    weights = [0.6**age for age in range(4)]
    expected = sum(w * one for w, one in zip(weights, seasons, strict=True)) / sum(weights)
    np.testing.assert_allclose(seasonal_mean(SERIES[:1], 12, 12)[0, 0], expected)


def test_smoothing_agrees_with_a_loop():
    level, weight = 0.0, 0.0
    for y in SERIES[0, -30:]:
        level, weight = 0.8 * level + y, 0.8 * weight + 1
    assert levels(SERIES[:1], 0.2)[0, 0] == pytest.approx(level / weight)


def test_a_weighted_median_with_equal_weights_is_the_median():
    values = RANDOM.normal(size=(8, 3, 2, 5))
    same = weighted_median(list(values), [np.ones((3, 2))] * 8)
    np.testing.assert_allclose(same, np.median(values, axis=0))


def test_a_model_that_fails_in_the_backtest_has_little_weight():
    heavy = [np.full((1, 1), 1.0)] * 2 + [np.full((1, 1), 0.01)] * 3
    values = [np.full((1, 1, 1), one) for one in (1.0, 2.0, 50.0, 60.0, 70.0)]
    assert weighted_median(values, heavy).item() < 3
