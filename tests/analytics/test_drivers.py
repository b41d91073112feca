from math import fsum

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import cost
from analytics.drivers import DRIVERS, FACTORS
from store.errors import ColumnMissing, NoRows, ParameterInvalid, TooShort
from tests.analytics.seed import HOUR, NASTY, START

COUNT = st.integers(0, 10**9)
ROW = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["a", "b", "c", NASTY]),
        "requests": COUNT,
        "unpriced": COUNT,
        "input_tokens": COUNT,
        "cached_tokens": COUNT,
        "output_tokens": COUNT,
        "total_cost": st.one_of(st.none(), st.floats(-1e6, 1e9)),
    }
)
ROWS = st.lists(ROW, min_size=1, max_size=12)
SCHEMA = {
    "model": pl.String,
    **dict.fromkeys(["requests", "unpriced", "input_tokens", "cached_tokens", "output_tokens"], pl.Int64),
    "total_cost": pl.Float64,
}


def frame(rows):
    return pl.DataFrame(rows, schema=SCHEMA)


def one(model="a", requests=100, tokens=1000, usd=1.0, unpriced=0):
    return {
        "model": model,
        "requests": requests,
        "unpriced": unpriced,
        "input_tokens": tokens,
        "cached_tokens": 0,
        "output_tokens": 0,
        "total_cost": usd,
    }


def effects(now, then):
    return dict(cost.drivers(frame(now), before=frame(then)).effects().select("driver", "effect_usd").iter_rows())


@settings(max_examples=50, deadline=None)
@given(ROWS, ROWS)
def test_drivers_add_up_by_segment_and_in_all(now, then):
    found = cost.drivers(frame(now), before=frame(then))
    # Parts may be far larger than the change that they add up to: then their last bits bound what is left.
    coarse = 0.0
    for row in found.table.iter_rows(named=True):
        parts = [row[f"{name}_usd"] for name in DRIVERS]
        bits = 1e-15 * max(map(abs, parts))
        coarse += bits
        size = max(abs(row["cost_usd"]), abs(row["before_usd"]))
        assert fsum(parts) == pytest.approx(row["delta_usd"], rel=1e-9, abs=1e-12 * size + bits)
    spent = [fsum(row["total_cost"] or 0.0 for row in rows) for rows in (then, now)]
    size = max(fsum(abs(row["total_cost"] or 0.0) for row in rows) for rows in (then, now))
    assert found.delta_usd == pytest.approx(spent[1] - spent[0], rel=1e-9, abs=1e-12 * size)
    assert fsum(found.effects()["effect_usd"]) == pytest.approx(found.delta_usd, rel=1e-9, abs=1e-12 * size + coarse)


@settings(max_examples=50, deadline=None)
@given(ROWS, ROWS)
def test_time_reversed_every_effect_swaps_its_sign(now, then):
    size = max(fsum(abs(row["total_cost"] or 0.0) for row in rows) for rows in (then, now))
    forward, back = effects(now, then), effects(then, now)
    # Beside what the products of the other factors reach, where one of them falls to nearly nothing.
    for name in DRIVERS:
        assert forward[name] == pytest.approx(-back[name], rel=1e-6, abs=1e-6 * max(size, *map(abs, forward.values())))


@settings(max_examples=50, deadline=None)
@given(ROWS, st.floats(0.001, 1000))
def test_nothing_moved_moves_nothing_and_a_price_alone_is_price(rows, factor):
    assert set(effects(rows, rows).values()) == {0.0}
    dearer = [{**row, "total_cost": None if row["total_cost"] is None else row["total_cost"] * factor} for row in rows]
    moved = effects(dearer, rows)
    size = fsum(abs(row["total_cost"] or 0.0) for row in rows) * max(1.0, factor)
    for name in ("volume", "mix", "coverage", "tokens"):
        assert moved[name] == pytest.approx(0, abs=max(1e-9 * size, 1e-300))


@pytest.mark.parametrize(
    ("now", "driver", "usd"),
    [
        ([one(requests=200, tokens=2000, usd=2.0)], "volume", 1.0),
        ([one(tokens=3000, usd=3.0)], "tokens", 2.0),
        ([one(usd=4.0)], "price", 3.0),
        ([one(tokens=0, usd=0.0)], "tokens", -1.0),
        ([one(unpriced=50, usd=0.5)], "coverage", -0.5),
        ([one(), one("credit", 0, 0, -0.25)], "other", -0.25),
    ],
)
def test_each_driver_alone(now, driver, usd):
    moved = effects(now, [one()])
    assert moved.pop(driver) == pytest.approx(usd, rel=1e-12)
    assert set(moved.values()) == {0.0}


