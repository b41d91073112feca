"""What explains a finding, and what moved with it."""

import numpy as np
import polars as pl
import pytest

from analytics import anomalies
from store.errors import ColumnMissing, NoRows, ParameterInvalid
from tests.analytics.seed import HOUR, NASTY, START, hours

COUNT = 480
AT = slice(400, 404)


@pytest.fixture(scope="module")
def rows():
    """Cost by team and model with a daily season; from hour 400 on one pair costs ten times as much for four hours."""
    random = np.random.default_rng(0)
    season = 1 + 0.4 * np.sin(np.arange(COUNT) / 24 * 2 * np.pi)
    frames = []
    for team in ("search", NASTY):
        for model in ("small", "large"):
            y = 10 * season * random.lognormal(0, 0.05, COUNT)
            if (team, model) == (NASTY, "large"):
                y[AT] *= 10
            frames.append(pl.DataFrame({"ds": hours(COUNT), "team": team, "model": model, "y": y}))
    return pl.concat(frames)


@pytest.fixture(scope="module")
def found(rows):
    return anomalies(rows.group_by("ds").agg(pl.col("y").sum()), unit="USD")


def test_the_pair_that_moved_is_named(rows, found):
    (finding,) = np.flatnonzero(found.findings["ds"] == START + 400 * HOUR)
    made = found.contributions(int(finding), rows, ["team", "model"])
    span = found.findings.row(int(finding), named=True)
    top = made.table.group_by("dimension").first().select("dimension", "value").rows()
    assert sorted(top) == [("model", "large"), ("team", NASTY)]
    for dimension in ("team", "model"):
        own = made.table.filter(pl.col("dimension") == dimension)
        assert own["share"].sum() == pytest.approx(1)
        during = rows.filter(pl.col("ds").is_between(span["ds"], span["until"], closed="left"))
        assert own["actual"].sum() == pytest.approx(during["y"].sum())
    assert made.table["share"][0] > 0.9
    assert "$" in made.sentence()
    assert "<script>" not in made._repr_html_() + made.plot().to_json()


def test_the_impact_is_money_that_was_not_expected(rows, found):
    row = found.findings.filter(pl.col("ds") == START + 400 * HOUR).row(0, named=True)
    table = found.table.filter(pl.col("ds").is_between(row["ds"], row["until"], closed="left"))
    assert row["impact"] == pytest.approx((table["y"] - table["expected"]).sum())
    dear = (pl.col("team") == NASTY) & (pl.col("model") == "large")
    hit = rows.filter(dear & pl.col("ds").is_between(START + 400 * HOUR, START + 404 * HOUR, closed="left"))
    assert row["impact"] == pytest.approx(0.9 * hit["y"].sum(), rel=0.15)
    assert row["severity"] == "critical"
    assert row["lo"] < row["expected"] < row["hi"] < row["y"]
    plain = anomalies(found.table.select("ds", "y"))
    assert plain.findings["impact"].null_count() == len(plain.findings)


def test_what_is_asked_wrongly(rows, found):
    with pytest.raises(ParameterInvalid, match="no finding 99"):
        found.contributions(99, rows, ["team"])
    with pytest.raises(ParameterInvalid, match="dimensions"):
        found.contributions(0, rows, "team")
    with pytest.raises(ColumnMissing, match="did you mean 'team'"):
        found.contributions(0, rows, ["teams"])
    with pytest.raises(NoRows):
        found.contributions(0, rows.filter(pl.col("ds") < START + 10 * HOUR), ["team"])


def test_what_moved_at_the_same_time():
    random = np.random.default_rng(1)

    def series(name, at):
        y = random.normal(100, 1, COUNT)
        y[at : at + 3] += 40
        return pl.DataFrame({"unique_id": name, "ds": hours(COUNT), "y": y})

    depth = anomalies(pl.concat([series("orders", 300), series("mail", 100)]))
    ttft = anomalies(pl.concat([series("gpt", 301), series("claude", 450)]))
    names = depth.findings.select("unique_id", "ds").rows()
    made = depth.related(names.index(("orders", START + 300 * HOUR)), ttft)
    assert made.select("unique_id", "lag").rows() == [("gpt", 1)]
    assert 0 < made["chance"][0] < 0.2
    alone = depth.related(names.index(("mail", START + 100 * HOUR)), ttft)
    assert alone.is_empty()
