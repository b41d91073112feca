"""Numbers as Grafana writes them in the units that our dashboards use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

DURATIONS = (
    (86_400.0 * 365, "years"),
    (86_400.0, "days"),
    (3600.0, "hours"),
    (60.0, "mins"),
    (1.0, "s"),
    (0.001, "ms"),
)
BINARY = tuple((1024.0**power, name) for power, name in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB"), (0, "B")))
DECIMAL = tuple((1000.0**power, name) for power, name in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB"), (0, "B")))
COUNTS = ((1e12, "T"), (1e9, "B"), (1e6, "Mil"), (1e3, "K"), (1.0, ""))
STEPS: dict[str, tuple[Sequence[tuple[float, str]], str]] = {
    "s": (DURATIONS, ""),
    "bytes": (BINARY, ""),
    "decbytes": (DECIMAL, ""),
    "short": (COUNTS, ""),
    "mps": (COUNTS, "msg/s"),
    "ops": (COUNTS, "ops/s"),
    "reqps": (COUNTS, "req/s"),
    "cps": (COUNTS, "tok/s"),
}
KNOWN = {*STEPS, "none", "percentunit", "currencyUSD", "dateTimeFromNow", "dateTimeAsIso", "bool", "string"}


def scale(unit: str, largest: float) -> tuple[float, str]:
    """What to divide by, and what to write behind, so that a number of this size reads well.

    >>> scale("s", 7200), scale("percentunit", 0.3), scale("mps", 12)
    ((3600.0, 'hours'), (0.01, '%'), (1.0, 'msg/s'))
    """
    if unit == "percentunit":
        return 0.01, "%"
    if unit in STEPS:
        steps, behind = STEPS[unit]
        by, name = next((step for step in steps if abs(largest) >= step[0]), steps[-1])
        if not largest:
            by, name = next(step for step in steps if step[0] == 1)
        return by, " ".join(part for part in (name, behind) if part)
    return 1.0, ""


def say(value: object, unit: str, decimals: int | None = None, *, now: datetime | None = None) -> str:
    """A value as a panel shows it.

    >>> say(0.25, "percentunit"), say(1536, "bytes"), say(12.5, "currencyUSD"), say(None, "s")
    ('25%', '1.50 KiB', '$12.50', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return _ago(value, now or datetime.now(UTC)) if unit == "dateTimeFromNow" else f"{value:%Y-%m-%d %H:%M}"
    if not isinstance(value, (int, float)):
        return str(value)
    if unit == "currencyUSD":
        return f"-${_number(-value, decimals, 2)}" if value < 0 else f"${_number(value, decimals, 2)}"
    by, behind = scale(unit, float(value))
    text = _number(value / by, decimals)
    return f"{text}{behind}" if behind == "%" else f"{text} {behind}".strip()


def _number(value: float, decimals: int | None, most: int | None = None) -> str:
    """Three figures, as Grafana has them where nobody says how many decimals."""
    if decimals is None and most is not None and abs(value) >= 0.01:
        decimals = most
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"


def _ago(at: datetime, now: datetime) -> str:
    """How far away a time is.

    >>> _ago(datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    'in 2 days'
    """
    away_s = (at - now).total_seconds()
    by, name = next((step for step in DURATIONS if abs(away_s) >= step[0]), DURATIONS[-2])
    told = f"{abs(away_s) / by:.0f} {name}"
    return f"in {told}" if away_s > 0 else f"{told} ago"