def test_a_segment_that_is_new_or_gone_is_mix_where_volume_stays():
    moved = effects([one("b", usd=5.0)], [one("a", usd=2.0)])
    assert (moved["mix"], moved["volume"], moved["price"], moved["tokens"]) == (pytest.approx(3.0), 0, 0, 0)


def test_everything_is_volume_where_nothing_was():
    assert effects([one(usd=7.0)], [one(requests=0, tokens=0, usd=0.0)])["volume"] == pytest.approx(7.0)


def test_without_tokens_what_is_not_requests_is_price():
    rows = frame([one(usd=2.0)]).select("model", "requests", "total_cost")
    before = frame([one(usd=1.0)]).select("model", "requests", "total_cost")
    moved = dict(cost.drivers(rows, before=before).effects().select("driver", "effect_usd").iter_rows())
    assert moved["price"] == 1.0


def test_prices_tell_longer_answers_from_a_higher_price():
    then = frame([{**one(tokens=1000, usd=0.0014), "output_tokens": 100}])
    now = frame([{**one(tokens=1000, usd=0.0018), "output_tokens": 200}])
    prices = pl.DataFrame({"model": ["a"], "input_usd_per_m": [1.0], "output_usd_per_m": [4.0]})
    plain = cost.drivers(now, before=then).table.row(0, named=True)
    told = cost.drivers(now, before=then, prices=prices).table.row(0, named=True)
    assert plain["price_usd"] > 1e-4
    assert told["price_usd"] == pytest.approx(0, abs=1e-15)
    assert told["tokens_usd"] == pytest.approx(0.0004)


def test_spans_of_one_frame_are_compared():
    rows = pl.concat([frame([one(usd=float(k))]).with_columns(bucket=pl.lit(START + k * HOUR)) for k in range(1, 5)])
    halves = cost.drivers(rows)
    assert (halves.before_usd, halves.cost_usd) == (3.0, 7.0)
    last = cost.drivers(rows, since=HOUR)
    assert (last.before_usd, last.cost_usd) == (3.0, 4.0)
    assert "from $3.00 to $4.00" in last.sentence()
    assert isinstance(cost.drivers(rows.to_pandas()).to_native(), pd.DataFrame)


def test_segments_add_up_to_coarser_ones():
    rows = [one("a", 10, 500, 1.0), one("b", 20, 100, 2.0)]
    more = [one("a", 30, 700, 4.0), one("b", 20, 300, 1.0)]
    fine = cost.drivers(frame(more), before=frame(rows))
    assert {name: fsum(fine.table[f"{name}_usd"]) for name in FACTORS} == pytest.approx(
        dict(fine.effects().filter(pl.col("driver") != "other").select("driver", "effect_usd").iter_rows())
    )


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"model": "modell"}, ColumnMissing, "did you mean 'modell'"),
        ({"total_cost": "total_costs"}, ColumnMissing, "did you mean 'total_costs'"),
    ],
)
def test_misnamed_columns(change, error, says):
    with pytest.raises(error, match=says):
        cost.drivers(frame([one()]).rename(change), before=frame([one()]))


def test_awkward_input():
    good = frame([one()])
    with pytest.raises(NoRows):
        cost.drivers(good.clear(), before=good)
    with pytest.raises(ParameterInvalid, match="infinite"):
        cost.drivers(good.with_columns(total_cost=pl.lit(float("inf"))), before=good)
    with pytest.raises(ParameterInvalid, match="zero or more"):
        cost.drivers(good.with_columns(requests=pl.lit(-1)), before=good)
    with pytest.raises(ParameterInvalid, match="zone"):
        cost.drivers(good.with_columns(bucket=pl.lit(START.replace(tzinfo=None))))
    with pytest.raises(TooShort, match="Load twice the span"):
        cost.drivers(good.with_columns(bucket=pl.lit(START)))
    assert "nothing moved it" in cost.drivers(good, before=good).sentence()
    huge = cost.drivers(frame([one(usd=1e18)]), before=frame([one(usd=1e-9)]))
    assert fsum(huge.effects()["effect_usd"]) == pytest.approx(1e18)


def test_names_are_escaped():
    shown = cost.drivers(frame([one(NASTY, usd=2.0)]), before=frame([one(NASTY)]))._repr_html_()
    assert "<script>" not in shown
