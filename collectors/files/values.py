"""From what stands in a file to a value of a column: each reader returns None for nothing and raises BadValue."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation

Reader = Callable[[object], object]

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
EPOCH = re.compile(r"\d{9,19}(\.\d+)?", re.ASCII)
INT8 = 2**63 - 1
DEAREST_USD = Decimal(10) ** 12
KEY_BYTES, TEXT_BYTES = 200, 4000  # the key of a table has to fit into an index page
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)  # clocks and time zones go wrong by hours, not by more


class BadValue(ValueError):
    """A value that does not fit its field; the message says why."""


def text(value: object, most_bytes: int = TEXT_BYTES) -> str | None:
    """Text without NUL, of at most `most_bytes` bytes in UTF-8."""
    if _nothing(value):
        return None
    if isinstance(value, dict | list):
        raise BadValue("is not text")
    found = str(value).strip()
    if "\0" in found:
        raise BadValue("has a NUL byte")
    try:
        size = len(found.encode())
    except UnicodeEncodeError:
        raise BadValue("is not valid Unicode") from None
    if size > most_bytes:
        raise BadValue(f"is longer than {most_bytes} bytes")
    return found


def key(value: object) -> str | None:
    """Text that is part of a key or a dimension: short."""
    return text(value, KEY_BYTES)


def number(value: object) -> float | None:
    """A finite number."""
    if _nothing(value):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise BadValue(f"{_shown(value)} is not a number")
    if isinstance(value, str) and not NUMBER.fullmatch(value.strip()):
        known = value.strip().lower().lstrip("+-") in ("nan", "inf", "infinity")
        raise BadValue(f"{_shown(value)} is not a {'finite ' if known else ''}number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise BadValue(f"{_shown(value)} is not a finite number")
    return found


def count(value: object) -> int | None:
    """A whole number of at least 0; `485857.0` is one."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        found = int(value) if len(value) <= len(str(INT8)) else INT8 + 1
    elif type(value) is int:
        found = value
    else:
        exact = number(value)
        if exact is None:
            return None
        if not exact.is_integer():
            raise BadValue(f"{_shown(value)} is not a whole number")
        found = int(exact)
    if found < 0:
        raise BadValue(f"{_shown(value)} is negative")
    if found > INT8:
        raise BadValue(f"{_shown(value)} is too large")
    return found


def whole(value: object) -> int | None:
    """A whole number, negative or not."""
    exact = number(value)
    if exact is not None and not exact.is_integer():
        raise BadValue(f"{_shown(value)} is not a whole number")
    return None if exact is None else int(exact)


def width(value: object) -> int | None:
    """The width of a bucket: whole seconds, more than 0, at most a year."""
    found = count(value)
    if found is not None and not 0 < found <= 366 * 86400:
        raise BadValue(f"{_shown(value)} is not a width from 1 s to a year")
    return found


def amount(value: object) -> float | None:
    """A finite number of at least 0: seconds, or tokens per second."""
    found = number(value)
    if found is not None and found < 0:
        raise BadValue(f"{_shown(value)} is negative")
    return found


def mean(value: object) -> float | None:
    """An average of at least 0; NaN is what an average of nothing looks like."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, str) and value.strip().lower() == "nan":
        return None
    return amount(value)


def money(value: object) -> Decimal | None:
    """US dollars of at least 0, exactly as written."""
    if amount(value) is None:
        return None
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        raise BadValue(f"{_shown(value)} is not an amount") from None
    if found >= DEAREST_USD:
        raise BadValue(f"{_shown(value)} is too large")
    return found


def flag(value: object) -> bool | None:
    """True or false, yes or no, 1 or 0."""
    if _nothing(value):
        return None
    found = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
        str(value).strip().lower()
    )
    if found is None:
        raise BadValue(f"{_shown(value)} is neither true nor false")
    return found


def http_status(value: object) -> int | None:
    """A status code of HTTP, 100 to 599."""
    found = count(value)
    if found is not None and not 100 <= found <= 599:
        raise BadValue(f"{_shown(value)} is not an HTTP status")
    return found


def one_of(*names: str) -> Reader:
    """A reader of one of `names`."""

    def read(value: object) -> str | None:
        found = text(value)
        if found is not None and found not in names:
            raise BadValue(f"{_shown(value)} is not one of {', '.join(names)}")
        return found

    return read


def time(value: object) -> datetime | None:
    """A time in UTC: ISO 8601, taken as UTC where it names no zone, or seconds, ms, us or ns since 1970."""
    if _nothing(value):
        return None
    found: datetime | None = None
    try:
        if isinstance(value, datetime):
            found = value
        elif isinstance(value, date):
            found = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the zone comes below
        elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            found = _since_1970(number(value) or 0.0)
        elif isinstance(value, str) and EPOCH.fullmatch(value.strip()):
            found = _since_1970(float(value))
        elif isinstance(value, str):
            found = datetime.fromisoformat(value.strip())
        if found is not None:
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadValue(f"{_shown(value)} is not a time such as 2024-01-31T12:00:00Z")


def sane_time(ts: datetime, now: datetime) -> datetime:
    """`ts` itself where it is from 2000 to 2199 and no more than a day after `now`."""
    if not FIRST <= ts < LAST:
        raise BadValue(f"the year {ts.year} is out of range")
    if ts > now + AHEAD:
        raise BadValue(f"{ts:%Y-%m-%d %H:%M:%S} UTC is in the future")
    return ts


def _since_1970(value: float) -> datetime:
    while value >= 1e11:
        value /= 1000
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)


def _nothing(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "..."
