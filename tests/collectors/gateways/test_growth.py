"""Counters from page to page: restarts, new series, and lines that are missing once."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from collectors.gateways.growth import Growth

A, B = ("a", ()), ("b", ())


def test_the_first_page_has_no_growth_and_a_new_series_begins_at_nothing() -> None:
    growth = Growth()
    assert growth.since({A: Decimal(5)}) == {}
    assert growth.since({A: Decimal(5), B: Decimal(3)}) == {A: 0, B: 3}
    assert growth.resets == 0


def test_a_fall_is_a_fresh_start() -> None:
    growth = Growth()
    growth.since({A: Decimal(50), B: Decimal(1)})
    assert growth.since({A: Decimal(7), B: Decimal(2)}) == {A: 7, B: 1}
    assert growth.resets == 1


def test_a_restart_is_seen_even_where_the_counters_have_passed_their_old_values() -> None:
    growth = Growth()
    growth.since({A: Decimal(5)}, started=Decimal(100))
    assert growth.since({A: Decimal(9)}, started=Decimal(200)) == {A: 9}
    assert growth.since({A: Decimal(10)}, started=Decimal(200)) == {A: 1}
    assert growth.resets == 1


def test_a_series_that_is_missing_once_does_not_count_twice() -> None:
    growth = Growth()
    growth.since({A: Decimal(1000), B: Decimal(1)})
    assert growth.since({B: Decimal(2)}) == {B: 1}
    assert growth.since({A: Decimal(1010), B: Decimal(2)}) == {A: 10, B: 0}


@given(st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=5), min_size=1, max_size=5))
def test_all_that_is_seen_is_counted_once(lives: list[list[int]]) -> None:
    """Each list is one life of a server, as what its counter grows by between pages; it starts at 0 with each life."""
    growth = Growth()
    counted, expected, first = Decimal(0), 0, True
    for number, life in enumerate(lives):
        value = 0
        for more in life:
            value += more
            grown = growth.since({A: Decimal(value)}, started=Decimal(number))
            counted += sum(grown.values(), Decimal(0))
            expected += 0 if first else more
            first = False
    assert counted == expected
