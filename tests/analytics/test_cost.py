from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import cost
from store.errors import ColumnMissing, NoRows, ParameterInvalid
from tests.analytics.seed import HOUR, NASTY, START, hours

# Two hours before, two hours now; team c is gone, team d is new.
ROWS = pl.DataFrame(
    [
        (START, "a", "m1", 10, 1.0, 0),
        (START + HOUR, "c", "m1", 10, 2.0, 0),
        (START + 2 * HOUR, "a", "m1", 20, 3.0, 0),
        (START + 2 * HOUR, "b", "m2", 10, 6.0, 2),
        (START + 3 * HOUR, "d", "m3", 5, None, 5),
    ],
    schema=["bucket", "team", "model", "requests", "total_cost", "unpriced"],
    orient="row",
)
SINCE = START + 2 * HOUR


def test_spend_beside_the_span_before():
    spend = cost.breakdown(ROWS, "team", since=SINCE)
    columns = ("team", "cost_usd", "share", "requests", "previous_usd", "delta_usd", "delta_pct", "usd_per_1k_requests")
    assert spend.table.select(columns).rows() == [
        ("b", 6.0, pytest.approx(2 / 3), 10, 0.0, 6.0, None, 750.0),
        ("a", 3.0, pytest.approx(1 / 3), 20, 1.0, 2.0, pytest.approx(200), 150.0),
        ("d", 0.0, 0.0, 5, 0.0, 0.0, None, None),
        ("c", 0.0, 0.0, 0, 2.0, -2.0, -100.0, None),
    ]
    assert (spend.total_usd, spend.previous_usd) == (9.0, 3.0)


def test_what_has_no_price_is_counted_and_named():
    spend = cost.breakdown(ROWS, "team", since=SINCE)
    assert (spend.requests, spend.unpriced) == (35, 7)
    assert "7 of 35 requests have no known price" in spend.sentence()
    assert "unpriced" in spend.for_people().columns


def test_without_any_price_the_requests_are_told():
    free = cost.breakdown(ROWS.filter(team="d"))
    assert "none of them has a known price" in free.sentence()
    assert "cost_usd" not in free.for_people().columns
    assert cost.measure(ROWS.filter(team="d")) == ("requests", "requests")
    assert cost.measure(ROWS) == ("cost_usd", "USD")


@pytest.mark.parametrize("since", [None, START + HOUR, "2026-03-02T00:30Z"])
def test_a_span_that_was_not_seen_is_not_compared(since):
    spend = cost.breakdown(ROWS, since=since)
    assert spend.previous_usd is None
    assert spend.table["delta_usd"].is_null().all()
    assert "no time before to compare" in spend.sentence()


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.floats(0, 1e5)), min_size=1, max_size=60))
def test_every_breakdown_has_the_same_total(rows):
    frame = pl.DataFrame(rows, schema=["team", "model", "total_cost"], orient="row")
    frame = frame.with_columns(bucket=hours(len(rows)), requests=1)
    spends = [cost.breakdown(frame, by) for by in ("team", "model", ("team", "model"))]
    assert len({spend.total_usd for spend in spends}) == 1
    for spend in spends:
        assert round(sum(round(usd * cost.NANO) for usd in spend.table["cost_usd"])) == round(
            spend.total_usd * cost.NANO
        )
        naive = {}
        for team, model, usd in rows:
            key = tuple({"team": team, "model": model}[dim] for dim in spend.by)
            naive[key] = naive.get(key, 0.0) + usd
        assert {row[:-1]: row[-1] for row in spend.table.select(*spend.by, "cost_usd").iter_rows()} == pytest.approx(
            naive, abs=1e-7
        )


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"by": "teem"}, ColumnMissing, "did you mean 'team'"),
        ({"by": ()}, ParameterInvalid, "at least one"),
        ({"since": "2027-01-01T00:00Z", "until": "2027-02-01T00:00Z"}, NoRows, "2027-01-01"),
        ({"since": timedelta(0)}, ParameterInvalid, "not before until"),
    ],
)
def test_bad_arguments(arguments, error, says):
    with pytest.raises(error, match=says):
        cost.breakdown(ROWS, **arguments)


def test_no_rows():
    with pytest.raises(NoRows):
        cost.breakdown(ROWS.clear())


def test_html_escapes_names():
    shown = cost.breakdown(ROWS.with_columns(team=pl.lit(NASTY)))._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
