"""Every result explains itself: one test over all of them, so that a new one cannot come without."""

import inspect
import re
import threading
import time
import xml.etree.ElementTree as ET
from datetime import timedelta
from html import escape
from importlib import import_module
from io import StringIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from IPython.lib.pretty import pretty
from polars.testing import assert_frame_equal
from rich.console import Console

import analytics
from analytics import (
    anomalies,
    backtest,
    budget,
    changepoints,
    cost,
    forecast,
    forecast_many,
    quality,
    queues,
    reconcile,
    seasonality,
    waiting,
)
from analytics.explained import Explained, Shown
from analytics.tabled import Tabled
from tests.analytics.result_checks import check_chart, check_frames
from tests.analytics.seed import HOUR, NASTY, START, hours, seasonal

HOURS = 24 * 21
SERIES = pl.concat([seasonal(HOURS, unique_id=NASTY), seasonal(HOURS, unique_id="b", level=4, seed=2)])
JUMP = SERIES.with_columns(y=pl.col("y") * pl.when(pl.col("ds") >= START + 400 * HOUR).then(4.0).otherwise(1.0))
SPIKE = SERIES.with_columns(y=pl.when(pl.col("ds") == START + 450 * HOUR).then(400.0).otherwise("y"))
WIDE = SERIES.select(
    pl.col("ds").alias("bucket"), pl.col("unique_id").alias("team"), pl.lit("gpt").alias("model"),
    pl.lit(10).alias("requests"), pl.lit(0).alias("errors"), pl.col("y").alias("total_cost"), pl.lit(2).alias("unpriced"),
    pl.lit(1).alias("unmetered"), pl.lit(1000).alias("input_tokens"), pl.lit(100).alias("output_tokens"),
)  # fmt: skip
QUEUED = SERIES.select(
    pl.col("ds").alias("bucket"), pl.lit("c").alias("cluster"), pl.lit("/").alias("vhost"), pl.col("unique_id").alias("queue"),
    (pl.col("y") * 100).round().alias("last_messages"), (pl.col("y") * 120).alias("max_messages"),
    pl.lit(2.0).alias("avg_consumers"), pl.lit(5.0).alias("avg_published_per_s"), pl.lit(4.5).alias("avg_acked_per_s"),
    pl.lit(5000.0).alias("max_length"),
)  # fmt: skip
NODES = pl.DataFrame(
    {
        "ts": [START + k * HOUR for k in range(24)], "node": NASTY, "memory_bytes": [100 * k for k in range(24)],
        "memory_limit_bytes": 3300, "disk_free_bytes": 9000, "disk_free_limit_bytes": 50,
    }
)  # fmt: skip
TREE = SERIES.select(pl.col("unique_id").alias("team"), "ds", "y")


def found():
    return anomalies(SPIKE, unit="USD")


MAKERS = {
    "Alarms": lambda: queues.alarms(NODES),
    "Anomalies": found,
    "Backtest": lambda: backtest(SERIES, 24, windows=2),
    "Capacity": lambda: queues.capacity(QUEUED, 12),
    "ChangePoints": lambda: changepoints(JUMP, unit="USD"),
    "Contributions": lambda: found().contributions(0, SPIKE, ["unique_id"]),
    "CostBreakdown": lambda: cost.breakdown(WIDE, by="team", since=timedelta(days=7)),
    "CostDrivers": lambda: cost.drivers(WIDE, by="team", since=timedelta(days=7)),
    "Forecast": lambda: forecast(SERIES, 24, unit="USD"),
    "LeadLag": lambda: queues.lead_lag(seasonal(HOURS), seasonal(HOURS, seed=3), max_lag=3),
    "Outlook": lambda: budget.outlook(SERIES, {NASTY: 9000.0, "b": 3000.0}, since="2026-03-01T00:00Z", n=200),
    "Quality": lambda: quality.check(WIDE),
    "QueueState": lambda: queues.state(QUEUED),
    "Reconciled": lambda: reconcile(TREE, 24, by=["team"]),
    "Run": lambda: forecast_many(SERIES, 24, engine="serial"),
    "Seasonality": lambda: seasonality(SERIES),
    "SeriesQuality": lambda: quality.check(SERIES),
    "WhatIf": lambda: cost.what_if(WIDE, requests=0.5, by="team"),
}


@pytest.fixture(scope="module")
def results():
    """Each result, made when it is first asked for."""
    made = {}
    return lambda name: made[name] if name in made else made.setdefault(name, MAKERS[name]())


def test_there_is_a_maker_for_every_result():
    public = [getattr(analytics, name) for name in analytics.__all__]
    classes = {one.__name__ for one in public if inspect.isclass(one)} - {"Scorer"}  # it goes on; it is no result
    assert classes <= set(MAKERS)
    assert {one.__name__ for one in public if inspect.isclass(one) and issubclass(one, Explained)} <= set(MAKERS)


@pytest.mark.parametrize("name", MAKERS)
def test_it_shows_itself_in_a_notebook(results, name):
    made = results(name)
    html = made._repr_html_()
    assert escape(made.sentence()) in html
    assert "<script>" not in html
    assert "nan" not in re.sub(r"<[^>]*>", "", html)
    assert html.count("<table>") == len(made.tables()) >= 1
    (picture,) = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    drawn = ET.fromstring(picture)
    shapes = [one for one in drawn.iter() if one.tag.rpartition("}")[2] in ("rect", "polyline", "polygon", "circle")]
    assert shapes
    assert drawn[0].tag.endswith("title")
    assert drawn[0].text
    assert "How sure is this" in html
    assert len(html) < 100_000


