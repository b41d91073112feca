from datetime import timedelta

import pandas as pd
import polars as pl
import pytest

from analytics import budget, cost, load, quality, queues
from store.errors import ColumnMissing, ParameterInvalid, UnknownName
from tests.analytics.seed import HOUR, NASTY, QUEUES, START, USAGE, busy_queues, put, put_requests, request

# Hours 0 to 5, with nothing in hour 2; ops only in hour 4.
REQUESTS = [
    request(1, 0, cost=1.0),
    request(2, 0, cost=2.0, minute=59),
    request(3, 1, status="error", cost=None),
    request(4, 3, model="o3", cost=4.0),
    request(5, 4, team="ops", cost=8.0),
    request(6, 5, cost=16.0),
]


def test_a_bucket_without_traffic_is_zero(any_store):
    put_requests(any_store, REQUESTS)
    total = load.llm(any_store)
    assert total.columns == ["unique_id", "ds", "y"]
    assert total["unique_id"].unique().to_list() == ["total"]
    assert total["ds"].to_list() == [START + k * HOUR for k in range(6)]
    assert total["y"].to_list() == [3.0, 0.0, 0.0, 4.0, 8.0, 16.0]
    assert total["ds"].dtype == pl.Datetime("us", "UTC")


def test_dimensions_are_joined_and_every_series_has_the_whole_grid(any_store):
    put_requests(any_store, REQUESTS)
    by = load.llm(any_store, value="requests", by=("team", "model"))
    assert by.columns == ["unique_id", "ds", "y", "team", "model"]
    assert by.group_by("unique_id").len().sort("unique_id").rows() == [
        ("ops/gpt-4o", 6),
        ("search/gpt-4o", 6),
        ("search/o3", 6),
    ]
    assert by.filter(unique_id="ops/gpt-4o")["y"].to_list() == [0, 0, 0, 0, 1, 0]
    assert by["y"].sum() == len(REQUESTS)


@pytest.mark.parametrize(
    ("value", "sum_"),
    [
        ("requests", 6),
        ("errors", 1),
        ("cost_usd", 31),
        ("input_tokens", 500),
        ("output_tokens", 100),
        ("cached_tokens", 0),
    ],
)
def test_every_value(store, value, sum_):
    put_requests(store, REQUESTS)
    assert load.llm(store, value=value)["y"].sum() == sum_


def test_the_span_is_half_open(store):
    put_requests(store, REQUESTS)
    part = load.llm(store, since=START + HOUR, until=START + 4 * HOUR)
    assert part["ds"].to_list() == [START + k * HOUR for k in (1, 2, 3)]
    assert load.llm(store, since=timedelta(hours=2))["y"].to_list() == [8.0, 16.0]


def test_a_series_of_days_leaves_out_a_day_that_began_in_its_course(store):
    put_requests(store, [request(k, 6 + 12 * k) for k in range(8)])
    days = load.llm(store, value="requests", grain="daily")
    assert days["y"].to_list() == [2, 2, 2]
    assert days["ds"][0] == START + timedelta(days=1)
    assert load.metrics(store, grain="daily")["requests"].sum() == 8


def test_pandas(store):
    put_requests(store, REQUESTS)
    assert isinstance(load.llm(store, as_="pandas"), pd.DataFrame)


@pytest.mark.parametrize("by", [(), ("team", "model")])
def test_nothing_on_record_is_an_empty_frame(store, by):
    empty = load.llm(store, by=by)
    assert empty.is_empty()
    assert empty.columns == ["unique_id", "ds", "y", *by]
    assert load.queues(store).is_empty()
    assert load.usage(store).is_empty()
    assert load.metrics(store).is_empty()
    assert load.latency(store).is_empty()
    assert load.minutes(store).is_empty()
    assert load.queue_metrics(store).is_empty()


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"value": "cost"}, UnknownName, "did you mean 'cost_usd'"),
        ({"by": ("teem",)}, ColumnMissing, "did you mean 'team'"),
        ({"grain": "weekly"}, UnknownName, "no grain 'weekly'"),
        ({"as_": "arrow"}, UnknownName, "kind of frame"),
        ({"since": "2026-01-01"}, ParameterInvalid, "no time zone"),
    ],
)
def test_bad_arguments_name_themselves(store, arguments, error, says):
    with pytest.raises(error, match=says):
        load.llm(store, **arguments)


def test_usage(any_store):
    put(
        any_store,
        "metrics.llm_usage",
        USAGE,
        [(START, 1800, "p", "m", "s", 5, 10, 1), (START + 2 * HOUR, 3600, "p", "m", "s", 7, 10, 1)],
    )
    assert load.usage(any_store, value="requests", by="model")["y"].to_list() == [5, 0, 7]
    rows = load.metrics(any_store, source="llm_usage")
    assert rows["unpriced"].to_list() == [5, 7]
    assert rows.columns == load.metrics(any_store).columns


def test_a_queue_that_nobody_looked_at_is_null_not_zero(any_store):
    rows = [row for row in busy_queues(5) if row[0] != START + 2 * HOUR]
    put(any_store, "metrics.rabbitmq_queues", QUEUES, rows)
    depth = load.queues(any_store, by=("vhost", "queue"))
    assert depth.filter(queue="orders")["y"].is_null().to_list() == [False, False, True, False, False]
    assert depth["unique_id"].unique().sort().to_list() == [f"//{NASTY}", "//orders"]
    both = load.queues(any_store, by=())
    one = depth.filter(queue="orders")["y"]
    assert both["y"].to_list() == [None if y is None else 2 * y for y in one]


