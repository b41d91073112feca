"""Rows as bytes: every value comes back as it was."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.packing import Foreign, pack, unpack

SURROGATES = st.text(st.characters(), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | SURROGATES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SURROGATES | st.integers(), inner, max_size=3),
    max_leaves=5,
)
VALUES = (
    JSON
    | st.decimals(allow_nan=False)
    | st.datetimes()
    | st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-11))]))
    | st.dates()
    | st.binary(max_size=5)
    | st.uuids()
)


def back(value):
    table, columns, rows = unpack(pack("a.table", ["it"], [(value,)]))
    assert (table, columns) == ("a.table", ("it",))
    return rows[0][0]


@given(VALUES)
def test_a_value_comes_back_as_it_was(value):
    again = back(value)
    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 1, 1, 0, 0, 0, 1, UTC),
        2**63,
        -(2**63) - 1,
        10**4000,
        math.inf,
        "nul\0",
        "\ud800",
        {"x": ["\udfff", {"\ud800": 1}], "n": None},
        {1: 2, 1.5: 3, None: 4},
        Decimal("1.100"),
        date(2026, 1, 1),
        UUID(int=7),
    ],
)
def test_awkward_values(value):
    assert repr(back(value)) == repr(value)


def test_what_is_not_a_number_stays_so():
    assert math.isnan(back(math.nan))
    assert back(Decimal("NaN")).is_nan()


def test_what_cannot_be_kept_spoils_its_row_alone():
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    _, _, rows = unpack(pack("t", ["a"], [(1,), ({1, 2},), (object,), ({(1, 2): 3},), (2,)]))
    assert [row[0] for row in (rows[0], rows[4])] == [1, 2]
    assert all(isinstance(row[0], Foreign) for row in rows[1:4])
    assert str(rows[1][0]) == "{1, 2}"
    assert len(unpack(pack("t", ["a"], [(1,), (deep,)]))[2]) == 2


@pytest.mark.parametrize("payload", [b"", b"\xc1", pack("t", ["a"], [(1,)])[:-1], b"\x93\x01\x02\x03"])
def test_other_bytes_are_refused(payload):
    with pytest.raises(ValueError, match="."):
        unpack(payload)


@given(
    st.lists(
        st.tuples(
            st.none() | st.decimals(allow_nan=False), st.datetimes(timezones=st.just(UTC)), st.none() | st.integers()
        ),
        max_size=5,
    )
)
def test_columns_come_back_as_they_were(given_rows):
    _, _, rows = unpack(pack("t", ["a", "b", "c"], given_rows))
    assert [*map(tuple, rows)] == given_rows


def test_rows_of_different_lengths_come_back_too():
    given_rows = [(1, 2), (3,), ()]
    assert [*map(tuple, unpack(pack("t", ["a", "b"], given_rows))[2])] == given_rows
    assert len(unpack(pack("t", [], [(), ()]))[2]) == 2
