"""How deep queues get: what must hold whatever the numbers, and cases that can be worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.ahead import deepest

RATES = st.floats(0, 1e6)


def one(depth=0.0, now=np.nan, forecast=(1.0,), capacity=1.0, since_s=0.0, **more):
    given = [np.array([value], dtype=float) for value in (depth, now)]
    return float(deepest(*given, np.array([forecast]), np.array([capacity]), np.array([since_s]), **more)[0])


def test_the_forecast_alone_where_nobody_knows_what_arrives_now():
    assert one(forecast=(3.0, 1.0)) == 2 * 3600
    assert one(forecast=(1.0, 1.0, 5.0, 1.0)) == 4 * 3600
    assert one(forecast=(9.0, 2.0), since_s=3600.0) == 4 * 3600  # the first hour is over, and the last goes on
    assert one(forecast=(3.0, 1.0), since_s=1800.0) == 2 * 1800


def test_a_burst_goes_back_to_the_forecast():
    # 2 too much, halved each hour: 2 * (1 - 2 ** -4) / ln 2 hours of it are left to come.
    assert one(now=3.0) == pytest.approx(2 * (1 - 2**-4) / np.log(2) * 3600, rel=0.01)
    assert one(now=1.0, forecast=(1.0,)) == 0


def test_what_drains_before_does_not_count():
    lull_then_rush = (0.0, 3.0)
    assert one(depth=100, forecast=lull_then_rush) == 3 * 3600 * 2


@given(
    depth=RATES, now=RATES, capacity=RATES, forecast=st.lists(RATES, min_size=1, max_size=6), since_s=st.floats(0, 1e5)
)
def test_it_is_never_less_than_now_and_more_capacity_never_makes_it_deeper(depth, now, capacity, forecast, since_s):
    top = one(depth, now, tuple(forecast), capacity, since_s)
    assert top >= depth
    assert one(depth, now, tuple(forecast), capacity + 1, since_s) <= top
    assert one(depth + 1, now, tuple(forecast), capacity, since_s) >= top


def test_queues_do_not_touch_each_other():
    random = np.random.default_rng(3)
    depth, now, power, since = random.uniform(0, 100, (4, 20))
    ahead = random.uniform(0, 100, (20, 5))
    whole = deepest(depth, now, ahead, power, since)
    single = [deepest(*(each[k : k + 1] for each in (depth, now, ahead, power, since)))[0] for k in range(20)]
    assert whole.tolist() == single
