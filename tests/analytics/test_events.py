import numpy as np
import polars as pl
import pytest

from analytics import forecast
from analytics.events import effects
from store.errors import ColumnMissing, NoRows, ParameterInvalid
from tests.analytics.seed import HOUR, START, hours, seasonal

PAST, AHEAD = 480, 48
CLOCK = hours(PAST + AHEAD)


def priced(factor, since, until=PAST):
    """Half of the spend from `since` on, and an event column that says so."""
    there = (np.arange(PAST + AHEAD) >= since) & (np.arange(PAST + AHEAD) < until)
    frame = seasonal(PAST, noise=0.05).with_columns(pl.col("y") * np.where(there[:PAST], factor, 1.0))
    return frame, pl.DataFrame({"ds": CLOCK, "cut": there.astype(float)})


def truth(factor=1.0):
    return factor * 10 * (1 + 0.5 * np.sin(np.arange(PAST, PAST + AHEAD) / 24 * 2 * np.pi))


def test_an_event_to_come_has_the_effect_that_it_had():
    there = np.isin(np.arange(PAST + AHEAD) // 24, (5, 11, 16, 20))  # the day after the history is one
    frame = seasonal(PAST, noise=0.05).with_columns(pl.col("y") * np.where(there[:PAST], 3.0, 1.0))
    days = pl.DataFrame({"ds": CLOCK, "launch": there})
    made = forecast(frame, AHEAD, season_length=24, events=days)
    ahead = made.to_polars()["y_hat"].to_numpy()
    np.testing.assert_allclose(ahead[:24], 3 * truth()[:24], rtol=0.25)
    np.testing.assert_allclose(ahead[24:], truth()[24:], rtol=0.25)
    assert made.effects.rows(named=True) == [
        {"unique_id": "s", "event": "launch", "effect": pytest.approx(2.0, abs=0.2), "relative": True}
    ]


def test_intervals_are_as_wide_as_the_values_are_high():
    frame, events = priced(0.5, 300)
    made = forecast(frame, AHEAD, season_length=24, events=events).to_polars()
    # The price cut ends with the history: what comes is at the old price, and so are the errors.
    np.testing.assert_allclose(made["y_hat"], truth(), rtol=0.25)
    plain = forecast(seasonal(PAST, noise=0.05), AHEAD, season_length=24).to_polars()
    width = [(one["y_hat-hi-80"] - one["y_hat-lo-80"]).mean() for one in (made, plain)]
    assert 0.7 < width[0] / width[1] < 1.4


def test_what_can_be_negative_gets_an_effect_that_is_added():
    frame, events = priced(1.0, 300)
    frame = frame.with_columns(pl.col("y") - 10 + 20 * events["cut"].head(PAST))
    made = forecast(frame, AHEAD, season_length=24, events=events)
    assert made.effects["effect"].item() == pytest.approx(20, abs=1)
    assert not made.effects["relative"].item()
    np.testing.assert_allclose(made.to_polars()["y_hat"], truth() - 10, atol=2)


def test_an_event_that_never_was_changes_nothing():
    frame = seasonal(PAST)
    new = pl.DataFrame({"ds": [START + (PAST + 5) * HOUR], "launch": [1]})
    made = forecast(frame, AHEAD, season_length=24, events=new)
    assert made.effects["effect"].to_list() == [0.0]
    assert made.to_polars().equals(forecast(frame, AHEAD, season_length=24).to_polars())


def test_noise_is_not_taken_for_an_effect():
    found = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        series = random.normal(10, 1, (1, 300))
        found.append(effects(series, series, (random.random((1, 300, 1)) < 0.1) * 1.0, 24)[0, 0])
    # Two standard errors, two-sided: 5 % by chance, and the errors of differences hang together.
    assert np.mean(np.array(found) != 0) <= 0.25


def test_events_of_one_series_leave_the_others_alone():
    frame = pl.concat([seasonal(PAST), seasonal(PAST, seed=1, unique_id="t")])
    there = (np.arange(PAST) >= 300) & (np.arange(PAST) < 340)
    rise = np.concatenate([np.where(there, 5.0, 1.0), np.ones(PAST)])
    events = pl.DataFrame({"unique_id": "s", "ds": CLOCK.head(PAST).filter(there), "outage": 1.0})
    made = forecast(frame.with_columns(pl.col("y") * rise), AHEAD, season_length=24, events=events)
    found = dict(made.effects.select("unique_id", "effect").iter_rows())
    assert found["s"] == pytest.approx(4, abs=1)
    assert found["t"] == 0


@pytest.mark.parametrize(
    ("events", "error", "says"),
    [
        (pl.DataFrame({"day": [1], "x": [1.0]}), ColumnMissing, "no column 'ds'"),
        (pl.DataFrame({"ds": CLOCK.head(0), "x": []}), NoRows, "frame of events"),
        (pl.DataFrame({"ds": CLOCK.head(1)}), ParameterInvalid, "no column of numbers beside 'ds'"),
        (pl.DataFrame({"ds": CLOCK.head(1), "x": ["launch"]}), ParameterInvalid, "'x' is String; write .* numbers"),
        (pl.DataFrame({"ds": CLOCK.head(2), "x": [1.0, None]}), ParameterInvalid, "missing or infinite"),
        (pl.DataFrame({"ds": [1, 2], "x": [1.0, 0.0]}), ParameterInvalid, "expected Datetime"),
        (pl.DataFrame({"ds": CLOCK.head(1) + HOUR / 2, "x": [1.0]}), ParameterInvalid, "between those of the series"),
        (pl.DataFrame({"ds": CLOCK.head(1) - 9 * HOUR, "x": [1.0]}), ParameterInvalid, "outside of the past"),
        (pl.DataFrame({"ds": [START, START], "x": [1.0, 2.0]}), ParameterInvalid, "more than one row"),
        (pl.DataFrame({"unique_id": "z", "ds": [START], "x": [1.0]}), ParameterInvalid, "there is no series 'z'"),
    ],
)
def test_events_that_cannot_be_used(events, error, says):
    with pytest.raises(error, match=says):
        forecast(seasonal(PAST), AHEAD, events=events)