def test_latency_is_that_of_the_requests_and_errors_are_not_in_it(any_store):
    put_requests(
        any_store, [request(k, 0, ttft=0.1 * (k + 1)) for k in range(10)] + [request(10, 0, status="error", cost=None)]
    )
    (row,) = load.latency(any_store, grain="span", quantiles=(0.5, 0.9)).rows(named=True)
    assert (row["requests"], row["errors"]) == (11, 1)
    # Log buckets are 7 % wide.
    assert row["ttft_p50_s"] == pytest.approx(0.5, rel=0.1)
    assert row["ttft_p90_s"] == pytest.approx(0.9, rel=0.1)
    assert row["tpot_p50_s"] is None or row["tpot_p50_s"] > 0
    with pytest.raises(ParameterInvalid, match="between 0 and 1"):
        load.latency(any_store, quantiles=(95,))


def test_minutes_leave_out_the_ends_that_may_be_cut(any_store):
    put_requests(any_store, [request(k, 0, minute=m) for k, m in enumerate((0, 1, 1, 4, 5))])
    assert load.minutes(any_store)["y"].to_list() == [2, 0, 0, 1]
    assert load.minutes(any_store, by=("project",))["unique_id"].unique().to_list() == ["p"]
    assert load.minutes(any_store, until=timedelta(days=9999)).is_empty()


def test_the_reader_follows_the_length_of_the_span(store):
    put_requests(store, REQUESTS)
    whole = load.span(settings=store)
    short = load.span(settings=store, days=1 / 4)
    assert (load.reader(whole), load.reader(short)) == (load.llm if whole.buckets >= 12 else load.minutes, load.minutes)
    assert load.reader(load.span("llm_usage", settings=store)) is load.usage


@pytest.mark.parametrize(
    ("points", "step", "days", "steps"),
    [(48, 1, 1, 24), (48, 1, 30, 24), (200, 24, 7, 7), (1, 1, 7, 1), (60, 1 / 60, 7, 30)],
)
def test_a_horizon_is_half_of_the_record_at_most(points, step, days, steps):
    frame = pl.DataFrame({"ds": [START + k * timedelta(hours=step) for k in range(points)]})
    assert load.horizon(frame, days) == load.horizon(frame.to_pandas(), days) == steps


def test_a_span_follows_the_data_not_the_clock(store):
    put_requests(store, REQUESTS)
    found = load.span(settings=store, days=0.125)
    assert (found.since, found.until) == (START + 3 * HOUR, START + 6 * HOUR)
    with pytest.raises(ParameterInvalid, match="more than zero"):
        load.span(settings=store, days=0)


def test_samples_of_queues_with_counters_and_limits(any_store):
    columns = (*QUEUES[:5], "consumers", "published_total", "delivered_total", "acked_total", "attrs")
    rows = [
        (START + timedelta(minutes=k), "c", "/", name, 5, 1, 60 * k, 0, 30 * k, limit)
        for k in range(10)
        for name, limit in (("q", '{"max_length": 500}'), (NASTY, '{"max_length": "no"}'), ("", "{}"))
    ]
    put(any_store, "metrics.rabbitmq_queues", columns, rows)
    found = load.queue_samples(any_store, since=START, until=START + HOUR)
    assert found["queue"].unique().sort().to_list() == sorted([NASTY, "q"])
    told = queues.rates(found).filter(queue="q").row(0, named=True)
    assert (told["avg_published_per_s"], told["avg_acked_per_s"], told["max_length"]) == (1.0, 0.5, 500.0)
    assert queues.rates(found).filter(queue=NASTY)["max_length"].to_list() == [None]
    assert load.queue_samples(any_store).is_empty()
    with pytest.raises(ParameterInvalid, match="after until"):
        load.queue_samples(any_store, since=START + HOUR, until=START)


def test_samples_of_nodes(any_store):
    columns = ("ts", "cluster", "node", "running", "memory_bytes", "memory_limit_bytes", "disk_free_bytes", "disk_free_limit_bytes")  # fmt: skip
    rows = [(START + k * HOUR, "c", "n", True, 100 * k, 1000, 10**6, 10**5) for k in range(6)]
    put(any_store, "metrics.rabbitmq_nodes", columns, rows)
    found = load.node_samples(any_store, since=START, until=START + 6 * HOUR)
    assert queues.alarms(found).table.filter(resource="memory")["alarm_s"].to_list() == [5 * 3600.0]
    assert isinstance(load.node_samples(any_store, as_="pandas"), pd.DataFrame)


def test_what_is_loaded_is_what_the_analyses_take(any_store):
    put_requests(any_store, REQUESTS)
    put(any_store, "metrics.rabbitmq_queues", QUEUES, busy_queues(30))
    assert cost.drivers(load.metrics(any_store)).cost_usd == 28.0
    assert budget.outlook(load.llm(any_store, by="team"), 20.0, n=100, period="day").table["spent"].to_list() == [31.0]
    assert queues.capacity(load.queue_metrics(any_store), 2, n=100).table["served_per_s"].to_list() == [6.0, 6.0]
    assert quality.check(load.llm(any_store, by="team")).sound
