from math import factorial

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import queues
from analytics.erlang import servers, waiting_s
from analytics.simulation import backlog, consumers_needed
from store.errors import ColumnMissing, NoRows, ParameterInvalid, TooShort, UnknownName
from tests.analytics.seed import NASTY, hours

RATE = st.floats(0.01, 1e4)


def wide(count=72, *, queue="q", messages=7200, consumers=2.0, arriving=8.0, served=10.0, **more):
    columns = {"last_messages": messages, "avg_consumers": consumers, "avg_published_per_s": arriving}
    return pl.DataFrame({"bucket": hours(count), "queue": queue, **columns, "avg_acked_per_s": served, **more})


def row(frame, **options):
    return queues.capacity(frame, **{"horizon": 4, "n": 100, **options}).table.row(0, named=True)


def test_every_figure_of_a_steady_queue():
    found = row(wide(), max_length=10_000)
    assert (found["capacity_per_s"], found["capacity_seen"], found["utilisation"]) == (10.0, True, 0.8)
    assert (found["age_s"], found["drain_s"], found["full_s"]) == (900.0, 3600.0, None)
    assert (found["p_full"], found["peak_messages"]) == (0.0, 7200.0)


def test_a_queue_that_grows_says_when_it_is_full():
    found = row(wide(arriving=11.0), max_length=9000)
    assert (found["utilisation"], found["drain_s"], found["full_s"], found["p_full"]) == (1.1, None, 1800.0, 1.0)
    assert found["peak_messages"] == 9000


def test_a_queue_that_was_never_busy_has_shown_only_what_it_served():
    found = row(wide(messages=0, arriving=8.0, served=8.0))
    assert (found["capacity_per_s"], found["capacity_seen"], found["drain_s"]) == (8.0, False, 0.0)
    assert "at least" in queues.capacity(wide(messages=0), 4, n=100).sentence()


def test_what_consumers_have_in_hand_is_no_backlog():
    calm = pl.DataFrame({"avg_published_per_s": [2.0] * 60 + [10.0] * 12, "avg_acked_per_s": [2.0] * 60 + [10.0] * 12})
    found = row(wide(messages=20).drop(calm.columns).hstack(calm))
    assert (found["capacity_per_s"], found["capacity_seen"]) == (10.0, False)  # not the median of quiet hours


def test_a_stall_shows_no_capacity():
    served = pl.Series("avg_acked_per_s", [8.0] * 50 + [0.0] * 15 + [10.0] * 7)
    depth = pl.Series("last_messages", [0] * 49 + [9000] * 23)
    found = row(wide().drop("avg_acked_per_s", "last_messages").with_columns(served, depth))
    assert (found["capacity_per_s"], found["capacity_seen"]) == (10.0, True)


def test_capacity_is_that_of_the_present_consumers():
    more = pl.concat(
        [wide(48, served=10.0), wide(72, served=10.0, consumers=2.0).tail(24).with_columns(avg_consumers=4.0)]
    )
    assert row(more)["capacity_per_s"] == pytest.approx(20.0)


def test_no_consumer_is_no_capacity():
    found = row(wide(served=0.0, consumers=0.0))
    assert (found["utilisation"], found["drain_s"], found["consumers_needed"]) == (None, None, None)


def test_arrivals_that_nobody_counted_follow_from_the_balance():
    depth = [3600 * k for k in range(72)]
    found = row(wide(messages=pl.Series(depth), arriving=None, served=4.0))
    assert found["arriving_per_s"] == pytest.approx(5.0)


@settings(max_examples=25, deadline=None)
@given(
    arriving=RATE,
    served=RATE,
    messages=st.integers(1, 10**7),
    factor=st.sampled_from([0.001, 1e3]),
    slower=st.floats(1.5, 60),
)
def test_units(arriving, served, messages, factor, slower):
    """Counting in thousands changes no time; a slower clock makes every time longer by as much."""
    names = ("utilisation", "age_s", "drain_s")
    plain = row(wide(24, messages=float(messages), arriving=arriving, served=served), horizon=0)
    scaled = row(wide(24, messages=messages * factor, arriving=arriving * factor, served=served * factor), horizon=0)
    late = row(wide(24, messages=float(messages), arriving=arriving / slower, served=served / slower), horizon=0)
    for name, times in zip(names, (1, slower, slower), strict=True):
        if plain[name] is None:
            continue
        assert scaled[name] == pytest.approx(plain[name], rel=1e-6)
        if late[name] is not None:
            assert late[name] == pytest.approx(plain[name] * times, rel=1e-6)
    assert plain["age_s"] == pytest.approx(messages / arriving)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20), st.floats(0, 100), st.floats(0, 1e5), st.floats(1, 1e5))
def test_the_simulation_agrees_with_a_loop(arriving, capacity, start, limit):
    depth = backlog(np.array(arriving), np.array(capacity), np.array(start), np.array(limit), 60.0)
    now, naive = start, []
    for rate in arriving:
        now = min(max(now + (rate - capacity) * 60, 0), limit)
        naive.append(now)
    assert depth.tolist() == pytest.approx(naive)


