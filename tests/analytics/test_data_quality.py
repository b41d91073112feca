"""Gaps, lateness and bills."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from analytics import quality
from store.errors import ColumnMissing, NoRows, TooShort

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def counts(hours=24 * 28, *, day=8.0, night=0.2, seed=0):
    """Requests per hour that come independently, many by day and hardly any by night."""
    random = np.random.default_rng(seed)
    times = [START + k * HOUR for k in range(hours)]
    mean = [day if 8 <= at.hour < 20 else night for at in times]
    return pl.DataFrame({"unique_id": "total", "ds": times, "y": random.poisson(mean).astype(float)})


def without(frame, first, hours, value=0.0):
    gone = pl.col("ds").is_between(first, first + hours * HOUR, closed="left")
    return frame.with_columns(y=pl.when(gone).then(pl.lit(value, pl.Float64)).otherwise("y"))


def test_quiet_nights_are_no_gaps_and_a_lost_morning_is_one():
    frame = counts()
    assert quality.gaps(frame).table.is_empty()
    lost = START + timedelta(days=20, hours=9)
    found = quality.gaps(without(frame, lost, 3))
    (row,) = found.table.rows(named=True)
    assert (row["ds"], row["until"], row["lasted_s"]) == (lost, lost + 3 * HOUR, 3 * 3600)
    assert 15 < row["missing"] < 30
    assert (found.lost, found.steps) == (3, 24 * 28)
    assert "the longest in total" in found.sentence()
    assert "2026-03-22 09:00" in found.advice()[0]
    assert len(found.plot().data) == 2


def test_a_lost_night_is_missed_and_a_long_one_is_not():
    frame = counts()
    night = START + timedelta(days=20, hours=21)
    assert quality.gaps(without(frame, night, 6)).table.is_empty()  # one request was to be expected
    assert len(quality.gaps(without(frame, night, 14)).table) == 1


def test_unknown_values_are_always_gaps():
    night = START + timedelta(days=20, hours=21)
    found = quality.gaps(without(counts(), night, 2, value=None))
    (row,) = found.table.rows(named=True)
    assert (row["ds"], row["lasted_s"], row["missing"]) == (night, 7200, None)
    assert "missing" not in found.for_people().columns


def test_gaps_of_many_series_are_those_of_a_naive_loop():
    random = np.random.default_rng(5)
    parts = []
    for k in range(5):
        own = counts(seed=k).with_columns(unique_id=pl.lit(f"s{k}"))
        parts.append(without(own, START + timedelta(days=int(random.integers(15, 25)), hours=10), k + 1))
    frame = pl.concat(parts)
    expected = {}
    for k, own in enumerate(parts):
        values = own["y"].to_list()
        usual = {}
        for at, y in zip(own["ds"], values, strict=True):
            usual.setdefault((at.weekday(), at.hour), []).append(y)
        begun = None
        for at, y in zip([*own["ds"], None], [*values, 1.0], strict=True):
            if y == 0 and begun is None:
                begun, missing = at, 0.0
            if y == 0:
                missing += float(np.median(usual[at.weekday(), at.hour]))
            elif begun is not None:
                if missing >= 10:
                    expected[f"s{k}", begun] = missing
                begun = None
    rows = quality.gaps(frame).table.rows(named=True)
    assert {(row["series"], row["ds"]): row["missing"] for row in rows} == pytest.approx(expected)
    assert len(expected) >= 3


def test_a_short_history_is_compared_with_its_days_and_integers_with_all():
    week = without(counts(24 * 5), START + timedelta(days=4, hours=10), 4)
    assert len(quality.gaps(week).table) == 1
    steps = pl.DataFrame({"ds": range(60), "y": [6.0] * 30 + [0.0] * 4 + [6.0] * 26})
    assert quality.gaps(steps).table.select("ds", "until", "missing").rows() == [(30, 34, 24.0)]


def spans(**behind):
    rows = [
        {"source": name, "first": START, "last": None if h is None else START + h * HOUR} for name, h in behind.items()
    ]
    return pl.DataFrame(rows, schema_overrides={"last": pl.Datetime("us", "UTC")})


def test_lateness_is_told_by_source():
    now = START + timedelta(hours=100)
    found = quality.freshness(spans(llm_requests=99, rabbitmq_queues=80, llm_usage=None), until=now)
    assert found.table.select("source", "behind_s", "late").rows() == [
        ("rabbitmq_queues", 19 * 3600.0, True), ("llm_requests", 0.0, False),
    ]  # fmt: skip
    assert found.sentence() == "Data are late: queue samples end 19 h ago."
    assert found.advice() == ["Start what collects queue samples again: `gaugebook doctor` says what it lacks."]
    assert "up to date" in quality.freshness(spans(llm_requests=99), until=now).sentence()
    with pytest.raises(NoRows):
        quality.freshness(spans(llm_requests=None))


def test_a_model_that_stopped_is_told_and_one_that_pauses_is_not():
    hours = range(96)
    rows = [{"bucket": START + h * HOUR, "model": "on", "requests": 5} for h in hours]
    rows += [{"bucket": START + h * HOUR, "model": "off", "requests": 5} for h in range(80)]
    rows += [{"bucket": START + h * HOUR, "model": "rare", "requests": 1} for h in range(0, 96, 24)]
    found = quality.freshness(spans(llm_requests=95), pl.DataFrame(rows), until=START + timedelta(hours=96))
    assert found.silent.select("series", "silent_s", "pause_s").rows() == [("off", 16 * 3600.0, 3600.0)]
    assert "off has been silent for 16 h" in found.sentence()
    assert "off was meant to stop at 2026-03-05 08:00 UTC" in found.advice()[0]


def billed(**days):
    """Rows of both sides: provider=[(metered, billed or None), ...] by day."""
    made = []
    for provider, sums in days.items():
        for k, (metered, bill) in enumerate(sums):
            day = date(2026, 3, 1) + timedelta(days=k)
            made.append({"provider": provider, "day": day, "side": "metered", "cost_usd": metered})
            made.append({"provider": provider, "day": day, "side": "usage", "cost_usd": None})
            if bill is not None:
                made.append({"provider": provider, "day": day, "side": "billed", "cost_usd": bill})
    return pl.DataFrame(made, schema_overrides={"cost_usd": pl.Float64})


def test_only_days_with_a_report_are_compared():
    found = quality.bills(billed(openai=[(10, 12), (20, 20), (5, None)], anthropic=[(7, None)]))
    first, second = found.table.rows(named=True)
    assert first["provider"] == "openai"
    assert [first[name] for name in ("days", "billed_days", "metered_usd", "billed_usd", "gap_usd", "unchecked_usd")] == [
        3, 2, 30.0, 32.0, 2.0, 5.0,
    ]  # fmt: skip
    assert first["gap_pct"] == pytest.approx(6.25)
    assert (second["billed_days"], second["gap_usd"], second["unchecked_usd"]) == (0, 0.0, 7.0)
    assert "openai billed $32.00 and $30.00 were metered: $2.00 more is billed (6.2 %)" in found.sentence()
    assert "$12.00 were metered on days without a report" in found.sentence()
    assert [("reconcile --provider openai" in one, "import billing anthropic" in one) for one in found.advice()] == [
        (True, False), (False, True),
    ]  # fmt: skip
    assert {trace.name for trace in found.plot().data} == {"openai metered", "openai billed"}


def test_bills_that_agree_need_nothing_and_none_are_no_comparison():
    agreed = quality.bills(billed(openai=[(10.0, 10.05), (4.0, 4.0)]))
    assert agreed.sentence() == "openai billed $14.05 and $14.00 were metered: they agree."
    assert agreed.advice() == []
    nothing = quality.bills(billed(openai=[(10.0, None)]))
    assert "$10.00 that were metered are unchecked" in nothing.sentence()
    assert nothing.plot() is None
    with pytest.raises(TooShort, match="OpenAI or Anthropic"):
        quality.bills(billed(openai=[(1.0, None)]).clear())
    with pytest.raises(ColumnMissing):
        quality.bills(billed(openai=[(1.0, None)]).drop("side"))
