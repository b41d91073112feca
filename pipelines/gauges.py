"""What the schedule has written and how the store is, as Prometheus gauges: read from it when they are asked for.

Every host that serves them tells the same, and one that has just started tells it at once. What was written by a run
whose next slot has been due for an hour is left out: an alert must not stand on a forecast of yesterday.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import psycopg
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from psycopg.rows import dict_row

from pipelines.queue_peaks import HORIZON_H, NOW, QUEUE, foreseen, peaks
from pipelines.schedule import Job, stale_after
from store.connect import connect
from store.errors import GaugebookError
from store.queries import named
from store.settings import Settings

TOP = 50  # queues, budgets and series of one job that are told one by one
PEAKS = 200  # queues of which is told how full they will be: as many as the job looks at
PERIODS = 200  # budgets whose period is told: as many as the tap tells of
FINDINGS_H = 24  # hours in which a finding counts
OTHER = "other"
QUANTILES = {"total": "0.5", "lo_80": "0.1", "hi_80": "0.9", "lo_95": "0.025", "hi_95": "0.975"}
OF_BUDGETS = {"total_usd": "0.5", **{bound: level for bound, level in QUANTILES.items() if bound != "total"}}

Row = Mapping[str, Any]


class Gauges(Collector):
    """The gauges of a schedule.

    Args:
        settings: where the store is.
        jobs: the schedule, as it is when the gauges are asked for.
    """

    def __init__(self, settings: Settings, jobs: Callable[[], Sequence[Job]]) -> None:
        self._settings, self._jobs = settings, jobs

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All gauges; where the database is away only that it is."""
        up = GaugeMetricFamily("gaugebook_store_up", "1 where the database answered.")
        try:
            found = list(self._read())
        except (GaugebookError, psycopg.Error):
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from found

    def _read(self) -> Iterator[GaugeMetricFamily]:
        jobs = {job.name: job for job in self._jobs()}
        wrote = {
            what: [name for name, job in jobs.items() if job.kind == "write" and job.report == what]
            for what in ("forecasts", "anomalies", "change_points", "budgets", "queues")
        }
        with connect(self._settings, autocommit=True) as connection, connection.cursor(row_factory=dict_row) as cursor:

            def rows(query: str, **parameters: object) -> Sequence[Row]:
                return cursor.execute(named(query).sql, parameters).fetchall()

            yield from of_rollups(rows("rollup_lag"))
            yield from of_periods(rows("budgets"))
            health = rows("schedule_health", jobs=list(jobs))
            now = health[0]["now"] if health else None
            yield from of_jobs(jobs, health)

            def fresh(query: str, what: str) -> list[Row]:
                given = rows(query, jobs=wrote[what]) if wrote[what] else []
                return [
                    row for row in given if now is not None and stale_after(jobs[row["job"]].cron, row["slot"]) >= now
                ]

            yield from of_forecasts(fresh("latest_forecast_totals", "forecasts"))
            yield from of_budgets(fresh("latest_budget_outlooks", "budgets"))
            if now is not None:
                outlooks = fresh("latest_queue_outlooks", "queues")
                yield from of_queues(outlooks, now)
                known = foreseen(outlooks)[:PEAKS]
                asked = {name: [row[name] for row in known] for name in QUEUE}
                seen = rows("queues_now", since=now - NOW, until=now, **asked) if known else []
                yield from of_peaks(known, seen, now)
            watching = [*wrote["anomalies"], *wrote["change_points"]]
            if watching:
                yield from of_findings(rows("recent_findings", jobs=watching, hours=FINDINGS_H))


def registry(settings: Settings, jobs: Callable[[], Sequence[Job]]) -> CollectorRegistry:
    """A registry that holds nothing but the gauges of a schedule."""
    made = CollectorRegistry(auto_describe=False)
    made.register(Gauges(settings, jobs))
    return made


