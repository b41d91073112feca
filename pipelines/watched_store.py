"""What a watch looks at in the database besides the database itself: how new rows are, its rollups, the schedule."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
from psycopg.rows import dict_row

from analytics import words
from pipelines import schedule
from pipelines.doctor import ADVICE, STALE_S, Finding, database
from pipelines.schedule import Job, stale_after
from pipelines.sets import expanded
from store.queries import named
from store.settings import Settings

WAITS_S = 2  # for the database to let us in; libpq knows no less
LATE_S = 7200  # of the rollups, as RollupLate has it
SETS_S = 600.0  # between two looks at which sets the store has
MOST_NAMES = 6  # in one line
FAILURES = 2  # of a job; one more is JobFailed's


class Store:
    """The database that `settings` name, and what is in it. Nothing is written, and every query has a limit."""

    def __init__(self, settings: Settings, *, limit_s: float) -> None:
        self._settings = settings.model_copy(update={"connect_timeout_s": WAITS_S})
        self._limit_s = limit_s
        self._jobs: dict[str, Job] = {}
        self._known_until = 0.0

    def look(self) -> list[Finding]:
        return database(self._settings, self._live)

    def _live(self, connection: psycopg.Connection) -> list[Finding]:
        connection.execute("SELECT set_config('statement_timeout', %s, false)", [str(int(self._limit_s * 1000))])
        return [*_newest(connection), _rollups(connection), self._schedule(connection)]

    def _schedule(self, connection: psycopg.Connection) -> Finding:
        if time.monotonic() >= self._known_until:
            jobs = expanded(connection, schedule.read(self._settings.schedule))
            self._jobs = {job.name: job for job in jobs}
            self._known_until = time.monotonic() + SETS_S
        with connection.cursor(row_factory=dict_row) as cursor:
            health = cursor.execute(named("schedule_health").sql, {"jobs": list(self._jobs)}).fetchall()
        seen = [row for row in health if row["slot"] or row["since"]]
        if not seen:
            return Finding("schedule", "absent", "nobody has ticked yet", "`gaugebook tick --forever`")
        ended = [row["finished_at"] for row in seen if row["finished_at"]]
        last = f", the last good run ended {_ago(max(ended))} ago" if ended else ", none has a good run"
        found = f"{len(self._jobs)} jobs{last}"
        stale = [
            row["job"]
            for row in seen
            if stale_after(self._jobs[row["job"]].cron, row["slot"] or row["since"]) < row["now"]
        ]
        failing = [row["job"] for row in seen if row["failures"] > FAILURES]
        trouble = [some(what, jobs) for what, jobs in (("late", stale), ("failing", failing)) if jobs]
        if not trouble:
            return Finding("schedule", "ok", found)
        advice = "does `gaugebook tick` run?" if len(stale) == len(seen) else "`gaugebook report list`"
        return Finding("schedule", "broken", f"{'; '.join(trouble)}; {found}", advice, (*stale, *failing))


def some(what: str, names: Sequence[str]) -> str:
    """How many there are and which they are, as far as a line holds them.

    >>> some("late", ["a", "b"]), some("down", list("abcdefgh"))
    ('2 late: a, b', '8 down: a, b, c, d, e, f and 2 more')
    """
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{len(names)} {what}: {', '.join(names[:MOST_NAMES])}{more}"


def _newest(connection: psycopg.Connection) -> list[Finding]:
    findings = []
    for name, until in connection.execute(named("newest_rows").sql).fetchall():
        what = f"metrics.{name}"
        if until is None:
            findings.append(Finding(what, "absent", "no row of the last day", ADVICE[name]))
            continue
        silent = (datetime.now(UTC) - until).total_seconds() > STALE_S
        found = f"the last row is of {_ago(until)} ago"
        findings.append(Finding(what, "absent" if silent else "ok", found, ADVICE[name] if silent else ""))
    return findings


def _rollups(connection: psycopg.Connection) -> Finding:
    rows = connection.execute(named("rollup_lag").sql).fetchall()
    lag_s, hours = max(row[1] for row in rows), [row[2] for row in rows if row[2] is not None]
    late = f"; {sum(hours)} hours before this one wait" if sum(hours) else ""
    if lag_s > LATE_S:
        return Finding("rollups", "broken", f"{words.seconds(lag_s)} behind{late}", "`gaugebook db refresh`")
    return Finding("rollups", "ok", f"{words.seconds(lag_s) if lag_s >= 1 else 'not'} behind{late}")


def _ago(then: datetime) -> str:
    return words.seconds(max(0.0, round((datetime.now(UTC) - then).total_seconds())))