@pytest.mark.parametrize("name", MAKERS)
def test_it_draws_a_chart_with_a_text_for_those_who_do_not_see_it(results, name):
    check_chart(results(name))


@pytest.mark.parametrize("name", MAKERS)
def test_it_is_a_frame_of_either_kind(results, name):
    check_frames(results(name))


@pytest.mark.parametrize("name", MAKERS)
def test_it_explains_itself_in_a_few_sentences(results, name):
    made = results(name)
    lines = made.explain().splitlines()
    assert lines[0] == made.sentence()
    assert lines[1].startswith("From ")
    assert 4 <= len(lines) <= 12
    for line in lines:
        assert re.fullmatch(r"\S.*[.;]", line), line
        assert "nan" not in line.lower().split()
        assert not re.search(r"\bNone\b(?! of)", line), line
    assert repr(made) == f"<{name}: {made.sentence()}>"


@pytest.mark.parametrize("name", MAKERS)
def test_it_shows_itself_in_a_terminal(results, name):
    made = results(name)
    console = Console(file=StringIO(), width=100, force_terminal=True)
    console.print(made)
    said = console.file.getvalue()
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in said.splitlines()) <= 100
    shown = pretty(made)
    assert "".join(made.sentence().split()) in "".join(shown.split())
    assert "─" in shown  # the rule below the head of the table
    assert "\x1b" not in shown
    assert pretty([made]) == f"[{made!r}]"


@pytest.mark.parametrize("name", MAKERS)
def test_its_report_begins_with_the_sentence_and_the_chart(results, name):
    sentence, figure, *_ = results(name).report()
    assert sentence == results(name).sentence()
    assert figure.data


def test_a_result_with_nothing_in_it_still_explains_itself():
    flat = pl.DataFrame({"ds": hours(200), "y": np.random.default_rng(0).normal(10, 0.1, 200)})
    for made in (anomalies(flat, rate=1e-9), changepoints(flat), seasonality(flat)):
        assert "<svg" in made._repr_html_()
        assert made.explain().count("\n") >= 3
        assert pretty(made)


def test_a_long_loop_shows_a_bar_and_wipes_it_away(monkeypatch, capsys):
    monkeypatch.setattr(waiting, "AFTER_S", 0.0)
    monkeypatch.setattr(waiting, "_watched", lambda: True)
    assert list(waiting.waiting([1, 2, 3], "count", "things")) == [1, 2, 3]
    said = capsys.readouterr().err
    assert "count" in said
    assert "/3" in said
    assert said.endswith("\r")


def test_who_does_not_watch_gets_no_bar(monkeypatch, capsys):
    monkeypatch.setattr(waiting, "AFTER_S", 0.0)
    monkeypatch.setattr(waiting, "_watched", lambda: False)
    list(waiting.waiting(range(3), "count"))
    with waiting.ticking("query", "rows", lambda: 1):
        time.sleep(0.02)
    assert capsys.readouterr().err == ""


def test_a_long_query_tells_its_seconds(monkeypatch, capsys):
    monkeypatch.setattr(waiting, "AFTER_S", 0.0)
    monkeypatch.setattr(waiting, "EVERY_S", 0.01)
    monkeypatch.setattr(waiting, "_watched", lambda: True)
    with waiting.ticking("query", "rows", lambda: 17):
        time.sleep(0.2)
    assert "query: 17 rows" in capsys.readouterr().err
    assert not [one for one in threading.enumerate() if one.name == "gaugebook-waiting"]


def test_an_interrupted_analysis_leaves_no_trace(monkeypatch):
    before = SERIES.clone()
    calls = iter(range(10))

    def stop(*_, **__):
        if next(calls) == 1:
            raise KeyboardInterrupt
        return forecast(*_, **__)

    monkeypatch.setattr("analytics.backtesting.forecast", stop)
    with pytest.raises(KeyboardInterrupt):
        backtest(SERIES, 24, windows=3)
    monkeypatch.undo()
    assert SERIES.equals(before)
    again, fresh = (backtest(SERIES, 24, windows=2).table.drop("cpu_s") for _ in range(2))
    assert_frame_equal(again, fresh)


def test_every_class_that_explains_itself_is_among_them():
    for one in every(Explained):
        assert one.__name__ in MAKERS, f"{one.__module__}.{one.__name__} is tested nowhere"


@pytest.mark.parametrize(
    "name", ["explain", "plot", "report", "to_pandas", "to_polars", "__rich__", "_repr_html_", "_repr_pretty_"]
)
def test_every_result_has(name):
    for one in every(Shown):
        if one not in (Explained, Tabled):
            assert callable(getattr(one, name, None)), f"{one.__module__}.{one.__name__} has no {name}"


def every(base):
    """All classes below a base, those of modules that nobody has imported yet included."""
    for file in Path(analytics.__file__).parent.glob("*.py"):
        if re.search(r"^class \w+\(.*(Explained|Tabled)", file.read_text(), re.MULTILINE):
            import_module(f"analytics.{file.stem}")
    found, left = set(), [base]
    while left:
        below = left.pop().__subclasses__()
        found.update(below)
        left += below
    return sorted((one for one in found if one.__module__.startswith("analytics.")), key=lambda one: one.__name__)
