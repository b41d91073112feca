"""Periods of a budget on the clock of a frame: how much of each bucket lies in it, and how many buckets are to come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from analytics import words
from analytics.frames import Floats, Grid
from store.errors import ParameterInvalid, UnknownName

Calendar = Literal["day", "week", "month", "quarter", "year"]
Bound = datetime | date | int | str | None

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Period:
    """Half-open, in ticks of a grid; `last` is the tick of the last bucket on record."""

    grid: Grid
    since: int
    until: int
    last: int

    @property
    def horizon(self) -> int:
        """Buckets to come until the period is over, the last of them perhaps in part."""
        return max(0, -((self.last + self.grid.step - self.until) // self.grid.step))

    @property
    def steps(self) -> float:
        """Length in buckets."""
        return (self.until - self.since) / self.grid.step

    def weights(self, offsets: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
        """The part of each bucket that lies in the period, at `offsets` steps after the last one on record."""
        starts = self.last + offsets * self.grid.step
        inside = np.minimum(starts + self.grid.step, self.until) - np.maximum(starts, self.since)
        return np.asarray(np.clip(inside / self.grid.step, 0.0, 1.0))

    def times(self, positions: Floats) -> pl.Series:
        """Ticks with fractions as times; what is not finite is null."""
        known = np.isfinite(positions)
        if self.grid.unit == "int":
            return pl.Series(np.where(known, positions, np.nan)).fill_nan(None)
        ticks = np.where(known, positions, self.last).astype(np.int64)
        made = self.grid.times(ticks)
        return pl.select(pl.when(pl.Series(known)).then(made)).to_series()

    def sentence(self) -> str:
        """Its bounds in words."""
        if self.grid.unit == "int":
            return f"{self.since} to {self.until}"
        bounds = self.grid.times(np.array([self.since, self.until]))
        return f"{words.moment(bounds[0])} to {words.moment(bounds[1])}"


def period(grid: Grid, first: int, last: int, calendar: Calendar, since: Bound, until: Bound) -> Period:
    """The period from `since` to `until`, or the calendar's that the last bucket is in, in the zone of the frame.

    Args:
        grid: the clock of the frame.
        first: tick of its first bucket.
        last: tick of its last one.
        calendar: day, week (from Monday), month, quarter or year.
        since: start, in the terms of the frame's time column (an ISO text for datetimes). Default: the calendar's, of
            integers the first bucket.
        until: end, not included; likewise; integers have no default.

    Raises:
        UnknownName: no such calendar period.
        ParameterInvalid: a bound cannot be used, or since is not before until.
    """
    if calendar not in get_args(Calendar):
        raise UnknownName("period", str(calendar), get_args(Calendar))
    if grid.unit == "int":
        if until is None:
            raise ParameterInvalid("until", "integer times have no calendar; say at which one the period ends")
        begin, stop = _integer(since, first, "since"), _integer(until, first, "until")
    else:
        span = _calendar(_moment(grid, last), calendar)
        begin = _tick(grid, span[0] if since is None else _given(grid, since, "since"))
        stop = _tick(grid, span[1] if until is None else _given(grid, until, "until"))
    if begin >= stop:
        raise ParameterInvalid("until", f"the period ends ({until}) before it begins ({since})")
    return Period(grid, begin, stop, last)


def _zone(grid: Grid) -> ZoneInfo | None:
    name = grid.dtype.time_zone if isinstance(grid.dtype, pl.Datetime) else None
    return ZoneInfo(name) if name else None


def _moment(grid: Grid, tick: int) -> datetime:
    """A tick as a datetime of the frame's zone, naive where it has none."""
    if grid.unit == "month":
        return datetime(tick // 12, tick % 12 + 1, 1, tzinfo=_zone(grid))
    moment = EPOCH + tick * MICROSECOND
    zone = _zone(grid)
    return moment.astimezone(zone) if zone else moment.replace(tzinfo=None)


def _tick(grid: Grid, moment: datetime) -> int:
    if grid.unit == "month":
        return moment.year * 12 + moment.month - 1
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // MICROSECOND


def _calendar(moment: datetime, calendar: Calendar) -> tuple[datetime, datetime]:
    """Start and end of the calendar period that holds a moment.

    >>> [f"{day:%m-%d}" for day in _calendar(datetime(2026, 2, 3, 4), "week")]
    ['02-02', '02-09']
    """
    day = datetime.combine(moment.date(), time(), tzinfo=moment.tzinfo)
    if calendar == "day":
        return day, day + timedelta(days=1)
    if calendar == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    months = {"month": 1, "quarter": 3, "year": 12}[calendar]
    begin = day.replace(day=1, month=(day.month - 1) // months * months + 1)
    after = begin.month - 1 + months
    return begin, begin.replace(year=begin.year + after // 12, month=after % 12 + 1)


def _given(grid: Grid, bound: Bound, name: str) -> datetime:
    moment = bound
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise ParameterInvalid(name, f"expected an ISO time such as 2026-11-01T00:00Z, got {bound!r}") from None
    zone = _zone(grid)
    if isinstance(moment, date) and not isinstance(moment, datetime):
        return datetime.combine(moment, time(), tzinfo=zone)
    if not isinstance(moment, datetime):
        raise ParameterInvalid(name, f"expected a datetime or an ISO text, got {bound!r}")
    if zone is None:
        if moment.tzinfo is not None:
            raise ParameterInvalid(name, "has a time zone and the frame's times have none; leave it out")
        return moment
    if moment.tzinfo is None:
        raise ParameterInvalid(name, f"{moment.isoformat()} has no time zone; write {moment.isoformat()}Z for UTC")
    return moment.astimezone(zone)


def _integer(bound: Bound, default: int, name: str) -> int:
    if bound is None:
        return default
    if isinstance(bound, bool) or not isinstance(bound, int):
        raise ParameterInvalid(name, f"the frame's times are integers, got {bound!r}")
    return bound
