"""What a query brings back: series over time, or rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Number = float | None


@dataclass(frozen=True)
class Series:
    """One line of a panel: times in seconds since 1970, and a value at each."""

    name: str
    times: Sequence[float]
    values: Sequence[Number]
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def last(self) -> Number:
        """The latest value that is there."""
        return next((value for value in reversed(self.values) if value is not None), None)


@dataclass(frozen=True)
class Answer:
    """What one query brought: `series`, or the rows of a table, and the milliseconds that it took."""

    ref: str
    series: tuple[Series, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    took_ms: float = 0
    error: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        seen = any(value is not None for one in self.series for value in one.values)
        return not seen and not any(value is not None for row in self.rows for value in row)


def series_of(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> tuple[Series, ...]:
    """Rows as Grafana makes series of them: by the column `time`, named by texts, else by the column of the number.

    >>> series_of(["time", "metric", "cost"], [(0, "a", 1.0), (60, "a", None), (0, "b", 3.0)])[0].values
    [1.0, None]
    """
    at = columns.index("time")
    texts = [
        place
        for place, name in enumerate(columns)
        if name != "time" and any(isinstance(row[place], str) for row in rows)
    ]
    found: dict[str, tuple[list[float], list[Number]]] = {}
    for row in rows:
        told = " ".join(str(row[place]) for place in texts)
        for place, name in enumerate(columns):
            if place != at and place not in texts:
                times, values = found.setdefault(told or name, ([], []))
                times.append(seconds(row[at]))
                values.append(None if row[place] is None else float(row[place]))
    return tuple(Series(name, times, values) for name, (times, values) in found.items())


def seconds(at: datetime | float) -> float:
    """Seconds since 1970."""
    return at.astimezone(UTC).timestamp() if isinstance(at, datetime) else float(at)
