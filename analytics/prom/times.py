"""Times and steps as callers write them, as whole milliseconds: Prometheus knows no finer ones."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from analytics.spans import moment
from store.errors import ParameterInvalid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Time = datetime | timedelta | str | float | None
Step = timedelta | str | float

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
DURATION = re.compile("".join(rf"(?:(\d+){unit})?" for unit in ("y", "w", "d", "h", "m", "s", "ms")))
ORDER = ("y", "w", "d", "h", "m", "s", "ms")
MILLISECOND = timedelta(milliseconds=1)


def time_ms(when: Time, end: datetime, name: str) -> int | None:
    """Milliseconds since 1970; a timedelta counts back from `end`, a number is seconds since 1970; None stays None.

    >>> time_ms("2026-01-02T03:00+02:00", EPOCH, "start"), time_ms(timedelta(seconds=1), EPOCH, "start")
    (1767315600000, -1000)

    Raises:
        ParameterInvalid: it is no time, or one without a zone.
    """
    if isinstance(when, int | float):
        try:
            when = datetime.fromtimestamp(when, UTC)
        except (ValueError, OverflowError, OSError):
            raise ParameterInvalid(name, f"expected seconds since 1970, got {when!r}") from None
    found = moment(when, end, name)
    return None if found is None else (found - EPOCH) // MILLISECOND


def span_ms(start: Time, end: Time, now: datetime) -> tuple[int, int]:
    """Start and end of a range, both included.

    Raises:
        ParameterInvalid: one is no time, there is no start, or it is after the end.
    """
    last = time_ms(end, now, "end")
    if last is None:
        last = (now - EPOCH) // MILLISECOND
    first = time_ms(start, EPOCH + last * MILLISECOND, "start")
    if first is None:
        raise ParameterInvalid("start", "is missing; an aware datetime, an ISO text with a zone, or a timedelta")
    if first > last:
        raise ParameterInvalid("start", f"{start} is after end, {end}")
    return first, last


def step_ms(step: Step) -> int:
    """A step: a timedelta, seconds, or a duration as in PromQL.

    >>> step_ms("1m30s"), step_ms(0.5), step_ms(timedelta(hours=1)), step_ms("15")
    (90000, 500, 3600000, 15000)

    Raises:
        ParameterInvalid: it is none, or not above zero.
    """
    found: float = 0
    if isinstance(step, timedelta):
        found = step / MILLISECOND
    elif isinstance(step, int | float) and not isinstance(step, bool):
        found = step * 1000
    elif isinstance(step, str):
        try:
            found = float(step) * 1000
        except ValueError:
            found = duration_ms(step) or 0
    if not 1 <= found < float(2**53):
        raise ParameterInvalid("step", f"expected seconds, a timedelta or a duration such as '1m', got {step!r}")
    return round(found)


def duration_ms(text: str) -> int | None:
    """A duration as Prometheus writes it, such as "1h30m"; None where it is none.

    >>> duration_ms("5m"), duration_ms("1h30m"), duration_ms("5 m")
    (300000, 5400000, None)
    """
    found = DURATION.fullmatch(text)
    if not text or found is None:
        return None
    return sum(int(number) * UNITS_MS[unit] for number, unit in zip(found.groups(), ORDER, strict=True) if number)
