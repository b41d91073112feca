"""Rates between two samples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.rabbitmq.rates import Rates, Totals


def test_a_rate_is_what_was_added_over_the_time() -> None:
    rates = Rates()
    assert rates.between(0, {"q": {"published": 10, "acked": 10}}) == {}
    assert rates.between(5, {"q": {"published": 30, "acked": 10}}) == {"q": {"published": 4.0, "acked": 0.0}}
    assert rates.resets == 0


@pytest.mark.parametrize("after", [{"published": 3, "acked": 50}, {"acked": 3}])
def test_a_fall_of_one_counter_leaves_no_rate(after: dict[str, int]) -> None:
    rates = Rates()
    rates.between(0, {"q": {"published": 10, "acked": 10}, "other": {"acked": 1}})
    assert rates.between(5, {"q": after, "other": {"acked": 6}}) == {"other": {"acked": 1.0}}
    assert rates.resets == 1


def test_new_missing_and_forgotten_keys() -> None:
    rates = Rates()
    rates.between(0, {"a": {"acked": 1}, "b": {}})
    assert rates.between(1, {"b": {"acked": 5}, "c": {"acked": 5}}) == {}
    assert rates.between(2, {"a": {"acked": 9}}) == {}
    rates.forget()
    assert rates.between(3, {"a": {"acked": 10}}) == {}
    assert rates.between(4, {"a": {"acked": 10, "published": 7}}) == {"a": {"acked": 0.0}}


def test_no_time_passed() -> None:
    rates = Rates()
    rates.between(1, {"q": {"acked": 1}})
    assert rates.between(1, {"q": {"acked": 2}}) == {}


BOOTED = {"a": 1000.0, "b": 2000.0}


@pytest.mark.parametrize(
    ("boots", "reset"),
    [
        ({"a": 1000.0, "b": 2000.0}, False),
        ({"a": 1001.2, "b": 1998.9}, False),  # worked out from an uptime that came late
        ({"a": 1060.0, "b": 2000.0}, True),
        ({"a": 1000.0}, True),
        ({"a": 1000.0, "b": 2000.0, "c": 900.0}, True),
        ({}, True),
    ],
    ids=["same", "about the same", "started again", "gone", "come", "all gone"],
)
def test_a_node_that_started_again_is_no_burst_though_the_counter_has_passed_its_old_value(
    boots: dict[str, float], reset: bool
) -> None:
    rates = Rates()
    rates.between(0, {"q": {"acked": 10}}, BOOTED)
    assert rates.between(10, {"q": {"acked": 5_000_000}}, boots) == ({} if reset else {"q": {"acked": 499_999.0}})
    assert rates.resets == reset
    assert rates.between(20, {"q": {"acked": 5_000_010}}, boots) == {"q": {"acked": 1.0}}
    assert rates.resets == reset


def test_a_gap_is_not_a_rate() -> None:
    rates = Rates(gap_s=45)
    rates.between(0, {"q": {"acked": 0}})
    assert rates.between(45, {"q": {"acked": 45}}) == {"q": {"acked": 1.0}}
    assert rates.between(95, {"q": {"acked": 100}}) == {}
    assert rates.between(110, {"q": {"acked": 115}}) == {"q": {"acked": 1.0}}


@given(st.lists(st.none() | st.integers(0, 2**63 - 1), min_size=2, max_size=30))
def test_agrees_with_a_loop_and_is_never_negative(counter: list[int | None]) -> None:
    rates = Rates()
    got = [
        rates.between(float(at), {"q": {} if value is None else {"acked": value}}).get("q", {}).get("acked")
        for at, value in enumerate(counter)
    ]
    assert got[0] is None
    for before, after, rate in zip(counter, counter[1:], got[1:], strict=False):
        if before is None or after is None or after < before:
            assert rate is None
        else:
            assert rate == float(after - before)


def test_totals_never_fall_and_count_no_node_twice() -> None:
    totals, shown = Totals(), []
    looks = [
        (900, BOOTED, "native"),
        (950, BOOTED, "native"),
        (600, {"a": 1000.0}, "native"),  # b has gone, and what it counted with it
        (620, {"a": 1000.0}, "native"),
        (980, {"a": 1000.0, "b": 2500.0}, "native"),
        (990, {"a": 1000.4, "b": 2499.9}, "native"),
        (70, {"a": 1000.0, "b": 2500.0}, "management"),
        (75, {"a": 1000.0, "b": 2500.0}, "management"),
    ]
    for acked, boots, source in looks:
        totals.add({"acked": acked}, boots, source)
        shown.append(totals.values["acked"])
    assert shown == [0, 50, 50, 70, 70, 80, 80, 85]


def test_a_total_that_is_told_later_begins_then() -> None:
    totals = Totals()
    totals.add({"acked": 5}, BOOTED, "native")
    totals.add({"acked": 7, "returned": 40}, BOOTED, "native")
    totals.add({"returned": 41}, BOOTED, "native")
    assert totals.values == {"acked": 2, "returned": 1}
