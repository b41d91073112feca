"""Rates between two samples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.rabbitmq.rates import Rates


def test_a_rate_is_what_was_added_over_the_time() -> None:
    rates = Rates()
    assert rates.between(0, {"q": {"published": 10, "acked": 10}}) == {"q": {"published": None, "acked": None}}
    assert rates.between(5, {"q": {"published": 30, "acked": 10}}) == {"q": {"published": 4.0, "acked": 0.0}}


@pytest.mark.parametrize("after", [{"published": 3, "acked": 50}, {"published": None, "acked": 3}])
def test_a_fall_of_one_counter_leaves_no_rate(after: dict) -> None:
    rates = Rates()
    rates.between(0, {"q": {"published": 10, "acked": 10}})
    assert rates.between(5, {"q": after}) == {"q": {"published": None, "acked": None}}


def test_new_missing_and_forgotten_keys() -> None:
    rates = Rates()
    rates.between(0, {"a": {"acked": 1}, "b": {"acked": None}})
    assert rates.between(1, {"b": {"acked": 5}, "c": {"acked": 5}}) == {"b": {"acked": None}, "c": {"acked": None}}
    assert rates.between(2, {"a": {"acked": 9}}) == {"a": {"acked": None}}
    rates.forget()
    assert rates.between(3, {"a": {"acked": 10}}) == {"a": {"acked": None}}


def test_no_time_passed() -> None:
    rates = Rates()
    rates.between(1, {"q": {"acked": 1}})
    assert rates.between(1, {"q": {"acked": 2}}) == {"q": {"acked": None}}


@given(st.lists(st.none() | st.integers(0, 2**63 - 1), min_size=2, max_size=30))
def test_agrees_with_a_loop_and_is_never_negative(counter: list[int | None]) -> None:
    rates = Rates()
    got = [rates.between(float(at), {"q": {"acked": value}})["q"]["acked"] for at, value in enumerate(counter)]
    assert got[0] is None
    for before, after, rate in zip(counter, counter[1:], got[1:], strict=False):
        if before is None or after is None or after < before:
            assert rate is None
        else:
            assert rate == float(after - before)