@given(st.lists(st.floats(0, 100), min_size=4, max_size=12), st.floats(0.1, 20), st.floats(0, 1e4), st.floats(1, 1e4))
def test_fewest_consumers_hold_the_target_and_one_less_does_not(arriving, each, start, target_s):
    load = np.array([arriving])
    fewest = consumers_needed(load, each, start, 60.0, target_s, 0.9)

    def worst_age(count):
        depth = backlog(load, np.array(count * each), np.array(start), np.array(np.inf), 60.0)
        return depth[:, len(arriving) // 4 :].max() / (count * each)

    assert worst_age(fewest) <= target_s
    assert fewest == 1 or worst_age(fewest - 1) > target_s


@given(st.floats(0.1, 30), st.integers(1, 40))
def test_erlang_agrees_with_the_sum(offered, consumers):
    if offered >= consumers:
        assert waiting_s(offered, 1.0, consumers) == np.inf
        return
    terms = [offered**k / factorial(k) for k in range(consumers)]
    last = offered**consumers / factorial(consumers) * consumers / (consumers - offered)
    naive = last / (sum(terms) + last) / (consumers - offered)
    assert waiting_s(offered, 1.0, consumers) == pytest.approx(naive, rel=1e-9)


def test_more_arrivals_or_patience_need_more_or_fewer_consumers():
    assert [servers(rate, 1.0, 0.5) for rate in (0.5, 5, 50)] == sorted(
        servers(rate, 1.0, 0.5) for rate in (0.5, 5, 50)
    )
    assert servers(50, 1.0, 0.01) > servers(50, 1.0, 10) > 50
    assert servers(1e9, 1.0, 1.0) == 10**9 + 1


def test_a_chance_of_waiting_needs_more_than_the_load_alone():
    busy = row(wide(arriving=9.9, served=10.0, consumers=1.0, messages=10), target_age_s=0.05)
    assert busy["consumers_needed"] == 2


def test_the_backlog_to_come():
    made = queues.capacity(wide(arriving=12.0), 3, n=100)
    assert made.backlog["messages"].to_list() == [7200 + 2 * 3600 * k for k in (1, 2, 3)]
    assert made.backlog["ds"][0] == hours(73)[-1]
    assert (made.backlog["messages-lo-95"] <= made.backlog["messages-hi-95"]).all()
    assert "do not drain" in made.sentence() or "does not drain" in made.sentence()


def test_limits_may_be_columns_or_by_name():
    assert row(wide(max_length=9000.0, arriving=11.0))["full_s"] == 1800.0
    assert row(wide(arriving=11.0), max_length={"q": 9000})["full_s"] == 1800.0
    with pytest.raises(UnknownName, match="did you mean 'q'"):
        row(wide(), max_length={"qq": 5})
    with pytest.raises(ParameterInvalid, match="more than zero"):
        row(wide(), max_length=0)


def test_many_queues_the_most_endangered_first_and_gone_ones_left_out():
    frame = pl.concat([wide(queue="calm"), wide(queue=NASTY, arriving=9.9), wide(20, queue="gone")])
    made = queues.capacity(frame, 4, n=100)
    assert made.table["queue"].to_list() == [NASTY, "calm"]
    assert "<script>" not in made._repr_html_()
    assert {trace.name for trace in made.plot().data} >= {"expected", "arriving", "capacity"}


def test_any_frame():
    theirs = wide().rename({"bucket": "when", "queue": "name", "avg_acked_per_s": "done"}).to_pandas()
    made = queues.capacity(theirs, 2, n=100, time_col="when", queue_col="name", served_col="done")
    assert type(made.to_native()).__module__.startswith("pandas")
    assert made.table["utilisation"].to_list() == [0.8]


def test_awkward_input():
    with pytest.raises(NoRows):
        queues.capacity(wide().clear())
    with pytest.raises(TooShort):
        queues.capacity(wide(1))
    with pytest.raises(ColumnMissing, match="avg_acked_per_s"):
        queues.capacity(wide().drop("avg_acked_per_s"))
    with pytest.raises(ParameterInvalid, match="more than one row"):
        queues.capacity(pl.concat([wide(), wide()]))
    for value in (float("inf"), -1.0):
        with pytest.raises(ParameterInvalid, match="zero or more"):
            queues.capacity(wide(arriving=value))
    with pytest.raises(ParameterInvalid, match="integers"):
        queues.capacity(wide().with_columns(bucket=pl.int_range(72)))
    for name, value in (("horizon", -1), ("n", 5), ("target_age_s", 0), ("window", 0), ("level", 100)):
        with pytest.raises(ParameterInvalid, match=name):
            queues.capacity(wide(), **{name: value})
    empty = row(wide(messages=0, arriving=0.0, served=0.0))
    assert (empty["age_s"], empty["drain_s"], empty["peak_messages"]) == (0.0, 0.0, 0.0)
    unknown = row(wide(arriving=None, served=None))
    assert (unknown["utilisation"], unknown["consumers_needed"]) == (None, None)
    assert queues.capacity(wide(), 0, n=100).sentence()
