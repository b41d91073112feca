"""The decoder of XOR chunks for longer: more of what promtool writes, and more damage."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analytics.test_prom_chunks import SERIES, check_against_promtool, damage_and_compare, parts

pytestmark = pytest.mark.drill
__all__ = ["parts"]


@settings(max_examples=400, deadline=None)
@given(st.lists(SERIES, min_size=1, max_size=8))
def test_what_promtool_wrote_is_what_it_was_given(series):
    check_against_promtool(series)


@settings(max_examples=8_000, deadline=None)
@given(data=st.data())
def test_a_damaged_chunk_is_an_error_or_what_a_slow_reader_makes_of_it(parts, data):
    damage_and_compare(parts, data)
