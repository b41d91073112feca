"""Changes of level: dated, sized, and none where a series only wanders or has a season."""

import numpy as np
import polars as pl
import pytest

from analytics import changepoints
from store.errors import NoRows, ParameterInvalid
from tests.analytics.seed import HOUR, NASTY, START, hours

T = np.arange(1000)
DAILY = np.sin(T / 24 * 2 * np.pi)


def frame(y, **columns):
    return pl.DataFrame({"ds": hours(len(y)), "y": y, **columns})


def autoregressive(random, phi=0.8):
    out, noise = np.zeros(len(T)), random.normal(size=len(T))
    for k in range(1, len(T)):
        out[k] = phi * out[k - 1] + noise[k]
    return out


@pytest.mark.parametrize(
    "make",
    [
        lambda r: r.normal(size=1000),
        lambda r: 10 + 3 * DAILY + r.normal(size=1000),
        lambda r: r.lognormal(0, 1, 1000),
        lambda r: r.poisson(0.5, 1000) * 1.0,
        autoregressive,
    ],
    ids=["noise", "season", "bursts", "counts", "autoregressive"],
)
def test_none_is_invented(make):
    random = np.random.default_rng(0)
    found = [len(changepoints(frame(make(random))).table) for _ in range(20)]
    # Seen: none in 20 series of each kind, three of the autoregressive one.
    assert sum(found) <= 4


@pytest.mark.parametrize(
    "make",
    [
        lambda r: np.where(T < 600, 10, 13) + r.normal(size=1000),
        lambda r: np.where(T < 600, 10, 13) + 3 * DAILY + r.normal(size=1000),
        lambda r: np.where(T < 600, 10, 22) + autoregressive(r),
    ],
    ids=["noise", "season", "autoregressive"],
)
def test_a_change_is_dated_and_sized(make):
    random = np.random.default_rng(1)
    alone, dated, sized = 0, 0, 0
    for _ in range(20):
        y = make(random)
        rows = changepoints(frame(y)).table
        truth = START + 600 * HOUR
        alone += len(rows) == 1
        near = rows.filter((pl.col("ds-lo") <= truth) & (pl.col("ds-hi") >= truth))
        dated += len(near) == 1
        size = 12 if make(np.random.default_rng(0))[900] > 17 else 3
        sized += len(near.filter((pl.col("size-lo") <= size) & (pl.col("size-hi") >= size))) == 1
    assert alone >= 17
    assert dated >= 17
    assert sized >= 15


def test_a_long_series_is_dated_to_the_point():
    y = np.random.default_rng(0).normal(size=30_000)
    y[17_003:] += 2
    (row,) = changepoints(pl.DataFrame({"ds": np.arange(30_000), "y": y})).table.rows(named=True)
    assert abs(row["ds"] - 17_003) <= 5


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e18])
def test_the_unit_does_not_matter(factor):
    y = np.random.default_rng(0).normal(10, 1, 300)
    y[150:] *= 2
    (row,) = changepoints(frame(y * factor), unit="USD").table.rows(named=True)
    assert row["size"] / factor == pytest.approx(10, rel=0.05)
    assert row["relative"] == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(
    "y",
    [np.zeros(100), np.full(100, -3.0), np.array([1.0, 2.0]), np.where(np.arange(100) < 50, np.nan, 1.0)],
    ids=["zeros", "constant", "two points", "missing, then constant"],
)
def test_the_plain_has_none(y):
    made = changepoints(frame(y))
    assert made.table.is_empty()
    assert made.sentence() == "No change of level."
    assert made.plot().data


def test_what_it_says():
    y = np.random.default_rng(0).normal(10, 1, 300)
    y[100:] += 10
    made = changepoints(frame(y, q=NASTY).rename({"ds": "t"}), unit="USD", id_col="q", time_col="t")
    assert f"in {NASTY} at 2026-03-06 04:00 UTC, from $10" in made.sentence()
    assert "<script>" not in made._repr_html_()
    assert made.to_pandas()["t-lo"][0] <= made.to_pandas()["t"][0]
    sentence, figure, rows = made.report()
    assert (sentence, len(rows)) == (made.sentence(), 1)
    assert "<script>" not in figure.to_json()


@pytest.mark.parametrize(("options", "name"), [({"least": 1}, "least"), ({"penalty": 0}, "penalty")])
def test_bad_options(options, name):
    with pytest.raises(ParameterInvalid, match=name):
        changepoints(frame(DAILY), **options)


def test_no_rows():
    with pytest.raises(NoRows):
        changepoints(frame(DAILY).clear())
