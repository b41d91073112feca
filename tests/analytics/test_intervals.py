import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.intervals import Rolling, bands, compared, covered, plan, sum_bands
from analytics.naive import seasonal_naive

RANDOM = np.random.default_rng(0)


@given(st.integers(1, 3000), st.integers(1, 500), st.integers(1, 400), st.integers(1, 200))
def test_every_backtest_lies_inside_the_history(points, horizon, need, season):
    steps, offsets = plan(points, horizon, need, season)
    assert 0 <= steps <= horizon
    for offset in offsets:
        assert steps <= offset <= points - need


def test_six_origins_where_there_is_room():
    for points, horizon in ((1440, 168), (720, 48), (336, 24)):
        steps, offsets = plan(points, horizon, 48, 24)
        assert steps == horizon
        assert len(offsets) >= 6
        assert all((offset - steps) % 24 == 0 for offset in offsets)


def test_rolling_errors_agree_with_a_loop():
    past = RANDOM.normal(size=(2, 60))
    actual = past.copy()
    actual[0, 50] = np.nan
    rolling = compared(actual, seasonal_naive(past, 6, 4, (6, 9, 14)), (6, 9, 14))
    for s in range(2):
        for k, offset in enumerate((6, 9, 14)):
            history = past[s, : 60 - offset]
            for h in range(6):
                np.testing.assert_equal(rolling.errors[s, k, h], actual[s, 60 - offset + h] - history[-4 + h % 4])


def independent(series, origins, steps):
    return Rolling(RANDOM.normal(0, 3.0, (series, origins, steps)), tuple(range(origins)))


@pytest.mark.parametrize(("series", "origins"), [(1, 8), (40, 6)])
def test_points_are_covered_as_asked(series, origins):
    covered = []
    for _ in range(60):
        half = bands(independent(series, origins, 24), 24, (80, 95))
        covered.append(np.mean(np.abs(RANDOM.normal(0, 3.0, half.shape[:2]))[:, :, None] <= half, axis=(0, 1)))
    # Seen: 0.79 to 0.81 and 0.94 to 0.96.
    np.testing.assert_allclose(np.mean(covered, axis=0), (0.80, 0.95), atol=0.03)


@pytest.mark.parametrize("shared", [0.0, 1.0], ids=["independent steps", "one shock for all steps"])
def test_sums_are_covered_however_the_errors_hang_together(shared):
    def draw(*shape):
        return shared * RANDOM.normal(size=(*shape[:-1], 1)) + RANDOM.normal(size=shape)

    covered = []
    for _ in range(150):
        half = sum_bands(Rolling(draw(4, 8, 24), ()), 24, (80, 95))
        covered.append(np.mean(np.abs(draw(4, 24).sum(axis=1))[:, None] <= half, axis=0))
    # Seen: 0.79 to 0.82 and 0.94 to 0.96. Adding up the intervals of steps covers 1.00 and 0.97, independence 0.28.
    np.testing.assert_allclose(np.mean(covered, axis=0), (0.80, 0.95), atol=0.04)


def test_beyond_the_backtest_it_grows():
    rolling = independent(3, 8, 10)
    half = bands(rolling, 40, (80,))[:, :, 0]
    np.testing.assert_allclose(half[:, 39], 2 * half[:, 9])
    assert (sum_bands(rolling, 40, (80,)) > sum_bands(rolling, 10, (80,))).all()


def test_what_was_never_measured_has_no_interval():
    rolling = Rolling(np.full((1, 4, 5), np.nan), ())
    assert np.isnan(bands(rolling, 5, (80,))).all()
    assert np.isnan(sum_bands(rolling, 5, (80,))).all()


def test_coverage_by_the_other_origins_is_what_was_asked_for():
    hits, count = covered(independent(40, 8, 24), (80, 95), "point")
    np.testing.assert_allclose(hits / count, (0.80, 0.95), atol=0.02)
    assert count == 40 * 8 * 24
    hits, count = covered(independent(200, 8, 24), (80, 95), "sum")
    np.testing.assert_allclose(hits / count, (0.80, 0.95), atol=0.04)
