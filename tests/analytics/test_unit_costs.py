"""Unit costs, rates worked out from what was paid, what caches saved and what a cheaper model would."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from analytics import cost
from store.errors import ColumnMissing, NoRows, TooShort

START = datetime(2026, 3, 2, tzinfo=UTC)
RATES = {"big": (3.0, 0.3, 15.0), "small": (0.15, 0.075, 0.6), "plain": (1.0, 1.0, 4.0)}  # fresh, cached, output


def rows(hours=60, *, noise=0.0, seed=0, models=RATES):
    """Hours of each model, whose costs are exactly those of its rates."""
    random = np.random.default_rng(seed)
    made = []
    for model in models:
        fresh, cached, out = RATES[model]
        for hour in range(hours):
            asked, produced = int(random.integers(1_000, 90_000)), int(random.integers(100, 20_000))
            hit = 0 if model == "plain" else int(asked * random.uniform(0, 0.9))
            paid = ((asked - hit) * fresh + hit * cached + produced * out) / 1e6
            made.append(
                {
                    "bucket": START + timedelta(hours=hour), "model": model, "team": "t", "requests": 10, "errors": 0,
                    "input_tokens": asked, "cached_tokens": hit, "output_tokens": produced, "reasoning_tokens": 0,
                    "total_cost": paid * (1 + noise * random.normal()), "unpriced": 0, "unmetered": 0,
                }
            )  # fmt: skip
    return pl.DataFrame(made)


def test_rates_are_found_again():
    found = {row["model"]: row for row in cost.rates_paid(rows()).iter_rows(named=True)}
    for model, (fresh, cached, out) in RATES.items():
        assert found[model]["input_usd_per_m"] == pytest.approx(fresh, rel=1e-6)
        assert found[model]["output_usd_per_m"] == pytest.approx(out, rel=1e-6)
        assert found[model]["explained"] == pytest.approx(1)
        expected = None if model == "plain" else pytest.approx(cached, rel=1e-6)  # nothing of it was cached
        assert found[model]["cached_usd_per_m"] == expected


def test_rates_that_did_not_hold_explain_less_and_are_never_negative():
    found = cost.rates_paid(rows(noise=0.3, seed=1))
    assert found["explained"].max() < 0.95
    assert (found.select(pl.selectors.ends_with("_per_m")).min_horizontal() >= 0).all()


@pytest.mark.parametrize(
    "frame",
    [rows(5), rows().with_columns(unpriced=1), rows().with_columns(pl.col("total_cost") * 0),
     rows().with_columns(input_tokens=1000, cached_tokens=0, output_tokens=500)],
    ids=["few hours", "no prices", "free", "always the same mix"],
)  # fmt: skip
def test_rates_that_cannot_be_told_are_not(frame):
    with pytest.raises(TooShort, match="rates"):
        cost.rates_paid(frame)


def test_a_price_that_is_not_known_is_in_no_rate():
    mixed = rows().with_columns(total_cost=pl.when(pl.col("bucket").dt.hour() < 3).then(None).otherwise("total_cost"))
    assert cost.rates_paid(mixed)["explained"].to_list() == pytest.approx([1, 1, 1])


def test_savings_of_the_cache_are_those_of_a_naive_loop():
    frame = rows()
    found = cost.cache_savings(frame, cost.rates_paid(frame))
    for row in found.table.iter_rows(named=True):
        own = frame.filter(model=row["model"])
        fresh, cached, _ = RATES[row["model"]]
        assert row["cached_share"] == pytest.approx(own["cached_tokens"].sum() / own["input_tokens"].sum())
        if row["model"] == "plain":
            assert (row["saved_usd"], row["more_usd"]) == (None, None)
            continue
        saved = sum(hit * (fresh - cached) / 1e6 for hit in own["cached_tokens"])
        assert row["saved_usd"] == pytest.approx(saved)
        assert row["more_usd"] == pytest.approx(0.1 * own["input_tokens"].sum() * (fresh - cached) / 1e6)
    assert "plain" in " ".join(found.advice())
    assert len(found.plot().data[0].x) == 3


def test_moves_are_those_of_a_naive_loop_and_one_step_down():
    frame = rows()
    prices = cost.rates_paid(frame)
    found = cost.cheaper(frame, prices)
    expected = {}
    for model in RATES:
        own = frame.filter(model=model)
        for to, (fresh, cached, out) in RATES.items():
            hits = own["cached_tokens"].sum()
            would = (
                (own["input_tokens"].sum() - hits) * fresh + hits * cached + own["output_tokens"].sum() * out
            ) / 1e6
            if to != model and would <= 0.8 * own["total_cost"].sum():
                expected[model, to] = would
    moves = {(row["model"], row["to"]): row["would_cost_usd"] for row in found.all_moves.iter_rows(named=True)}
    assert moves == pytest.approx(expected)
    nearest = {model: max((to for m, to in expected if m == model), key=lambda to, m=model: expected[m, to])
               for model in {m for m, _ in expected}}  # fmt: skip
    assert dict(found.table.select("model", "to").rows()) == nearest
    assert found.table["delta_usd"].is_sorted()
    assert "Try" in found.advice()[0]


def test_the_cheapest_has_nowhere_to_go():
    frame = rows(models=["small"])
    found = cost.cheaper(frame, cost.rates_paid(frame))
    assert (found.plot(), found.for_people(), found.advice()) == (None, None, [])
    assert "No model in use" in found.sentence()


def test_unit_costs_compare_with_the_span_before():
    then, now = (
        rows(24, seed=3),
        rows(24, seed=3).with_columns(pl.col("bucket") + timedelta(days=1), pl.col("total_cost") * 1.5),
    )
    found = cost.unit_costs(pl.concat([then, now]), since=START + timedelta(days=1))
    assert found.table["tokens_delta_pct"].to_list() == pytest.approx([50, 50, 50])
    big = found.table.row(0, named=True)
    own = now.filter(model="big")
    assert big["usd_per_1k_requests"] == pytest.approx(1000 * own["total_cost"].sum() / own["requests"].sum())
    tokens = own["input_tokens"].sum() + own["output_tokens"].sum()
    assert big["usd_per_m_tokens"] == pytest.approx(1e6 * own["total_cost"].sum() / tokens)
    assert "up 50 %" in found.sentence()
    assert "50 % more than before" in found.advice()[0]
    assert len(found.plot().data[0].y) == 3


def test_requests_without_a_price_are_in_no_unit_cost():
    frame = rows(4, models=["big"]).with_columns(
        unpriced=pl.when(pl.col("bucket") < START + timedelta(hours=2)).then(10).otherwise(0)
    )
    frame = frame.with_columns(total_cost=pl.when(pl.col("unpriced") > 0).then(None).otherwise("total_cost"))
    found = cost.unit_costs(frame)
    half = frame.filter(unpriced=0)
    assert found.table["usd_per_1k_requests"][0] == pytest.approx(
        1000 * half["total_cost"].sum() / half["requests"].sum()
    )
    nothing = cost.unit_costs(frame.filter(pl.col("unpriced") > 0))
    assert "no known price" in nothing.sentence().replace("No request has a", "no")
    assert (nothing.report()[1], nothing.advice()) == (None, [])
    with pytest.raises(NoRows):
        cost.unit_costs(frame.clear())
    with pytest.raises(ColumnMissing):
        cost.unit_costs(frame, "modell")
