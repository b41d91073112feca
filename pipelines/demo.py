"""The main job from end to end: collect, roll up, forecast, find what is odd, report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

from collectors.files.load import Imported, load_llm, load_usage
from collectors.llm.record import COLUMNS, Request
from collectors.rabbitmq.collect import collect_once
from pipelines import simulate
from pipelines.burst import burst
from pipelines.index import write_index
from pipelines.publish import Wanted, make_reports
from pipelines.writeback import save_anomalies, save_forecast
from store.connect import connect
from store.embedded import EmbeddedServer
from store.errors import FileUnusable, SourceError
from store.migrate import migrate
from store.rollup import refresh
from store.settings import Settings
from store.write import Written, write

SIMULATED = "gaugebook_demo"  # rebuilt by every run
TRACES = "gaugebook_traces"  # kept: a second run adds nothing
HORIZON_H = 7 * 24
HORIZON_MIN = 10
AZURE_DAY = datetime(2023, 11, 16, tzinfo=UTC)
Advance = Callable[[float, float], None]


class Steps(Protocol):
    """Shows a step: a context that gives a function to call with (done, of all)."""

    def __call__(self, title: str) -> AbstractContextManager[Advance]: ...


@dataclass
class Summary:
    """What the demo did. `rows` by table or file, `lines` for people, in the order of the steps."""

    settings: Settings
    rows: dict[str, Written] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    index: Path | None = None

    def say(self, what: str, found: str) -> None:
        """Add a line."""
        self.lines.append((what, found))


def run(settings: Settings, steps: Steps, *, data: Path | None = None) -> Summary:
    """Run the demo on the embedded server, on simulated rows or on the traces in `data`.

    Raises:
        GaugebookError: a step failed; those before it are done.
    """
    settings = settings.model_copy(update={"dsn": None, "database": TRACES if data else SIMULATED})
    summary = Summary(settings)
    with steps("start the embedded PostgreSQL"):
        if not data:
            _drop(settings)
        migrate(settings)
    if data:
        _import(settings, data, steps, summary)
    else:
        _simulate(settings, steps, summary)
        _live(settings, steps, summary)
    with steps("bring the rollups up to date"):
        refresh(settings)
    if data:
        _analyse_traces(settings, steps, summary)
    else:
        _analyse(settings, steps, summary)
    _report(settings, steps, summary, traces=data is not None)
    return summary


def sampled(settings: Settings) -> Settings:
    """The settings of the database that holds the sample data; it is made and migrated where it is not there."""
    settings = settings.model_copy(update={"dsn": None, "dsn_read": None, "database": SIMULATED})
    migrate(settings)
    return settings


def sample(settings: Settings, steps: Steps) -> Settings:
    """Build the sample data anew, simulated rows in a database of their own; returns the settings that reach it.

    Raises:
        GaugebookError: a step failed.
    """
    settings = settings.model_copy(update={"dsn": None, "dsn_read": None, "database": SIMULATED})
    with steps("start the embedded PostgreSQL"):
        _drop(settings)
        migrate(settings)
    _simulate(settings, steps, Summary(settings))
    with steps("bring the rollups up to date"):
        refresh(settings)
    return settings


def _drop(settings: Settings) -> None:
    server = EmbeddedServer(settings.home)
    server.start()
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(settings.database)))


def _simulate(settings: Settings, steps: Steps, summary: Summary) -> None:
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    requests = (map(Request.values, day) for day in simulate.llm_requests(until))
    sources: tuple[tuple[str, tuple[str, ...], Iterable[Iterable[tuple[object, ...]]]], ...] = (
        ("metrics.llm_requests", COLUMNS, requests),
        ("metrics.rabbitmq_queues", simulate.QUEUE_COLUMNS, simulate.queue_samples(until)),
    )
    for table, columns, days in sources:
        with steps(f"simulate {simulate.DAYS} days of {table}") as advance, connect(settings) as connection:
            written = Written()
            for day, rows in enumerate(days):
                written += write(connection, table, columns, rows)
                advance(day, simulate.DAYS)
        summary.rows[table] = written
        summary.say(f"{table}, simulated", f"{written.written:,} rows")


def _import(settings: Settings, data: Path, steps: Steps, summary: Summary) -> None:
    folder = data / "llm_usage"
    if not folder.is_dir():
        raise FileUnusable(folder, "is not a folder of traces; --data wants one that holds llm_usage/")

    def requests(name: str) -> Callable[[Path, Advance], Imported]:
        constants = {"provider": "azure", "model": name, "team": "azure", "project": name}
        return lambda path, advance: load_llm(
            settings, path, preset="azure-llm-2023", constants=constants, progress=advance
        )

    def usage(path: Path, advance: Advance) -> Imported:
        return load_usage(settings, path, preset="servegen", start="2024-01-01", progress=advance)

    files: dict[str, Callable[[Path, Advance], Imported]] = {
        "servegen_m_small_10min.csv": usage,
        "AzureLLMInferenceTrace_code.csv": requests("code"),
        "AzureLLMInferenceTrace_conv.csv": requests("conv"),
    }
    for name, load in files.items():
        with steps(f"import {name}") as advance:
            found = load(folder / name, advance)
        if found.rejected:
            raise FileUnusable(folder / name, f"{found.rejected} rows are in error, the first: {found.problems[0]}")
        summary.rows[name] = Written(found.written, found.duplicate)
        summary.say(name, f"{found.rows:,} rows: {found.written:,} new, {found.duplicate:,} known")


def _live(settings: Settings, steps: Steps, summary: Summary) -> None:
    with steps("make real calls with the openai client") as advance:
        metered = burst(settings, progress=advance)
    summary.say("calls of the openai client, metered", f"{metered:,} rows")
    with steps("look for a RabbitMQ broker"):
        try:
            seen = f"{collect_once(settings):,} queues sampled"
        except SourceError as error:
            seen = f"no live samples ({error})"
    summary.say("RabbitMQ broker", seen)


def _analyse(settings: Settings, steps: Steps, summary: Summary) -> None:
    from analytics import anomalies, forecast, load

    with steps(f"forecast the cost of {HORIZON_H // 24} days by team"):
        cost = load.llm(settings, value="cost_usd", by=("team",))
        ahead = forecast(cost, HORIZON_H)
        save_forecast(settings, ahead, "hourly cost_usd", source="llm_requests", by=("team",))
        everything = forecast(load.llm(settings, value="cost_usd"), HORIZON_H)
    summary.say("cost so far", f"${cost['y'].sum():,.2f} in {simulate.DAYS} days")
    summary.say(
        f"cost of the next {HORIZON_H // 24} days", _interval(everything.totals(80).row(0, named=True), "${:,.2f}")
    )
    with steps("look for anomalies"):
        found = anomalies(cost)
        save_anomalies(settings, found, "hourly cost_usd")
        queues = anomalies(load.queues(settings, value="messages"))
        save_anomalies(settings, queues, "hourly messages")
    summary.say("anomalies", f"{len(found.to_polars())} in the cost, {len(queues.to_polars())} in the queues")


def _analyse_traces(settings: Settings, steps: Steps, summary: Summary) -> None:
    from analytics import anomalies, forecast, load

    with steps("forecast a day of m-small"):
        usage = load.usage(settings, value="requests", by=("model",))
        ahead = forecast(usage, 24)
        save_forecast(settings, ahead, "hourly requests", source="llm_usage", by=("model",))
    summary.say("m-small, requests of the next 24 hours", _interval(ahead.totals(80).row(0, named=True), "{:,.0f}"))
    with steps(f"forecast {HORIZON_MIN} minutes of Azure"):
        azure = load.minutes(settings, by=("project",), since=AZURE_DAY, until=AZURE_DAY + timedelta(days=1))
        ahead = forecast(azure, HORIZON_MIN)
        save_forecast(settings, ahead, "requests a minute")
    for total in ahead.totals(80).iter_rows(named=True):
        what = f"Azure {total['unique_id']}, requests of the next {HORIZON_MIN} minutes"
        summary.say(what, _interval(total, "{:,.0f}"))
    with steps("look for anomalies"):
        found = anomalies(usage)
        save_anomalies(settings, found, "hourly requests")
    summary.say("anomalies", f"{len(found.to_polars())} in the requests of m-small")


def _report(settings: Settings, steps: Steps, summary: Summary, *, traces: bool) -> None:
    wanted = [Wanted("llm_cost"), Wanted("queue_health"), Wanted("weekly_summary")]
    if traces:
        wanted = [
            Wanted("llm_cost", {"source": "llm_usage"}, "servegen_m_small", "ServeGen m-small: two weeks of requests"),
            Wanted("llm_cost", {"days": 1}, "azure_2023", "Azure 2023: an hour of two services"),
        ]
    done: dict[str, float] = {}
    with steps("make the reports") as advance:

        def on_cell(page: str, cells: int, of: int) -> None:
            done[page] = cells / of
            advance(sum(done.values()), len(wanted))

        made = make_reports(settings, wanted, progress=on_cell)
        summary.index = write_index(settings, settings.reports)
    for report in made:
        summary.say(f"report {report.html.stem}", str(report.html))


def _interval(total: dict[str, Any], form: str) -> str:
    """A total and its 80 % interval."""
    low, mid, high = (form.format(total[name]) for name in ("total-lo-80", "total", "total-hi-80"))
    return f"{mid} (80 %: {low} to {high})"
