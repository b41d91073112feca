"""Reading single values."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.files import values
from collectors.files.values import BadValue

NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "read"),
    [("7", 7), (" 7 ", 7), ("485857.0", 485857), (7, 7), (7.0, 7), ("0", 0), ("", None), (None, None), ("1e3", 1000)],
)
def test_count(given: object, read: int | None) -> None:
    assert values.count(given) == read


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("-1", "negative"),
        (-1, "negative"),
        ("1.5", "whole"),
        ("NaN", "finite"),
        (math.nan, "finite"),
        ("inf", "finite"),
        (math.inf, "finite"),
        ("1e400", "finite"),
        (10**400, "too large"),
        ("9" * 5000, "too large"),
        (2**63, "too large"),
        ("1_000", "not a number"),
        ("٣", "not a number"),
        ("x", "not a number"),
        (True, "not a number"),
        ([1], "not a number"),
    ],
)
def test_no_count(given: object, reason: str) -> None:
    with pytest.raises(BadValue, match=reason):
        values.count(given)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("2024-01-31T12:00:00Z", NOON),
        ("2024-01-31 12:00", NOON),
        ("2024-01-31 13:00:00.0000009+01:00", NOON),
        (NOON.replace(tzinfo=None), NOON),
        (NOON.astimezone(timezone(timedelta(hours=5))), NOON),
        (date(2024, 1, 31), NOON - timedelta(hours=12)),
        (NOON.timestamp(), NOON),
        (f"{NOON.timestamp():.0f}", NOON),
        (int(NOON.timestamp()) * 1000, NOON),
        (int(NOON.timestamp()) * 10**9, NOON),
        ("", None),
    ],
)
def test_time(given: object, read: datetime | None) -> None:
    assert values.time(given) == read


@pytest.mark.parametrize("given", ["yesterday", "2024-13-01", True, [], "0001-01-01T00:00+14:00", math.nan])
def test_no_time(given: object) -> None:
    with pytest.raises(BadValue):
        values.time(given)


@pytest.mark.parametrize(
    ("ts", "reason"),
    [
        (datetime(1999, 12, 31, tzinfo=UTC), "year 1999"),
        (datetime(2200, 1, 1, tzinfo=UTC), "year 2200"),
        (NOON + timedelta(days=1, seconds=1), "in the future"),
    ],
)
def test_times_out_of_range(ts: datetime, reason: str) -> None:
    with pytest.raises(BadValue, match=reason):
        values.sane_time(ts, NOON)
    assert values.sane_time(NOON + timedelta(days=1), NOON) > NOON


def test_money_is_exact() -> None:
    assert values.money("0.000000123456789") == Decimal("0.000000123456789")
    for bad in ("-0.01", "1e12", "1e-999999999", "nan"):
        with pytest.raises(BadValue):
            values.money(bad)


@pytest.mark.parametrize("given", ["a\0b", "\ud800", "x" * 201, {"a": 1}])
def test_text_that_a_key_cannot_hold(given: object) -> None:
    with pytest.raises(BadValue):
        values.key(given)


ANYTHING = st.text("0123456789.eE+-_ NanifT:Z\0", max_size=30) | st.floats() | st.integers() | st.booleans() | st.none()


@given(ANYTHING)
def test_every_reader_gives_a_value_that_fits_or_says_why(given: object) -> None:
    for reader in (values.count, values.amount, values.mean, values.money, values.width, values.http_status):
        with suppress(BadValue):
            read = reader(given)
            assert read is None or (read >= 0 and math.isfinite(read))
    for reader in (values.time, values.flag, values.key, values.number, values.whole):
        with suppress(BadValue):
            reader(given)
