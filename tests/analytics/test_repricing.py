import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import cost
from store.errors import ColumnMissing, NoRows, ParameterInvalid, UnknownName

USE = pl.DataFrame(
    {
        "model": ["big", "big", "small", "odd"],
        "team": ["a", "b", "a", "a"],
        "requests": [10, 10, 20, 5],
        "input_tokens": [1_000_000, 2_000_000, 1_000_000, 0],
        "cached_tokens": [500_000, 0, 0, 0],
        "output_tokens": [100_000, 100_000, 200_000, 0],
        "total_cost": [5.0, 9.0, 1.0, 0.5],
    }
)
PRICES = pl.DataFrame(
    {
        "model": ["big", "small"],
        "input_usd_per_m": [4.0, 0.5],
        "cached_usd_per_m": [1.0, None],
        "output_usd_per_m": [10.0, 2.0],
    }
)


def test_each_model_at_its_list_price():
    made = cost.what_if(USE, PRICES)
    big, small, odd = (
        made.table.row(by_predicate=pl.col("model") == name, named=True) for name in ("big", "small", "odd")
    )
    # 0.5 M fresh at 4, 0.5 M cached at 1, 0.1 M out at 10; and 2 M at 4, 0.1 M at 10.
    assert big["would_cost_usd"] == pytest.approx(3.5 + 9.0)
    assert small["would_cost_usd"] == pytest.approx(0.9)
    assert (odd["would_cost_usd"], odd["unpriced"]) == (0.5, 5)
    assert "5 of 45 requests have no rate or tokens" in made.sentence()


def test_another_model_for_some():
    made = cost.what_if(USE, PRICES, to="small", of="big")
    row = made.table.row(by_predicate=pl.col("model") == "big", named=True)
    assert row["would_cost_usd"] == pytest.approx(3 * 0.5 + 0.2 * 2)
    assert made.table.filter(model="small")["delta_usd"].item() == 0
    assert made.table["model"][0] == "big"


def test_caching_and_lengths():
    all_cached = cost.what_if(USE, PRICES, of="big", cached_share=1.0)
    assert all_cached.table.filter(model="big")["would_cost_usd"].item() == pytest.approx(3 * 1.0 + 2.0)
    longer = cost.what_if(USE, PRICES, of="small", output_tokens=2)
    assert longer.table.filter(model="small")["would_cost_usd"].item() == pytest.approx(0.5 + 0.8)


@given(st.floats(0, 1e6), st.sampled_from(["model", "team", ("model", "team")]))
def test_more_requests_need_no_prices_and_every_table_has_the_same_total(factor, by):
    made = cost.what_if(USE, requests=factor, by=by)
    assert made.would_cost_usd == pytest.approx(15.5 * factor)
    assert made.cost_usd == 15.5


def test_pandas_and_renamed_columns():
    theirs = USE.rename({"total_cost": "usd", "requests": "calls"}).to_pandas()
    made = cost.what_if(theirs, PRICES.to_pandas(), to="small", cost_col="usd", requests_col="calls")
    assert isinstance(made.to_native(), pd.DataFrame)
    assert made.would_cost_usd == pytest.approx(cost.what_if(USE, PRICES, to="small").would_cost_usd)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"to": "smal"}, UnknownName, "did you mean 'small'"),
        ({"of": "bigg"}, UnknownName, "did you mean 'big'"),
        ({"requests": -1}, ParameterInvalid, "requests"),
        ({"output_tokens": float("nan")}, ParameterInvalid, "output_tokens"),
        ({"cached_share": 1.5}, ParameterInvalid, "between 0 and 1"),
        ({"by": "teem"}, ColumnMissing, "did you mean 'team'"),
        ({"prices": PRICES.clear()}, NoRows, "price list"),
        ({"prices": PRICES.rename({"model": "models"})}, ColumnMissing, "did you mean 'models'"),
        ({"prices": pl.concat([PRICES, PRICES])}, ParameterInvalid, "more than one row"),
        ({"prices": PRICES.with_columns(input_usd_per_m=-1.0)}, ParameterInvalid, "negative"),
        ({"prices": None, "cached_share": 0.5}, ParameterInvalid, "needed for this change"),
    ],
)
def test_bad_arguments(arguments, error, says):
    with pytest.raises(error, match=says):
        cost.what_if(USE, **{"prices": PRICES, **arguments})
