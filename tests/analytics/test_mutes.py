"""Feedback on anomalies: kept in the store, heeded, and taken back."""

import numpy as np
import polars as pl
import pytest

from analytics import anomalies, mutes
from store.errors import ParameterInvalid, UnknownName
from tests.analytics.seed import HOUR, START, hours

TARGET = "hourly cost_usd"


@pytest.fixture
def found():
    random = np.random.default_rng(0)
    frames = []
    for name in ("a", "b"):
        y = random.normal(100, 1, 480)
        y[300], y[400] = 118, 112
        frames.append(pl.DataFrame({"unique_id": name, "ds": hours(480), "y": y}))
    made = anomalies(pl.concat(frames))
    assert {(name, START + at * HOUR) for name in "ab" for at in (300, 400)} <= when(made)
    return made


def when(made):
    return set(made.findings.select("unique_id", "ds").rows())


def test_a_mute_silences_its_stretch_and_nothing_else(any_store, found):
    span = (START + 295 * HOUR, START + 305 * HOUR)
    one = mutes.mute(any_store, TARGET, *span, unique_id="a", reason="load test")
    said = mutes.verdicts(any_store, TARGET)
    assert said.select("unique_id", "verdict", "reason").rows() == [("a", "mute", "load test")]
    heeded = mutes.heeded(found, said)
    assert when(found) - when(heeded) == {("a", START + 300 * HOUR)}
    muted = heeded.table.filter(pl.col("ds").is_between(*span) & (pl.col("unique_id") == "a"))
    assert not muted["is_anomaly"].any()
    assert heeded.table["score"].equals(found.table["score"])
    mutes.mute(any_store, TARGET, *span)
    assert len(when(found) - when(mutes.heeded(found, mutes.verdicts(any_store, TARGET)))) == 2
    assert mutes.verdicts(any_store, "another target").is_empty()
    mutes.remove(any_store, one)
    assert mutes.verdicts(any_store, TARGET)["unique_id"].to_list() == [None]
    with pytest.raises(UnknownName):
        mutes.remove(any_store, one)


def test_a_finding_that_was_none_raises_the_bar_of_its_series(store, found):
    rows = found.findings.select("unique_id", "ds").rows()
    smaller = rows.index(("a", START + 400 * HOUR))
    mutes.label(store, TARGET, found, smaller, right=False)
    heeded = mutes.heeded(found, mutes.verdicts(store, TARGET))
    bar = found.findings["score"][smaller]
    gone = when(found) - when(heeded)
    assert ("a", START + 400 * HOUR) in gone
    assert {name for name, _ in gone} == {"a"}
    assert heeded.findings.filter(pl.col("unique_id") == "a")["score"].min() > bar


def test_a_finding_that_was_one_is_not_silenced_by_a_larger_false_one(store, found):
    rows = found.findings.select("unique_id", "ds").rows()
    order = sorted(
        (rows.index(("a", START + at * HOUR)) for at in (300, 400)), key=lambda k: found.findings["score"][k]
    )
    mutes.label(store, TARGET, found, order[0], right=True)
    mutes.label(store, TARGET, found, order[1], right=False)
    assert when(mutes.heeded(found, mutes.verdicts(store, TARGET))) == when(found)


def test_bad_spans(store, found):
    with pytest.raises(ParameterInvalid, match="'until'"):
        mutes.mute(store, TARGET, START, START)
    with pytest.raises(ParameterInvalid, match="no time zone"):
        mutes.mute(store, TARGET, START.replace(tzinfo=None), START)
    with pytest.raises(ParameterInvalid, match="no finding"):
        mutes.label(store, TARGET, found, -1, right=True)


def test_nobody_has_said_anything():
    said = pl.DataFrame(
        schema={"unique_id": pl.String, "since": pl.Int64, "until": pl.Int64, "verdict": pl.String, "score": pl.Float64}
    )
    points = pl.DataFrame({"unique_id": ["a", "b"], "ds": [7, 7], "score": [5.0, 6.0]})
    assert mutes.silent(points, said, "unique_id", "ds").to_list() == [False, False]
    assert mutes.silent(points.clear(), said, "unique_id", "ds").to_list() == []
