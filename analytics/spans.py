"""Spans of time: what the store holds, what the caller asks for, and the whole buckets that both have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from analytics import words
from store.errors import NoRows, ParameterInvalid, UnknownName
from store.read import read
from store.settings import Settings, load

Grain = Literal["hourly", "daily"]
When = datetime | timedelta | str | None

WIDTH = {"hourly": timedelta(hours=1), "daily": timedelta(days=1)}
SOURCES = ("llm_requests", "llm_usage", "rabbitmq_queues")
SHORT_H = 12  # a span of fewer hours has nothing to show by the hour
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Span:
    """Whole buckets of a source, half-open [since, until), UTC. `first` and `last` bound all that the store has."""

    source: str
    grain: Grain
    since: datetime
    until: datetime
    first: datetime | None
    last: datetime | None

    @property
    def buckets(self) -> int:
        """How many buckets it covers."""
        return max(0, (self.until - self.since) // WIDTH[self.grain])

    @property
    def short(self) -> bool:
        """Whether single requests are better shown by the minute than by the hour."""
        return self.source == "llm_requests" and self.grain == "hourly" and self.buckets < SHORT_H

    def starts(self) -> list[datetime]:
        """The starts of its buckets."""
        return [self.since + k * WIDTH[self.grain] for k in range(self.buckets)]

    def before(self) -> datetime:
        """Start of the span of equal length that lies before this one."""
        return self.since - (self.until - self.since)

    def history(self, days: float = 70) -> datetime:
        """Start of what a report looks back on: the span before, and `days` at least, two whole months by default."""
        return min(self.before(), self.until - timedelta(days=days))

    def last_days(self, days: float = 1) -> datetime:
        """Start of its last `days`."""
        return self.until - timedelta(days=days)

    def advice(self) -> list[str]:
        """To start what collects, where nothing is on record."""
        return [] if self.last else [f"Start what collects {self.source}: `gaugebook doctor` says what it lacks."]

    def sentence(self) -> str:
        """The span in words."""
        if not self.buckets:
            if self.last is None:
                return str(NoRows(self.source))
            between = f"{words.moment(self.first)} to {words.moment(self.last)}"
            return f"{self.source} has no rows in this span; the store holds {between}."
        step = words.plural(words.step(WIDTH[self.grain].total_seconds()), self.buckets)
        return f"{words.moment(self.since)} to {words.moment(self.until)}: {self.buckets} {step} of {self.source}."


def span(
    settings: Settings | None,
    source: str,
    grain: Grain = "hourly",
    since: When = None,
    until: When = None,
    *,
    now: datetime | None = None,
) -> Span:
    """The whole buckets that lie in [since, until), have data behind them, and are over.

    Args:
        settings: None reads them from the environment.
        source: llm_requests, llm_usage or rabbitmq_queues.
        grain: hourly or daily.
        since: start; an aware datetime, an ISO text with a zone, or a timedelta before the end of the data; None: the
            start of the data. The grid never reaches beyond what the source has on record.
        until: end, not included; likewise.
        now: the present, for tests.

    Raises:
        UnknownName: no such source or grain.
        ParameterInvalid: a time without zone, not a time, or since after until.
    """
    if source not in SOURCES:
        raise UnknownName("source", source, SOURCES)
    if grain not in WIDTH:
        raise UnknownName("grain", str(grain), WIDTH)
    rows = read(settings or load(), "data_spans").filter(source=source)
    held = (rows["first"][0], rows["last"][0])
    return within(source, grain, held, since=since, until=until, now=now or datetime.now(UTC))


def within(
    source: str,
    grain: Grain,
    held: tuple[datetime | None, datetime | None],
    *,
    since: When = None,
    until: When = None,
    now: datetime,
) -> Span:
    """`span` for a source of which the store holds the hours from the first to the last in `held`."""
    first, last = held
    width = WIDTH[grain]
    if first is None or last is None:
        end = floor(now, width)
        moment(until, end, "until"), moment(since, end, "since")
        return Span(source, grain, end, end, None, None)
    first, last = first.astimezone(UTC), last.astimezone(UTC)
    # The hour in progress is left out; a past hour is over, whether its last request came early in it or late.
    end = min(floor(now, width), floor(last, width) + width)
    start = floor(first, width)
    stop = moment(until, end, "until")
    begin = moment(since, end, "since")
    if begin is not None and stop is not None and begin > stop:
        raise ParameterInvalid("since", f"{words.moment(begin)} is after until, {words.moment(stop)}")
    high = min(end, floor(stop, width)) if stop else end
    low = max(start, -((EPOCH - begin) // width) * width + EPOCH) if begin else start
    return Span(source, grain, min(low, high), high, first, last + WIDTH["hourly"])


def floor(when: datetime, width: timedelta) -> datetime:
    """The start of the bucket that holds `when`, counted from the epoch in UTC.

    >>> floor(datetime(2026, 1, 2, 3, 45, tzinfo=UTC), timedelta(hours=1))
    datetime.datetime(2026, 1, 2, 3, 0, tzinfo=datetime.timezone.utc)
    """
    return EPOCH + (when - EPOCH) // width * width


def moment(when: When, end: datetime, name: str) -> datetime | None:
    """What the caller means by `when`, as an aware UTC datetime; None and an empty text mean no bound.

    >>> [str(moment(when, EPOCH, "since")) for when in ("2026-01-02T03:00+02:00", timedelta(days=1), None)]
    ['2026-01-02 01:00:00+00:00', '1969-12-31 00:00:00+00:00', 'None']
    """
    if when is None or when == "":
        return None
    if isinstance(when, timedelta):
        try:
            return end - when
        except OverflowError:
            raise ParameterInvalid(name, f"expected an age of less than two thousand years, got {when!r}") from None
    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(when)
        except ValueError:
            raise ParameterInvalid(name, f"expected an ISO time such as 2026-11-01T00:00Z, got {when!r}") from None
    if not isinstance(when, datetime):
        raise ParameterInvalid(name, f"expected an aware datetime, an ISO text or a timedelta, got {when!r}")
    if when.tzinfo is None:
        raise ParameterInvalid(name, f"{when.isoformat()} has no time zone; write {when.isoformat()}Z for UTC")
    return when.astimezone(UTC)
