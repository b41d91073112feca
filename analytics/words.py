"""Numbers and spans in words: one way to say an amount, a duration, an interval."""

from __future__ import annotations

from datetime import datetime
from math import isnan

STEPS = {60.0: "minute", 3600.0: "hour", 86_400.0: "day", 604_800.0: "week", 2_629_800.0: "month"}
SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
UNKNOWN = "unknown"


def amount(value: float | None, unit: str = "") -> str:
    """A value with its unit, short enough for a sentence.

    >>> amount(1234.5, "USD"), amount(0.0031, "USD"), amount(4_200_000, "tokens"), amount(None), amount(17.0)
    ('$1,234.50', '$0.0031', '4.2 M tokens', 'unknown', '17')
    """
    if value is None or isnan(value):
        return UNKNOWN
    if unit == "USD":
        return usd(value)
    size = abs(value)
    for scale, letter in SCALES:
        if size >= scale and size >= 10_000:
            shown = f"{value / scale:.3g} {letter}" if size < scale * 1000 else f"{value:.3g}"
            return f"{shown} {unit}".rstrip()
    shown = f"{value:,.0f}" if value == round(value) or size >= 1000 else f"{value:.3g}"
    return f"{shown} {unit}".rstrip()


def usd(value: float) -> str:
    """Dollars and cents; more digits below one cent.

    >>> usd(-3.2), usd(0.0), usd(0.00042), usd(1e6)
    ('-$3.20', '$0.00', '$0.00042', '$1,000,000.00')
    """
    sign, size = "-" if value < 0 else "", abs(value)
    if size >= 0.01 or size == 0:
        return f"{sign}${size:,.2f}"
    return f"{sign}${size:.5f}" if size < 1e-4 else f"{sign}${size:.2g}"


def share(value: float | None) -> str:
    """A share as per cent.

    >>> share(0.1234), share(None), share(1.0)
    ('12 %', 'unknown', '100 %')
    """
    if value is None or isnan(value):
        return UNKNOWN
    return f"{100 * value:.0f} %" if value >= 0.1 else f"{100 * value:.1f} %"


def change(fraction: float | None) -> str:
    """A change, signed.

    >>> change(0.25), change(-0.031), change(None)
    ('up 25 %', 'down 3.1 %', 'no comparison')
    """
    if fraction is None or isnan(fraction):
        return "no comparison"
    return "unchanged" if abs(fraction) < 0.0005 else f"{'up' if fraction > 0 else 'down'} {share(abs(fraction))}"


def interval(value: float, low: float | None, high: float | None, *, level: float, unit: str = "") -> str:
    """A value and its interval.

    >>> interval(10.0, 8.0, 13.0, level=80, unit="USD")
    '$10.00 (80 %: $8.00 to $13.00)'
    """
    if low is None or high is None:
        return f"{amount(value, unit)} (interval unknown)"
    return f"{amount(value, unit)} ({level:g} %: {amount(low, unit)} to {amount(high, unit)})"


def seconds(value: float | None) -> str:
    """A duration.

    >>> seconds(0.3712), seconds(90), seconds(7200), seconds(None), seconds(200_000)
    ('371 ms', '1.5 min', '2 h', 'unknown', '2.3 days')
    """
    if value is None or isnan(value):
        return UNKNOWN
    for size, name in ((86_400.0, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if value >= size:
            return f"{value / size:.2g} {name}" if value / size < 10 else f"{value / size:,.0f} {name}"
    return f"{1000 * value:.0f} ms" if value >= 0.01 else f"{1000 * value:.2g} ms"


def step(step_s: float | None) -> str:
    """What one step of a grid is called.

    >>> step(3600.0), step(600.0), step(None)
    ('hour', '10-minute step', 'step')
    """
    if step_s is None:
        return "step"
    if step_s in STEPS:
        return STEPS[step_s]
    return f"{step_s / 60:g}-minute step" if step_s < 86_400 else f"{step_s / 86_400:g}-day step"


def plural(noun: str, count: int) -> str:
    """The noun as its count asks.

    >>> plural("hour", 1), plural("hour", 2), plural("series", 3), plural("anomaly", 2)
    ('hour', 'hours', 'series', 'anomalies')
    """
    if count == 1 or noun == "series":
        return noun
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"


def moment(when: object) -> str:
    """A time as people write it; UTC is said.

    >>> from datetime import UTC
    >>> moment(datetime(2026, 1, 2, 3, 0, tzinfo=UTC)), moment(5)
    ('2026-01-02 03:00 UTC', '5')
    """
    if isinstance(when, datetime):
        offset = when.utcoffset()
        zone = "" if offset is None else " UTC" if not offset else f" {when:%z}"
        return f"{when:%Y-%m-%d %H:%M}{zone}"
    return str(when)
