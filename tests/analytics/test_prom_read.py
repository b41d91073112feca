"""`prom.range` and `prom.instant` against a real server, both major versions: what it evaluates itself is the truth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from analytics import prom
from analytics.prom import query as engine
from analytics.prom import read, stored
from store.errors import ParameterInvalid, UnknownName
from tests.fix_prometheus_history import HOURS, START

END = START + 3600 * HOURS
EVERYTHING = '{__name__=~"t_.+"}'


def answer(past, path, **parameters):
    found = past.client.get(f"/api/v1/{path}", params=parameters).json()
    assert found["status"] == "success", found
    return found["data"]["result"]


def truth(series):
    """Rows of labels, milliseconds and value, as the server says them."""
    rows = [
        (tuple(sorted(each["metric"].items())), round(t * 1000), float(value))
        for each in series
        for t, value in each["values"]
    ]
    return sorted(rows, key=lambda row: row[:2])


def rows(frame):
    labels = [name for name in frame.columns if name not in ("ds", "y")]
    times = frame["ds"].dt.timestamp("ms").to_list()
    named = frame.select(pl.col(labels).cast(pl.String)).rows() if labels else [()] * len(frame)
    keys = [
        tuple(
            sorted(
                (name.removeprefix("exported_"), value)
                for name, value in zip(labels, row, strict=True)
                if value is not None
            )
        )
        for row in named
    ]
    return sorted(zip(keys, times, frame["y"].to_list(), strict=True), key=lambda row: row[:2])


def same(left, right):
    assert [row[:2] for row in left] == [row[:2] for row in right]
    np.testing.assert_array_equal([row[2] for row in left], [row[2] for row in right])


def test_as_stored(past):
    """Against ranges such as `up[6h]`, whose ends are shared in Prometheus 2 and not in 3."""
    expected = {}
    for begin in range(START - 3600, END, 6 * 3600):
        for row in truth(answer(past, "query", query=f"{EVERYTHING}[6h]", time=begin + 6 * 3600)):
            if row[1] <= END * 1000:
                expected[row[:2]] = row
    frame = prom.range(EVERYTHING, START - 3600, END, url=past.url)
    same(rows(frame), sorted(expected.values(), key=lambda row: row[:2]))


@pytest.mark.parametrize("way", ["chunks", "plain", "ranges"])
def test_every_way_gives_the_same(past, way, monkeypatch):
    expected = prom.range(EVERYTHING, START + 7.5, END - 100.001, url=past.url)
    if way == "chunks":
        monkeypatch.setattr(stored, "ask_plain", None)
    if way == "plain":
        monkeypatch.setattr(stored, "ask_chunks", refuse)
    if way == "ranges":
        monkeypatch.setattr(stored, "ask_chunks", refuse)
        monkeypatch.setattr(stored, "ask_plain", refuse)
    same(rows(prom.range(EVERYTHING, START + 7.5, END - 100.001, url=past.url)), rows(expected))


def refuse(*_args):
    raise stored.Unreadable("for the test")


@pytest.mark.parametrize(("step", "shift"), [(60, 0), (15, 3.25), (300, 0), (97.5, -4000), (3600, 0)])
def test_at_steps(past, step, shift, monkeypatch):
    """Both ways of evaluation, stored samples and the server's own, are what `query_range` says in one go."""
    start = START + shift
    end = start + step * min(3_000, 3600 * (HOURS + 1) // step) + step / 3
    expected = truth(answer(past, "query_range", query=EVERYTHING, start=start, end=end, step=step))
    for long in (1, 10**9):
        monkeypatch.setattr(read, "LONG", long)
        same(rows(prom.range(EVERYTHING, start, end, step, url=past.url)), expected)


def test_how_old_a_sample_may_be_differs_between_versions(past):
    """Five minutes are enough up to Prometheus 2, and too much since 3.0; both are as the server has it."""
    at = START + 60 * (60 * HOURS - 1) + 300
    found = prom.range('t_walk{queue="q1"}', at - 300 * 1200, at, 300, url=past.url)
    assert (found["ds"].max().timestamp() == at) == past.version.startswith("2")


@pytest.mark.parametrize(
    "expression", ["sum by (vhost) (t_walk)", "rate(t_counted_total[10m])", "vector(time())", "t_walk > 250"]
)
def test_expressions_longer_than_an_answer(past, expression, monkeypatch):
    expected = truth(answer(past, "query_range", query=expression, start=START, end=END, step=60))
    monkeypatch.setattr(engine, "POINTS", 100)
    same(rows(prom.range(expression, START, END, "1m", url=past.url)), expected)


def test_more_than_eleven_thousand_points(past):
    frame = prom.range("vector(time())", START, START + 25_000, 1, url=past.url)
    assert frame["y"].to_list() == list(range(START, START + 25_001))


def test_the_form_of_a_frame(past):
    frame = prom.range('{__name__=~"t_walk|t_counted_total"}', START, START + 3600, url=past.url)
    assert frame.columns == ["__name__", "cluster", "queue", "vhost", "ds", "y"]
    assert all(frame[name].dtype == pl.Categorical for name in ("__name__", "cluster", "queue", "vhost"))
    assert frame["ds"].dtype == pl.Datetime("us", "UTC")
    assert frame.filter(pl.col("__name__") == "t_counted_total")["queue"].null_count() == 61
    assert frame.filter(queue="half")["cluster"].unique().to_list() == ["mine"]
    assert frame.filter(queue="q1")["ds"].is_sorted()
    pandas = prom.range('{__name__=~"t_walk|t_counted_total"}', START, START + 3600, url=past.url, as_="pandas")
    assert [str(kind) for kind in pandas.dtypes] == ["category"] * 4 + ["datetime64[us, UTC]", "float64"]
    assert len(pandas) == len(frame)
    assert_frame_equal(pl.from_pandas(pandas).select("ds", "y"), frame.select("ds", "y"))


def test_labels_that_need_care(past):
    frame = prom.range("t_names", START, START + 60, url=past.url)
    assert {*frame["say"].to_list()} == {'a "quoted" \\ word', "two\nlines", "emoji 🐇 ünd"}
    assert frame.columns == ["__name__", "exported_ds", "say", "exported_y", "ds", "y"]
    assert len(prom.range('t_names{say="two\\nlines"}', START, START + 60, url=past.url)) == 2
    assert len(prom.range('t_names{ds="1",say=~"a.*"}', START, START + 60, url=past.url)) == 2


@pytest.mark.parametrize(
    "selector",
    ['t_walk{cluster=""}', 't_walk{cluster!=""}', "t_walk{cluster=\"north: 'one'\"}", 't_walk{replica=~"b|"}'],
)
def test_external_labels_are_no_labels_of_a_query(past, selector):
    expected = truth(answer(past, "query", query=f"{selector}[1h]", time=START + 3600.001))
    found = rows(prom.range(selector, START + 1, START + 3600, url=past.url)) if expected else []
    same(found, [row for row in expected if row[1] > START * 1000])
    if not expected:
        assert prom.range(selector, START + 1, START + 3600, url=past.url).is_empty()


def test_both_ends_belong_to_it(past):
    at = START + 600
    for step in (None, 60):
        frame = prom.range('t_walk{queue="q1"}', at, at + 120, step, url=past.url)
        assert [when.timestamp() for when in frame["ds"]] == [at, at + 60, at + 120]
        assert len(prom.range('t_walk{queue="q1"}', at, at, step, url=past.url)) == 1


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime.fromtimestamp(START, UTC), datetime.fromtimestamp(START + 60, UTC)),
        ("2026-10-31T02:00:00+02:00", "2026-10-31T00:01Z"),
        (timedelta(minutes=1), START + 60),
        (START, START + 60.9),
    ],
)
def test_times_as_people_have_them(past, start, end):
    assert len(prom.range('t_walk{queue="q1"}', start, end, url=past.url)) == 2


