"""What a report covers, from which data, and what is missing of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from pipelines import ledger
from pipelines.ledger import Run
from store.connect import connect
from store.errors import GaugebookError
from store.settings import Settings

HOUR = timedelta(hours=1)
LATE = timedelta(hours=2)  # by which the data of a source that runs may lie behind
# What a notebook names when it reads a source.
NAMES = {
    "llm_requests": r"\bllm_requests\b|\bload\.(?:llm|minutes|metrics|latency)\(|\bload\.span\((?!\s*[\w\"'])",
    "llm_usage": r"\bllm_usage\b|\bload\.usage\(",
    "rabbitmq_queues": r"\brabbitmq_queues\b|\bload\.queue",
}
PEOPLE = {"llm_requests": "LLM requests", "llm_usage": "LLM usage", "rabbitmq_queues": "queues"}


@dataclass(frozen=True)
class Coverage:
    """`spans` and `data` are sentences, one for each source; `faults` are None where nobody looked."""

    spans: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    faults: tuple[str, ...] | None = None


def coverage(settings: Settings, run: Run, notebook: Path) -> Coverage:
    """What a run covers by its parameters `days` and `until`, of the data that the ledger noted when it began.

    A report that has no such parameters is told by its data alone. A database that refuses to tell is no reason for a
    report to fail.
    """
    held = _held(run.data_spans or {})
    sources = [source for source in sources_of(notebook.read_text(encoding="utf-8"), run.parameters) if source in held]
    data = tuple(f"{PEOPLE[one]}: {_words(held[one][0])} to {_words(held[one][1] + HOUR)}" for one in sources)
    if not sources or "days" not in run.parameters:
        return Coverage(data=data)
    spans, faults = [], []
    try:
        with connect(settings) as connection:
            for source in sources:
                since, until = asked(held[source], run)
                spans.append(f"{PEOPLE[source]}: {_words(since)} to {_words(until)}")
                faults += [f"{PEOPLE[source]}: {fault}" for fault in _faults(connection, source, since, until, run)]
    except (psycopg.Error, GaugebookError):
        return Coverage(tuple(spans), data)
    return Coverage(tuple(spans), data, tuple(faults))


def sources_of(text: str, parameters: Mapping[str, object]) -> list[str]:
    """The sources that a notebook reads; where it has a parameter `source`, the one that this names.

    >>> sources_of('span = load.span("rabbitmq_queues", days=days)', {})
    ['rabbitmq_queues']
    """
    chosen = parameters.get("source")
    if chosen in NAMES:
        return [str(chosen)]
    return [source for source, pattern in NAMES.items() if re.search(pattern, text)]


def asked(held: tuple[datetime, datetime], run: Run) -> tuple[datetime, datetime]:
    """The whole hours, half-open, that `load.span(days=..., until=...)` gives a notebook."""
    from analytics.spans import within

    def span(since: datetime | None, until: object) -> tuple[datetime, datetime]:
        found = within("", "hourly", held, since=since, until=until, now=run.started_at)  # type: ignore[arg-type]
        return found.since, found.until

    first, until = span(None, run.parameters.get("until"))
    days = float(run.parameters["days"] or 0)
    return span(max(first, until - timedelta(days=days)), until)


def _held(spans: Mapping[str, Sequence[str]]) -> dict[str, tuple[datetime, datetime]]:
    return {
        source: (datetime.fromisoformat(first), datetime.fromisoformat(last)) for source, (first, last) in spans.items()
    }


def _faults(
    connection: psycopg.Connection, source: str, since: datetime, until: datetime, run: Run
) -> Sequence[str]:  # fmt: skip
    named = {"source": source, "since": since, "until": until}
    found = ledger.execute(connection, "report_gaps", named, dict_row).fetchone()
    assert found is not None
    hours = (until - since) // HOUR
    faults = []
    if found["hours"] < hours:
        fault = f"{hours - found['hours']:,} of {hours:,} hours have no rows"
        if found["silent_since"]:
            fault += f", the longest silence from {_words(found['silent_since'])} to {_words(found['silent_until'])}"
        faults.append(fault)
    of = f"of {found['requests']:,} requests"
    if found["unpriced"]:
        faults.append(f"{found['unpriced']:,} {of} have no known price and are in no cost")
    if found["unmetered"]:
        faults.append(f"{found['unmetered']:,} {of} have no token counts")
    end = _end(run)
    if end - until > LATE:
        faults.append(f"late: the latest rows are {(end - until) // HOUR} hours older than this report")
    changed = ledger.execute(connection, "report_late", {"run_id": run.run_id, **named}, dict_row).fetchone()
    return [*faults, *(_changes(changed) if changed else ())]


def _changes(changed: Mapping[str, Any]) -> Iterator[str]:
    from analytics.words import plural

    for kind, what in (("late", "late, not in"), ("gone", "gone that were in")):
        if count := changed[kind]:
            days = " to ".join(dict.fromkeys((changed[f"{kind}_first"], changed[f"{kind}_last"])))
            yield f"{count:,} {plural('row', count)} of {days} {what} the report of {_words(changed['report_at'])}"


def _end(run: Run) -> datetime:
    """When a report is about to end: the time that it asks for, and else the moment that it stands for."""
    from analytics.spans import moment

    stands_for = min(run.slot, run.started_at) if run.job else run.started_at
    asked_for = moment(str(run.parameters.get("until") or ""), stands_for, "until")
    return min(stands_for, asked_for) if asked_for else stands_for


def _words(when: datetime) -> str:
    from analytics import words

    return words.moment(when)
