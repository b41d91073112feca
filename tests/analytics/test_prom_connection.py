"""`connect`: the methods of prometheus-api-client, in UTC and with each sample once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_api_client import PrometheusConnect

from analytics import prom
from store.errors import ParameterInvalid
from tests.fix_prometheus_history import START

BEGIN, END = datetime.fromtimestamp(START, UTC), datetime.fromtimestamp(START, UTC) + timedelta(hours=12)


def test_it_is_a_prometheus_connect(past):
    with prom.connect(past.url) as client:
        assert isinstance(client, PrometheusConnect)
        assert "t_walk" in client.all_metrics()


@pytest.mark.parametrize("part", [None, timedelta(hours=1), timedelta(hours=5)])
def test_samples_come_once(past, part):
    client = prom.connect(prom.Server(past.url))
    found = client.get_metric_range_data("t_walk", {"queue": "q1"}, BEGIN, END, chunk_size=part)
    frame = prom.MetricRangeDataFrame(found)
    assert str(frame.index.dtype) == "datetime64[us, UTC]"
    assert frame.index.is_unique
    closed = past.version.startswith("2")  # the start belongs to the range, as it did before 3.0
    assert [*frame.index] == [BEGIN + timedelta(minutes=k) for k in range(0 if closed else 1, 721)]
    whole = prom.range('t_walk{queue="q1"}', BEGIN + timedelta(minutes=not closed), END, url=past.url, as_="pandas")
    assert frame["value"].to_list() == whole["y"].to_list()


def test_one_moment_in_utc(past):
    client = prom.connect(past.url)
    frame = prom.MetricSnapshotDataFrame(client.custom_query("t_walk", params={"time": START + 60}))
    assert frame["timestamp"].unique().tolist() == [BEGIN + timedelta(minutes=1)]
    assert str(frame["timestamp"].dtype) == "datetime64[us, UTC]"


def test_no_data_is_an_empty_frame(past):
    client = prom.connect(past.url)
    assert prom.MetricRangeDataFrame(client.get_metric_range_data("nothing", None, BEGIN, END)).index.tz is not None
    assert prom.MetricSnapshotDataFrame(client.custom_query("nothing"))["timestamp"].dt.tz is not None


def test_times_need_a_zone(past):
    with pytest.raises(ParameterInvalid, match="has no time zone"):
        prom.connect(past.url).get_metric_range_data("t_walk", start_time=datetime(2026, 10, 31))
    assert prom.connect(past.url).get_metric_range_data("t_walk") == []


def test_names_of_the_module():
    assert sorted(prom.__all__) == prom.__all__
    assert all(getattr(prom, name) for name in prom.__all__)
    with pytest.raises(AttributeError, match="it has HistogramsLeftOut"):
        prom.rang
