"""Percentiles from histograms: within 3 per cent of the exact ones, whatever the latencies look like."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import pytest

from store.connect import connect
from store.rollup import refresh
from store.write import write

START = datetime(2026, 5, 4, tzinfo=UTC)
QUANTILES = [0.01, 0.5, 0.95, 0.99, 1.0]
COLUMNS = ("ts", "request_id", "model", "source", "status", "ttft_s")


def smooth(chance: random.Random) -> float:
    return chance.lognormvariate(-0.5, 1.0)


def two_humps(chance: random.Random) -> float:
    return chance.lognormvariate(-2, 0.1) if chance.random() < 0.5 else chance.lognormvariate(3, 0.1)


def mostly_the_time_limit(chance: random.Random) -> float:
    return 30.0 if chance.random() < 0.6 else chance.uniform(0.2, 2)


def heavy_tail(chance: random.Random) -> float:
    return min(0.05 * chance.paretovariate(0.8), 1200)


def steps(chance: random.Random) -> float:
    return math.exp(14 * chance.randrange(0, 240) / 240) / 1000  # on the edges of the buckets themselves


@pytest.mark.parametrize("shape", [smooth, two_humps, mostly_the_time_limit, heavy_tail, steps])
@pytest.mark.parametrize("count", [1, 500, pytest.param(5000, marks=pytest.mark.drill)])
def test_near_the_exact_ones_over_any_span_and_grouping(any_store, shape, count):
    chance = random.Random(count)
    values = [shape(chance) for _ in range(count)]
    rows = [
        (START + timedelta(minutes=7 * (n % 500)), f"r{n}", f"m{n % 3}", "test", "ok", value)
        for n, value in enumerate(values)
    ]
    errors = [(START, f"e{n}", "m0", "test", "error", 0.0) for n in range(count)]
    with connect(any_store) as connection:
        write(connection, "metrics.llm_requests", COLUMNS, rows + errors)
        connection.commit()
        refresh(any_store)
        for grain in ("hourly", "daily"):
            merged = f"SELECT metrics.percentiles(metrics.hist_merge(ttft_hist), %s) FROM metrics.llm_requests_{grain}"
            (found,) = connection.execute(merged.encode(), [QUANTILES]).fetchone()
            for q, value in zip(QUANTILES, found, strict=True):
                exact = sorted(values)[max(math.ceil(q * count), 1) - 1]
                assert value == pytest.approx(exact, rel=0.03), (grain, q)


def test_out_of_range_latencies_are_told_as_the_range(any_store):
    rows = [(START, f"r{n}", "m", "test", "ok", value) for n, value in enumerate([0.0, 0.0002, 5000.0, 9e9])]
    with connect(any_store) as connection:
        write(connection, "metrics.llm_requests", COLUMNS, rows)
        (found,) = connection.execute(
            "SELECT metrics.percentiles(metrics.hist_merge(ttft_hist), '{0.5,0.51}') FROM metrics.llm_requests_hourly"
        ).fetchone()
    assert found == pytest.approx([0.001, 1202.6], rel=0.03)


def test_the_order_and_number_of_quantiles_do_not_matter(any_store):
    with connect(any_store) as connection:
        query = "SELECT metrics.percentiles('[5:7]={1,0,3}', %s::float8[])"
        (found,) = connection.execute(query, [[1.0, 0.25, 0.26, 0.0]]).fetchone()
        low, high = found[1], found[0]
        assert found == [high, low, high, low]
        assert connection.execute(query, [[]]).fetchone() == ([],)


def test_nothing_has_no_percentiles(any_store):
    with connect(any_store) as connection:
        assert connection.execute("SELECT metrics.percentiles(NULL, '{0.5,0.9}')").fetchone() == ([None, None],)
        merged = "SELECT metrics.hist_merge(h) FROM (VALUES (NULL::int[])) AS v (h)"
        assert connection.execute(merged).fetchone() == (None,)


def test_merging_fills_the_gap_and_outgrows_an_integer(any_store):
    with connect(any_store) as connection:
        gap = (
            "SELECT metrics.hist_merge(h::int[])::text FROM (VALUES ('[9:10]={1,2}'), ('[4:5]={3,4}'), (NULL)) AS v (h)"
        )
        assert connection.execute(gap).fetchone() == ("[4:10]={3,4,0,0,0,1,2}",)
        large = "SELECT metrics.hist_merge('[7:7]={2000000000}') FROM generate_series(1, 3)"
        assert connection.execute(large).fetchone() == ([6_000_000_000],)
