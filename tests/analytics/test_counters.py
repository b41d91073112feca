from datetime import timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import queues
from store.errors import ColumnMissing, NoRows, ParameterInvalid
from tests.analytics.seed import START

MINUTE = timedelta(minutes=1)
COUNTERS = ("published_total", "delivered_total", "acked_total")


def samples(published, *, queue="q", acked=0, messages=0, step=MINUTE):
    count = len(published)
    return pl.DataFrame({
        "ts": [START + step * k for k in range(count)], "queue": queue, "messages": messages, "consumers": 1,
        "published_total": published, "delivered_total": 0, "acked_total": acked,
    }, schema_overrides={"published_total": pl.Int64})  # fmt: skip


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=59))
def test_rates_agree_with_a_loop_over_what_did_not_fall(counts):
    (row,) = queues.rates(samples(counts)).rows(named=True)
    grown = [b - a for a, b in pairwise(counts) if b >= a]
    expected = sum(grown) / (60 * len(grown)) if grown else None
    assert row["avg_published_per_s"] == (pytest.approx(expected) if grown else None)
    assert row["samples"] == len(counts)


def test_a_counter_that_falls_invents_no_messages():
    churn = samples([8000, 8060, 0, 60, 120])
    assert queues.rates(churn)["avg_published_per_s"].item() == pytest.approx(1.0)


def test_columns_are_those_that_capacity_takes():
    counts = [60 * k for k in range(60 * 30)]
    both = pl.concat([samples(counts, acked=pl.Series(counts)), samples(counts, queue="r", acked=pl.Series(counts))])
    rows = queues.rates(both.with_columns(max_length=pl.lit(500)))
    assert rows.select("queue", "avg_published_per_s", "max_length").unique().sort("queue").rows() == [
        ("q", 1.0, 500.0),
        ("r", 1.0, 500.0),
    ]
    assert queues.capacity(rows, 2, n=100).table["utilisation"].to_list() == [1.0, 1.0]
    assert type(queues.rates(both.to_pandas())).__module__.startswith("pandas")


def test_awkward_input():
    with pytest.raises(NoRows):
        queues.rates(samples([]).clear())
    with pytest.raises(ColumnMissing, match="acked_total"):
        queues.rates(samples([1, 2]).drop("acked_total"))
    with pytest.raises(ParameterInvalid, match="width"):
        queues.rates(samples([1, 2]), timedelta(0))
    with pytest.raises(ParameterInvalid, match="datetimes"):
        queues.rates(samples([1, 2]).with_columns(ts=pl.lit(1)))
    assert queues.rates(samples([1]))["avg_published_per_s"].to_list() == [None]
    twice = pl.concat([samples([0, 60]), samples([0, 60])])
    assert queues.rates(twice)["avg_published_per_s"].item() == 1.0
