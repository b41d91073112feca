"""One scorer: fed with one value or with many, kept as bytes or not, it says the same; and never of the future."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import anomalies
from analytics.calibration import Tail
from analytics.channels import Pairs, expected, fittest, told
from analytics.streaming import Scorer
from analytics.watching import watch
from store.errors import ParameterInvalid
from tests.analytics.seed import HOUR, START, seasonal

FIELDS = ("expected", "low", "high", "score", "evidence")


def series(seed, points, kind):
    random = np.random.default_rng(seed)
    t = np.arange(points)
    y = {
        "season": lambda: 50 * (1 + 0.5 * np.sin(t / 12 * np.pi)) * random.lognormal(0, 0.2, points),
        "counts": lambda: random.poisson(0.4, points) * 1.0,
        "walk": lambda: random.normal(size=points).cumsum(),
        "constant": lambda: np.where(t == points * 2 // 3, 5.0, 1.0),
    }[kind]()
    y[random.random(points) < 0.02] = np.nan
    return y


def same(one, other):
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field), field)


KINDS = st.sampled_from(["season", "counts", "walk", "constant"])
SEASONS = st.sampled_from([(), (24,), (24, 168), None])


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 999), KINDS, SEASONS, st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_however_it_is_fed(seed, kind, seasons, sizes):
    y = series(seed, 900, kind)
    whole = Scorer(seasons).feed(y)
    cuts = np.cumsum(sizes)
    scorer = Scorer(seasons)
    parts = []
    for part in np.split(y, cuts[cuts < len(y)]):
        parts.append(scorer.feed(part))
        scorer = Scorer.from_bytes(scorer.to_bytes())
    for field in FIELDS:
        joined = np.concatenate([getattr(part, field) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, field), field)


@pytest.mark.parametrize("kind", ["season", "counts", "walk", "constant"])
def test_point_by_point(kind):
    y = series(1, 1500, kind)
    whole = Scorer((24, 168)).feed(y)
    scorer = Scorer((24, 168))
    single = np.transpose([scorer.push(value) for value in y.tolist()])
    for field, row in zip(FIELDS, single, strict=True):
        np.testing.assert_array_equal(row, getattr(whole, field), field)
    assert np.isfinite(whole.score).sum() > 1000


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 999), KINDS, SEASONS, st.integers(1, 899), st.floats(-1e6, 1e6))
def test_the_future_never_changes_a_score_of_the_past(seed, kind, seasons, cut, future):
    y = series(seed, 900, kind)
    before = Scorer(seasons).feed(y)
    changed = y.copy()
    changed[cut:] = future
    after = Scorer(seasons).feed(changed)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(before, field)[:cut], getattr(after, field)[:cut])


def test_the_public_function_does_not_look_ahead_either():
    frame = pl.DataFrame({"ds": range(700), "y": series(3, 700, "season")})
    whole = anomalies(frame).table["score"].head(500)
    assert anomalies(frame.head(500)).table["score"].equals(whole)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 999), st.sampled_from(["season", "counts", "walk"]), st.integers(-40, 40))
def test_the_unit_does_not_matter(seed, kind, power):
    y = series(seed, 600, kind)
    # A power of four: it changes no digit of a value or of its root.
    one, other = Scorer((24,)).feed(y), Scorer((24,)).feed(y * 4.0**power)
    np.testing.assert_array_equal(np.isnan(one.score), np.isnan(other.score))
    np.testing.assert_allclose(other.score, one.score, rtol=1e-6, atol=1e-9)


def test_the_state_is_bounded():
    random = np.random.default_rng(0)
    scorer = Scorer((24, 168))
    sizes = []
    for _ in range(6):
        scorer.feed(random.normal(size=5000))
        sizes.append(len(scorer.to_bytes()))
    assert max(sizes[2:]) < 1.05 * sizes[1]
    assert max(sizes) < 250_000


def test_what_is_no_state_is_refused():
    with pytest.raises(ParameterInvalid, match="score the history anew"):
        Scorer.from_bytes(b"something else")


def test_silence_is_found_and_a_lone_gap_is_not():
    y = series(5, 900, "season")
    y[np.isnan(y)] = 50.0
    y[700:730] = np.nan
    score = Scorer((24,)).feed(y).score
    assert np.nanmax(score[700:730]) > 3
    assert np.isnan(score[700:704]).all()
    y[700:730] = 50.0
    y[700] = np.nan
    assert np.isnan(Scorer((24,)).feed(y).score[700])


def test_a_stuck_value_is_found():
    y = np.random.default_rng(0).normal(100, 1, 2000)
    y[1500:1560] = y[1499]
    score = Scorer(()).feed(y).score
    assert np.nanmax(score[1520:1560]) > 3


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 300), st.booleans())
def test_the_nearest_pair_agrees_with_a_search(seed, points, whole):
    random = np.random.default_rng(seed)
    past = random.integers(0, 50, points) * 1.0 if whole else random.normal(size=points)
    new = np.append(past[:3], random.normal(size=20) * 3)
    naive = [min(max(abs(a - c), abs(b - d)) for a, b in pairwise(past)) for c, d in pairwise(new)]
    pairs = Pairs(past)
    np.testing.assert_array_equal(pairs.nearest(new), naive)
    assert [pairs.nearest_to(c, d) for c, d in pairwise(new.tolist())] == naive


def test_a_tail_says_one_by_one_what_it_says_of_many():
    random = np.random.default_rng(0)
    for sizes in (random.exponential(size=800), random.poisson(0.1, 500) * 1.0, np.zeros(50), random.pareto(1, 4096)):
        tail = Tail.of(sizes, len(sizes))
        asked = np.append(sizes[:200], [0.0, 1e-9, 3.0, 1e9])
        np.testing.assert_array_equal(tail.scores(asked), [tail.score(size) for size in asked.tolist()])
        assert (np.diff(tail.scores(np.sort(asked))) >= 0).all()
    tail = Tail.of(random.exponential(size=4000), 4000)
    # One in a thousand exponential values exceeds log(1000).
    assert tail.size(3.0) == pytest.approx(np.log(1000), rel=0.15)
    assert Tail.of(np.ones(9), 9) is None


def test_the_expectation_is_the_median_over_seasons():
    past = np.array([1.0, 5.0, 3.0, 2.0] * 3 + [1.0, 9.0])
    # Next comes the third of a season: medians of (5, 3, 2), three times.
    assert expected(past, 4, 1).tolist() == [3.0]
    assert len(expected(past, 4, 50)) == 3  # what lies further ahead needs points that did not come yet


def test_seasons_are_told_by_the_past():
    t = np.arange(600)
    noise = np.random.default_rng(0).normal(size=600)
    assert told(3 * np.sin(t / 30 * 2 * np.pi) + noise) in (29, 30, 31)
    assert told(noise.cumsum(), known=7) in {7} | set(range(60, 202))
    assert fittest(np.tile([1.0, 3.0, 2.0, 5.0], 100) + noise[:400] / 9, (4, 28), 4) == 4


def test_watching_in_ticks_says_what_one_look_says(store):
    frame = pl.concat([seasonal(300), seasonal(300, seed=1, unique_id="t")])
    whole = anomalies(frame).table.drop("lo", "hi")
    parts = []
    for start, stop in ((0, 200), (150, 260), (260, 300)):
        span = pl.col("ds").is_between(START + start * HOUR, START + stop * HOUR, closed="left")
        parts.append(watch(store, frame.filter(span), "hourly cost_usd"))
    joined = pl.concat(parts).sort("unique_id", "ds")
    assert joined.select(whole.columns).equals(whole.sort("unique_id", "ds"))
    again = watch(store, frame, "hourly cost_usd")
    assert again.is_empty()


def test_watching_needs_a_zone(store):
    frame = seasonal(50).with_columns(pl.col("ds").dt.replace_time_zone(None))
    with pytest.raises(ParameterInvalid, match="zone"):
        watch(store, frame, "t")