def test_nothing(past):
    for found in (
        prom.range("nothing", START, END, url=past.url),
        prom.range("nothing", START, END, 60, url=past.url),
        prom.range("nothing + 1", START, END, 60, url=past.url),
        prom.instant("nothing", START, url=past.url),
    ):
        assert found.schema == {"ds": pl.Datetime("us", "UTC"), "y": pl.Float64}
        assert found.is_empty()


def test_instant(past):
    frame = prom.instant("t_walk", START + 3600, url=past.url)
    assert len(frame) == 7
    assert frame["ds"].unique().to_list() == [datetime.fromtimestamp(START + 3600, UTC)]
    assert prom.instant("1 + 1", START, url=past.url).rows() == [(datetime.fromtimestamp(START, UTC), 2.0)]
    assert len(prom.instant('t_walk{queue="q1"}[10m]', START + 3600.5, url=past.url)) == 10
    assert prom.instant("t_odd", START, url=past.url, as_="pandas")["y"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("sum(t_walk)", START, END), "'step': an expression needs one"),
        (("t_walk", None, END), "'start': is missing"),
        (("t_walk", END, START), "'start': .* is after end"),
        (("t_walk", datetime(2026, 10, 31), END), "has no time zone"),
        (("t_walk", "yesterday", END), "expected an ISO time such as"),
        (("t_walk", START, END, 0), "'step': expected seconds"),
        (("t_walk", START, END, "5 minutes"), "'step': expected seconds"),
        (("t_walk", START, END, timedelta(0)), "'step': expected seconds"),
        (("t_walk", START, END, None), "memory_limit_mb': .* samples of 5 labels .* is the most"),
        (("t_walk", START, END, 30), "memory_limit_mb': .* samples .* is the most"),
        (("t_walk + 1", START, END, 15), "memory_limit_mb': .* samples .* is the most"),
    ],
)
def test_what_cannot_be(past, arguments, reason):
    with pytest.raises(ParameterInvalid, match=reason):
        prom.range(*arguments, url=past.url, memory_limit_mb=0.2)


def test_other_arguments_that_cannot_be(past):
    with pytest.raises(ParameterInvalid, match="more than zero"):
        prom.range("up", START, END, url=past.url, memory_limit_mb=0)
    with pytest.raises(UnknownName, match="kind of frame 'arrow'"):
        prom.range("up", START, END, url=past.url, as_="arrow")
