import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics import queues
from store.errors import ColumnMissing, NoRows
from tests.analytics.seed import HOUR, NASTY, START

RATES = st.one_of(st.none(), st.floats(0, 1e6))


def wide(rows):
    columns = ["queue", "last_messages", "avg_published_per_s", "avg_acked_per_s", "avg_consumers"]
    frame = pl.DataFrame(
        rows,
        schema=dict(zip(columns, (pl.String, pl.Int64, pl.Float64, pl.Float64, pl.Float64), strict=True)),
        orient="row",
    )
    return frame.with_columns(
        bucket=pl.lit(START), cluster=pl.lit("c"), vhost=pl.lit("/"), max_messages=pl.col("last_messages")
    )


@pytest.mark.parametrize(
    ("row", "seconds"),
    [
        (("draining", 100, 5.0, 25.0, 1.0), 5.0),
        (("growing", 100, 25.0, 5.0, 1.0), None),
        (("standing", 100, 10.0, 10.0, 1.0), None),
        (("empty", 0, 10.0, 10.0, 1.0), 0.0),
        (("unknown", 7, None, None, None), None),
    ],
)
def test_each_kind_of_queue(row, seconds):
    assert queues.state(wide([row])).table["drain_s"].to_list() == [seconds]


def test_the_latest_hour_counts():
    old = wide([("q", 9, 1.0, 2.0, 1.0)])
    new = wide([("q", 4, 1.0, 3.0, 1.0)]).with_columns(bucket=pl.lit(START + HOUR))
    assert queues.state(pl.concat([new, old])).table.select("messages", "drain_s").rows() == [(4, 2.0)]


def test_the_sentence_names_what_needs_a_hand():
    state = queues.state(wide([("stuck", 90, 3.0, 1.0, 0.0), ("fine", 10, 1.0, 2.0, 1.0)]))
    assert state.sentence() == (
        "2 queues hold 100 messages; the deepest is stuck with 90. At present rates stuck will not drain. No consumer: stuck."
    )
    assert "nothing waits" in queues.state(wide([("q", 0, 1.0, 1.0, 1.0)])).sentence()
    assert "&lt;script&gt;" in queues.state(wide([(NASTY, 1, 1.0, 2.0, 1.0)]))._repr_html_()


@given(st.lists(st.tuples(st.integers(0, 10**9), RATES, RATES), min_size=1, max_size=20))
def test_agrees_with_a_loop(rows):
    frame = wide([(f"q{k}", depth, arriving, served, 1.0) for k, (depth, arriving, served) in enumerate(rows)])
    got = dict(queues.state(frame).table.select("queue", "drain_s").iter_rows())
    for k, (depth, arriving, served) in enumerate(rows):
        if depth == 0:
            assert got[f"q{k}"] == 0
        elif arriving is None or served is None or served - arriving <= queues.MIN_RATE:
            assert got[f"q{k}"] is None
        else:
            assert got[f"q{k}"] == pytest.approx(depth / (served - arriving))


def test_the_deepest_and_those_without_values():
    frame = pl.DataFrame({"unique_id": list("abc"), "ds": 1, "y": [1.0, None, 5.0]})
    assert queues.deepest(frame, 5)["unique_id"].to_list() == ["a", "c"]
    assert queues.deepest(frame, 1)["unique_id"].to_list() == ["c"]


def test_flow_without_samples_is_null():
    frame = wide([("a", 1, None, None, 1.0), ("b", 1, None, 2.0, 1.0)]).with_columns(
        avg_delivered_per_s=pl.lit(None, pl.Float64)
    )
    assert dict(queues.flow(frame).select("unique_id", "y").iter_rows()) == {
        "acked": 2.0,
        "delivered": None,
        "published": None,
    }


def test_no_rows_and_missing_columns():
    with pytest.raises(NoRows):
        queues.state(wide([]))
    with pytest.raises(ColumnMissing, match="'queue'"):
        queues.state(wide([("q", 1, 1.0, 1.0, 1.0)]).drop("queue"))
