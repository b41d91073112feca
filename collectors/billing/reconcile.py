"""Compares what was metered with what a provider reports and bills, per day and model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row

from collectors.billing.causes import Cause, Line, Side, cause_of
from collectors.billing.load import provider_named
from collectors.billing.match import matched
from store.connect import conninfo_for_reading
from store.errors import NoRows, ParameterInvalid, StoreError
from store.queries import named
from store.settings import Settings

ONE_DAY = timedelta(days=1)
_SUMS = tuple(field.name for field in fields(Side) if field.name != "final")
_COUNTS = ("unpriced", "unmetered")


@dataclass(frozen=True, slots=True)
class Explained:
    """A line with the likely cause of its gap."""

    line: Line
    cause: Cause


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The lines in the order of day and model, and the sums in USD over the days that have a cost report."""

    lines: tuple[Explained, ...]
    metered_usd: Decimal
    billed_usd: Decimal
    days: int
    days_without_report: int

    @property
    def gap_usd(self) -> Decimal:
        """Billed less metered."""
        return self.billed_usd - self.metered_usd


def reconcile(settings: Settings, provider: str, since: datetime, until: datetime) -> Reconciled:
    """Compare the whole days (UTC) from `since` to `until`, half-open.

    Args:
        settings: where to read: `dsn_read`, else the database itself. The role has to see all teams.
        provider: `openai` or `anthropic`.
        since: the first day.
        until: the day after the last one.

    Raises:
        UnknownName: there are no reports of such a provider.
        ParameterInvalid: the span is empty or is not of whole days.
        NoRows: nothing was metered or imported.
        StoreError: the database refuses.
    """
    name = provider_named(provider).name
    if since >= until or any(moment.astimezone(UTC).time() != datetime.min.time() for moment in (since, until)):
        raise ParameterInvalid("since", "and until must be whole days (UTC), the first before the second")
    # A day more on each side: a call around midnight may be billed on it.
    parameters = {"provider": name, "since": since - ONE_DAY, "until": until + ONE_DAY}
    lines = _lines(_rows(settings, parameters))
    wanted = [line for line in lines if since.date() <= line.day < until.date()]
    if not wanted:
        raise NoRows(f"{name} from {since:%Y-%m-%d} to {until:%Y-%m-%d}")
    return _sum_up([Explained(line, cause_of(line, _beside(line, lines))) for line in wanted])


def _rows(settings: Settings, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
    query = named("reconcile")
    query.check(parameters)
    try:
        with psycopg.connect(conninfo_for_reading(settings), row_factory=dict_row) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(query.sql, parameters).fetchall()
    except psycopg.Error as error:
        raise StoreError(f"cannot reconcile: {str(error).partition(chr(10))[0]}") from error


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    ours = [row["model"] for row in rows if row["side"] == "metered"]
    theirs = [row["model"] for row in rows if row["side"] != "metered" and not row["item"]]
    names = matched(ours, theirs)
    reported = {row["day"].date() for row in rows if row["side"] == "billed"}
    groups: dict[tuple[date, str, str], dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        if row["side"] == "billed" and row["item"] and not row["cost_usd"]:
            continue  # a day that was looked at, or a tool that cost nothing
        label = row["item"] or names[row["model"]]
        key = row["day"].date(), label, row["item"]
        groups.setdefault(key, {}).setdefault(row["side"], []).append(row)
    made = []
    for (day, label, item), sides in sorted(groups.items(), key=lambda group: group[0]):
        both = {side: _side(same) for side, same in sides.items()}
        made.append(Line(day=day, model=label, item=item, reported=day in reported, **both))
    return made


def _side(rows: Iterable[Mapping[str, Any]]) -> Side:
    rows = list(rows)
    sums: dict[str, Any] = {}
    for name in _SUMS:
        known = [row[name] for row in rows if row[name] is not None]
        sums[name] = sum(known, Decimal(0) if name.endswith("_usd") else 0) if known else 0 if name in _COUNTS else None
    return Side(**sums, final=all(row["final"] for row in rows))


def _beside(line: Line, lines: Sequence[Line]) -> list[Line]:
    return [
        other
        for other in lines
        if other.model == line.model and other.item == line.item and abs(other.day - line.day) == ONE_DAY
    ]


def _sum_up(lines: Sequence[Explained]) -> Reconciled:
    with_report = [each.line for each in lines if each.line.reported]
    metered = [line.metered.cost_usd for line in with_report if line.metered and line.metered.cost_usd is not None]
    billed = [line.billed.cost_usd for line in with_report if line.billed and line.billed.cost_usd is not None]
    days = {each.line.day for each in lines}
    without = days - {line.day for line in with_report}
    return Reconciled(tuple(lines), sum(metered, Decimal(0)), sum(billed, Decimal(0)), len(days), len(without))