def of_jobs(jobs: Mapping[str, Job], health: Sequence[Row]) -> Iterator[GaugeMetricFamily]:
    """How each job of the schedule is."""

    def each(name: str, text: str, value: Callable[[Job, Row], float | None]) -> GaugeMetricFamily:
        told = [((row["job"], jobs[row["job"]].kind), value(jobs[row["job"]], row)) for row in health]
        return _family(f"gaugebook_job_{name}", text, ("schedule_job", "kind"), told)

    def stale(job: Job, row: Row) -> float | None:
        known = row["slot"] or row["since"]
        return None if known is None else float(stale_after(job.cron, known) < row["now"])

    yield each(
        "last_success_timestamp_seconds",
        "When the latest good run of the job ended.",
        lambda _, row: row["finished_at"] and row["finished_at"].timestamp(),
    )
    yield each(
        "last_success_age_seconds",
        "How long ago that was.",
        lambda _, row: row["finished_at"] and (row["now"] - row["finished_at"]).total_seconds(),
    )
    yield each(
        "last_slot_timestamp_seconds",
        "The slot that it was made for.",
        lambda _, row: row["slot"] and row["slot"].timestamp(),
    )
    yield each("duration_seconds", "How long it took.", lambda _, row: row["duration_s"])
    yield each("failures", "Attempts that failed or were interrupted since.", lambda _, row: row["failures"])
    yield each("running", "1 while it is being made.", lambda _, row: row["running"])
    yield each("stale", "1 where its next slot has been due for an hour.", stale)


def of_rollups(rows: Sequence[Row]) -> Iterator[GaugeMetricFamily]:
    """How far the stored rollups are behind the raw rows."""
    yield _family(
        "gaugebook_rollup_lag_seconds",
        "Since rollups were refreshed, where rows wait for it.",
        ("family",),
        [((row["family"],), row["lag_s"]) for row in rows],
    )
    yield _family(
        "gaugebook_rollup_waiting_hours",
        "Hours before this one with rows that wait to be rolled up; absent on TimescaleDB.",
        ("family",),
        [((row["family"],), row["late_hours"]) for row in rows],
    )


def of_periods(rows: Sequence[Row]) -> Iterator[GaugeMetricFamily]:
    """When each budget begins anew: of all that hold, also where no job looks ahead."""
    holding = sorted((row for row in rows if row["enabled"]), key=lambda row: (row["resets_at"], row["name"]))
    yield _family(
        "gaugebook_budget_resets_timestamp_seconds",
        "When the running period of the budget ends.",
        ("budget",),
        [((row["name"],), row["resets_at"].timestamp()) for row in holding[:PERIODS]],
    )


def of_forecasts(rows: Sequence[Row]) -> Iterator[GaugeMetricFamily]:
    """Sums over each horizon and their quantiles."""
    cost, other = [], []
    for row in _largest(rows):
        labels = (row["job"], row["by"], row["unique_id"], row["horizon"])
        value = row["target"].partition(" ")[2]
        for column, quantile in QUANTILES.items():
            if value == "cost_usd":
                cost.append(((*labels, quantile), row[column]))
            else:
                other.append(((*labels, value, quantile), row[column]))
    labels = ("schedule_job", "by", "series", "horizon")
    yield _family("gaugebook_forecast_cost_usd", "Cost over the horizon to come, in USD.", (*labels, "quantile"), cost)
    if other:
        text = "Sum of a value over the horizon to come."
        yield _family("gaugebook_forecast_sum", text, (*labels, "value", "quantile"), other)


def of_budgets(rows: Sequence[Row]) -> Iterator[GaugeMetricFamily]:
    """When each budget is used up, and what its period will cost; those in danger first."""
    ranked = sorted(rows, key=lambda row: (row["exhausted_at"] is None, row["exhausted_at"] or row["resets_at"]))
    shown, rest = ranked[:TOP], ranked[TOP:]
    when = [((row["budget"],), row["exhausted_at"]) for row in shown]
    soonest = min((row["exhausted_at"] for row in rest if row["exhausted_at"] is not None), default=None)
    yield _family(
        "gaugebook_budget_exhaustion_timestamp_seconds",
        "When the budget is used up, the median; absent: not in this period.",
        ("budget",),
        [(labels, moment and moment.timestamp()) for labels, moment in (*when, ((OTHER,), soonest))],
    )
    yield _family(
        "gaugebook_budget_exceeded_probability",
        "Probability that the limit is exceeded in this period.",
        ("budget",),
        [((row["budget"],), row["p_exceed"]) for row in shown],
    )
    yield _family(
        "gaugebook_budget_expected_usd",
        "Spend of the whole period, in USD.",
        ("budget", "quantile"),
        [((row["budget"], quantile), row[column]) for row in shown for column, quantile in OF_BUDGETS.items()],
    )
    yield _family(
        "gaugebook_budget_limit_usd",
        "What may be spent in it.",
        ("budget",),
        [((r["budget"],), r["limit_usd"]) for r in shown],
    )


