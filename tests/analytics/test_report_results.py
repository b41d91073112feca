"""The results that reports are made of show and explain themselves as the others do, whatever names are in them."""

import re
from datetime import UTC, datetime, timedelta
from html import escape

import polars as pl
import pytest
from IPython.lib.pretty import pretty

from analytics import anomalies, causes, cost, performance, quality, standings, track_record
from analytics.explained import Explained
from analytics.tabled import Tabled
from tests.analytics.result_checks import check_chart, check_frames
from tests.analytics.seed import HOUR, NASTY, START, hours, seasonal
from tests.analytics.test_results import every

SPAN = 24 * 21
SERIES = pl.concat([seasonal(SPAN, unique_id=NASTY, level=9), seasonal(SPAN, unique_id="b", level=4, seed=2)])
SPIKE = SERIES.with_columns(y=pl.when(pl.col("ds") == START + 450 * HOUR).then(400.0).otherwise("y"))
ROWS = SPIKE.select(
    pl.col("ds").alias("bucket"), pl.col("unique_id").alias("model"), pl.lit(NASTY).alias("team"),
    pl.lit("p").alias("project"), pl.lit(10).alias("requests"), pl.col("y").alias("total_cost"),
    pl.lit(20_000).alias("input_tokens"), pl.lit(5_000).alias("cached_tokens"), pl.lit(1_000).alias("output_tokens"),
)  # fmt: skip
PRICES = pl.DataFrame(
    {"model": [NASTY, "b"], "input_usd_per_m": [4.0, 0.01], "cached_usd_per_m": [1.0, 0.005], "output_usd_per_m": [10.0, 0.04]}
)  # fmt: skip
LATENCY = pl.DataFrame(
    {
        "model": [NASTY, "b"], "requests": 100, "errors": [5, 0], "ttft_p50_s": 0.2, "ttft_p95_s": [0.9, 0.5],
        "tpot_p50_s": 0.02, "duration_p95_s": 4.0,
    }
)  # fmt: skip
FAILED = pl.DataFrame(
    {"model": [NASTY], "errors": 5, "rate_limit": 5, "timeout": 0, "server": 0, "client": 0, "other": 0}
)
MET = pl.DataFrame({"ds": hours(48), "model": NASTY, "requests": 100, "errors": 2, "measured": 98, "within": 90.0})
BILLED = pl.DataFrame(
    {"provider": "openai", "day": [START, START, START + timedelta(days=1)] * 2, "side": ["metered", "billed", "billed"] * 2,
     "cost_usd": [4.0, 5.0, 10.0] * 2}
)  # fmt: skip
SPANS = pl.DataFrame({"source": ["llm_requests"], "first": [START], "last": [START + 100 * HOUR]})
QUIET = SERIES.filter((pl.col("unique_id") == "b") | (pl.col("ds") < START + 400 * HOUR))
LOST = SERIES.with_columns(y=pl.when(pl.col("ds").dt.day() == 5).then(0.0).otherwise("y"))
BUDGET = {
    "name": NASTY, "team": NASTY, "project": None, "model": None, "by_key": False, "period": "month", "limit_usd": 600.0,
    "starts_at": datetime(2026, 3, 1, tzinfo=UTC), "ends_at": datetime(2026, 4, 1, tzinfo=UTC),
}  # fmt: skip
STORED = pl.DataFrame(
    {
        "run_id": "r", "target": "hourly cost_usd", "unique_id": NASTY, "ds": hours(48), "lead_h": [float(k) for k in range(48)],
        "y": 4.0, "y_hat": 5.0, "lo_80": 4.5, "hi_80": 5.5, "lo_95": 3.0, "hi_95": 7.0, "trained_until": START,
    }
)  # fmt: skip
PARTS = {
    "Attainment": lambda: performance.slo(MET, 1.0),
    "Bills": lambda: quality.bills(BILLED),
    "CacheSavings": lambda: cost.cache_savings(ROWS, PRICES),
    "Causes": lambda: causes(anomalies(SPIKE, unit="USD"), ROWS),
    "Cheaper": lambda: cost.cheaper(ROWS, PRICES),
    "Freshness": lambda: quality.freshness(SPANS, QUIET.select(bucket="ds", model="unique_id", requests=1), until="2026-04-01T00:00Z"),
    "Gaps": lambda: quality.gaps(LOST),
    "Landing": lambda: cost.landing(SERIES.with_columns(pl.col("ds").dt.offset_by("1d"))),
    "Speeds": lambda: performance.speeds(LATENCY, LATENCY, FAILED),
    "Standings": lambda: standings(pl.DataFrame([BUDGET]), ROWS),
    "TrackRecord": lambda: track_record(STORED),
    "UnitCosts": lambda: cost.unit_costs(ROWS, "model", since=START + timedelta(days=14)),
}  # fmt: skip


@pytest.fixture(scope="module")
def part():
    """Each result, made when it is first asked for."""
    made = {}
    return lambda name: made[name] if name in made else made.setdefault(name, PARTS[name]())


def test_there_is_a_maker_for_every_one():
    assert {one.__name__ for one in every(Tabled) if not issubclass(one, Explained)} == set(PARTS)


@pytest.mark.parametrize("name", PARTS)
def test_it_draws_a_chart_with_a_text_for_those_who_do_not_see_it(part, name):
    check_chart(part(name))


@pytest.mark.parametrize("name", PARTS)
def test_it_is_a_frame_of_either_kind(part, name):
    check_frames(part(name))


@pytest.mark.parametrize("name", PARTS)
def test_it_explains_itself(part, name):
    made = part(name)
    lines = made.explain().splitlines()
    assert lines[0] == made.sentence() == made.report()[0]
    assert lines[1 : 1 + len(made.advice())] == made.advice()
    for line in lines:
        assert re.fullmatch(r"\S.*\.", line), line
        assert "nan" not in line.lower().split()
        assert not re.search(r"\bNone\b", line), line
    assert repr(made) == f"<{name}: {made.sentence()}>"


@pytest.mark.parametrize("name", PARTS)
def test_it_shows_itself_in_a_notebook_and_in_a_terminal(part, name):
    made = part(name)
    html = made._repr_html_()
    assert escape(made.sentence()) in html
    assert "<script>" not in html
    assert "nan" not in re.sub(r"<[^>]*>", "", html)
    assert html.count("<table>") == len([one for one in made.tables() if len(one)]) >= 1
    shown = pretty(made)
    assert "".join(made.sentence().split()) in "".join(shown.split())
    assert "─" in shown
