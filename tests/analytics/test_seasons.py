import numpy as np
import polars as pl
import pytest

from analytics import seasonality
from analytics.seasons import autocorrelation, judge
from tests.analytics.seed import hours, seasonal

T = np.arange(720)
DAILY = np.sin(T / 24 * 2 * np.pi)


def random_walk(random):
    return random.normal(size=720).cumsum()


def autoregressive(random):
    out, noise = np.zeros(720), random.normal(size=720)
    for k in range(1, 720):
        out[k] = 0.95 * out[k - 1] + noise[k]
    return out


@pytest.mark.parametrize(
    "make",
    [
        lambda r: r.normal(size=720),
        lambda r: r.lognormal(0, 1, 720),
        lambda r: r.poisson(0.5, 720) * 1.0,
        autoregressive,
        random_walk,
    ],
    ids=["noise", "bursts", "counts", "autoregressive", "random walk"],
)
def test_none_is_invented(make):
    random = np.random.default_rng(0)
    found = [judge(make(random), (24, 168)) for _ in range(40)]
    # Seen: none in 200 series of these kinds.
    assert sum(confirmed for verdicts in found for *_, confirmed in verdicts) <= 1


@pytest.mark.parametrize(
    "make",
    [
        lambda r: 10 + DAILY + r.normal(0, 1, 720),
        lambda r: T / 100 + DAILY + r.normal(0, 0.5, 720),
        lambda r: 5 * (1.5 + DAILY) * r.lognormal(0, 0.5, 720),
    ],
    ids=["as strong as the noise", "with growth", "bursty"],
)
def test_a_day_is_found(make):
    random = np.random.default_rng(0)
    found = [judge(make(random), (24,))[0][3] for _ in range(40)]
    # Seen: 38 to 40 of 40.
    assert sum(found) >= 36


def test_a_week_is_found_beside_the_day():
    random = np.random.default_rng(0)
    t = np.arange(1440)
    y = 5 * (1.5 + np.sin(t / 24 * 2 * np.pi)) * np.where(t // 24 % 7 >= 5, 0.4, 1) * random.lognormal(0, 0.2, 1440)
    assert seasonality(pl.DataFrame({"ds": hours(1440), "y": y})).lengths("series") == (24, 168)


def test_integer_times_get_theirs_from_the_data():
    frame = pl.DataFrame({"ds": T, "y": np.sin(T / 30 * 2 * np.pi)})
    assert seasonality(frame).lengths("series")[0] == 30


def test_history_too_short_to_tell():
    (row,) = seasonality(seasonal(40), season_length=24).to_polars().rows(named=True)
    assert (row["gain"], row["confirmed"]) == (None, False)


def test_the_autocorrelation_agrees_with_a_loop():
    series = np.random.default_rng(0).normal(size=60).cumsum()
    slope, offset = np.polyfit(np.arange(60), series, 1)
    flat = [y - slope * k - offset for k, y in enumerate(series)]
    naive = sum(flat[k] * flat[k + 7] for k in range(53)) / sum(y * y for y in flat)
    assert autocorrelation(series, 7) == pytest.approx(naive)


def test_it_says_what_it_found():
    assert "a season of 24 steps in 1 of 1 series" in seasonality(seasonal(480)).sentence()
    flat = seasonality(pl.DataFrame({"ds": hours(100), "y": 1.0}))
    assert flat.sentence() == "No season was confirmed."
    assert "<table>" in flat._repr_html_()