def of_queues(rows: Sequence[Row], now: datetime) -> Iterator[GaugeMetricFamily]:
    """How long each queue has until it is full and until it is empty; of those that are not shown the soonest."""
    shown, rest = rows[:TOP], rows[TOP:]

    def ahead(row: Row, column: str) -> float | None:
        """Seconds from now; the table counts them from the end of what was looked at."""
        if row[column] is None:
            return None
        return float(max(0.0, row[column] - (now - row["trained_until"]).total_seconds()))

    def each(column: str, name: str, text: str, value: Callable[[Row], float | None]) -> GaugeMetricFamily:
        told: list[tuple[tuple[str, ...], float | None]] = [
            (tuple(row[label] for label in QUEUE), value(row)) for row in shown
        ]
        others = [known for row in rest if (known := value(row)) is not None]
        if others and column == "full_s":
            told.append((("", "", OTHER), min(others)))
        return _family(f"gaugebook_queue_{name}", text, QUEUE, told)

    yield each(
        "full_s",
        "time_to_full_seconds",
        "Until the queue holds all that it may, at the rates of the last day; absent: never, or no limit.",
        lambda row: ahead(row, "full_s"),
    )
    yield each(
        "drain_s",
        "time_to_empty_seconds",
        "Until the queue is empty, at the rates of the last day; absent: never.",
        lambda row: ahead(row, "drain_s"),
    )
    yield each(
        "p_full", "full_probability", "Probability that it is full within the horizon.", lambda row: row["p_full"]
    )
    yield each(
        "utilisation",
        "utilisation_ratio",
        "Arrivals over what its consumers can serve.",
        lambda row: row["utilisation"],
    )


def of_peaks(outlooks: Sequence[Row], seen: Sequence[Row], now: datetime) -> Iterator[GaugeMetricFamily]:
    """How full queues will be soon."""
    yield _family(
        "gaugebook_queue_expected_peak_ratio",
        f"The most it is expected to hold in {HORIZON_H} hours, by forecast and arrivals now, over what it may hold.",
        QUEUE,
        [(tuple(row[name] for name in QUEUE), share) for row, share in peaks(outlooks, seen, now)],
    )


def of_findings(rows: Sequence[Row]) -> Iterator[GaugeMetricFamily]:
    """How much was found lately that does not fit, and how many levels have changed."""
    anomalies = [
        ((row["target"], row["severity"] or "notice"), row["findings"]) for row in rows if row["kind"] == "anomaly"
    ]
    changes = [((row["target"],), row["findings"]) for row in rows if row["kind"] == "change"]
    yield _family(
        "gaugebook_anomalies",
        f"Anomalies of the last {FINDINGS_H} hours that are not muted.",
        ("target", "severity"),
        anomalies,
    )
    yield _family("gaugebook_change_points", "Lasting changes of level in the last week.", ("target",), changes)


def _largest(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows of the largest series of each job; the rest of them has a row of its own, as the job wrote it."""
    sizes: dict[tuple[str, str], float] = defaultdict(float)
    for row in rows:
        sizes[row["job"], row["unique_id"]] += abs(row["total"])
    taken: dict[str, set[str]] = defaultdict(set)
    for job, name in sorted(sizes, key=lambda key: -sizes[key]):
        if len(taken[job]) < TOP + 2:  # the whole, and the rest
            taken[job].add(name)
    return (row for row in rows if row["unique_id"] in taken[row["job"]])


def _family(
    name: str, text: str, labels: Sequence[str], told: Iterable[tuple[tuple[str, ...], float | None]]
) -> GaugeMetricFamily:
    """A gauge with the values that are known: nothing is not zero."""
    family = GaugeMetricFamily(name, text, labels=labels)
    once: dict[tuple[str, ...], float] = {}
    for at, value in told:
        if value is not None:
            # Two jobs may tell of one budget, and Prometheus refuses a page that says a thing twice.
            once.setdefault(at, float(value))
    for at, number in once.items():
        family.add_metric(at, number)
    return family
