from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from analytics import load
from analytics.prom import query
from store.errors import ParameterInvalid, SourceError


@pytest.mark.parametrize("points", [4, 11_000], ids=["in chunks", "in one"])
def test_a_range_is_half_open_and_no_sample_comes_twice(prometheus, monkeypatch, points):
    monkeypatch.setattr(query, "POINTS", points)
    since = datetime(2026, 3, 2, tzinfo=UTC)
    frame = load.prometheus("vector(time())", url=prometheus.url, since=since, until=since + timedelta(minutes=10))
    assert frame["ds"].to_list() == [since + timedelta(minutes=k) for k in range(10)]
    assert frame["ds"].dtype == pl.Datetime("us", "UTC")
    assert frame["y"].to_list() == [when.timestamp() for when in frame["ds"]]


def test_labels_name_the_series_and_what_is_no_number_is_null(prometheus):
    query = 'label_replace(vector(1), "queue", "a", "", "") or label_replace(vector(0) / 0, "queue", "b", "", "")'
    frame = load.prometheus(query, url=prometheus.url, since=timedelta(minutes=2))
    assert frame.group_by("unique_id").agg(pl.col("y").first()).sort("unique_id").rows() == [
        ("{queue=a}", 1.0),
        ("{queue=b}", None),
    ]


def test_what_can_go_wrong(prometheus):
    with pytest.raises(SourceError, match=prometheus.url):
        load.prometheus("sum(", url=prometheus.url, since=timedelta(minutes=2))
    with pytest.raises(SourceError, match="127.0.0.1:9"):
        load.prometheus("up", url="http://127.0.0.1:9", since=timedelta(minutes=2))
    with pytest.raises(ParameterInvalid, match="step_s"):
        load.prometheus("up", url=prometheus.url, since=timedelta(minutes=2), step_s=0)
    with pytest.raises(ParameterInvalid, match="before until"):
        load.prometheus("up", url=prometheus.url, since=timedelta(minutes=-2))
