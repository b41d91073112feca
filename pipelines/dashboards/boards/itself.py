"""Gaugebook itself: do collectors collect, does the store take rows, does the schedule tick, does Prometheus watch."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from pipelines.dashboards.board import Places, board
from pipelines.dashboards.panels import (
    NONE_IS_WELL,
    UP,
    Column,
    Panel,
    lines,
    listing,
    number,
    ranking,
)
from pipelines.dashboards.sources import now, prom, rows, sql

COLLECTOR = "{{collector}} {{instance}}"
RATE = "[$__rate_interval]"


def itself(places: Places | None = None) -> dashboard.Dashboard:
    """The dashboard."""
    return board(
        "gaugebook-self",
        "Gaugebook itself",
        "The watchers: collectors, spools, the tap, OTLP, the schedule, the store, Prometheus and Alertmanager.",
        {
            "Now": _now(),
            "Collectors": _collectors(),
            "On the way to the store": _spools(),
            "The tap and OTLP": _llm(),
            "The schedule": _schedule(),
            "The store": _store(),
            "Prometheus and Alertmanager": _prometheus(),
        },
        report="data_quality",
        runbook="CollectorStalled",
        anomalies="queues",
        places=places,
    )


def _now() -> list[Panel]:
    waiting = "sum(gaugebook_collector_rows_buffered) + (sum(llm_waiting_rows) or vector(0))"
    return [
        number(
            "Targets down",
            "Of Prometheus: what is down there is not watched.",
            "short",
            prom("count(up == 0) or vector(0)"),
            steps=NONE_IS_WELL,
        ),
        number("Store", "As the tick sees it.", "none", prom("min(gaugebook_store_up)"), names=UP),
        number(
            "Stale jobs",
            "Whose next slot has been due for an hour: nobody ticks, or they fail.",
            "short",
            prom("sum(max by (schedule_job) (gaugebook_job_stale))"),
            steps=NONE_IS_WELL,
        ),
        number("Rows that wait", "For the database, on local disks.", "short", prom(waiting)),
        number(
            "Rows lost in an hour",
            "That never reach the database, and will not.",
            "short",
            prom("sum(job:gaugebook_rows_lost:increase1h)"),
            steps=NONE_IS_WELL,
            decimals=0,
        ),
        number(
            "Alerts firing",
            "Pages and tickets.",
            "short",
            prom('count(ALERTS{alertstate="firing", severity=~"critical|warning"}) or vector(0)'),
            steps=NONE_IS_WELL,
        ),
    ]


def _collectors() -> list[Panel]:
    return [
        lines(
            "Since the last success",
            "Seconds since a collection succeeded; some intervals are well.",
            "s",
            prom("collector:gaugebook_collector_last_success_age_seconds:max", COLLECTOR),
        ),
        lines(
            "Failed collections",
            "A second; the log says why.",
            "ops",
            prom("collector:gaugebook_collector_errors:rate5m", COLLECTOR),
        ),
        lines(
            "Time of a collection",
            "Seconds; above the interval, collections are left out.",
            "s",
            prom("gaugebook_collector_duration_seconds", COLLECTOR),
        ),
        lines(
            "Left out",
            "Collections left out because an earlier one took too long.",
            "short",
            prom(f"increase(gaugebook_collector_missed_total{RATE})", COLLECTOR),
        ),
        lines(
            "Samples left out",
            "Of the broker, that could not be read.",
            "short",
            prom(f"increase(gaugebook_collector_skipped_samples_total{RATE})", COLLECTOR),
        ),
        lines(
            "Restarts of counters",
            "Seen by collectors: a broker or a gateway began anew.",
            "short",
            prom(f"increase(gaugebook_collector_counter_resets_total{RATE})", COLLECTOR),
            prom(f"increase(llm_gateway_resets_total{RATE})", "{{source}} {{gateway}}"),
        ),
    ]


def _spools() -> list[Panel]:
    return [
        lines(
            "Rows written",
            "Rows a second into the database.",
            "ops",
            prom("collector:gaugebook_collector_rows:rate5m", COLLECTOR),
            prom(f"rate(llm_written_rows_total{RATE})", "tap {{instance}}"),
            stacked=True,
        ),
        lines(
            "Rows that wait on disk",
            "They grow while the database is away.",
            "short",
            prom("gaugebook_collector_rows_buffered", COLLECTOR),
            prom("llm_waiting_rows", "tap {{instance}}"),
        ),
        lines(
            "Oldest row that waits",
            "Seconds: how far the store is behind.",
            "s",
            prom("gaugebook_collector_oldest_buffered_seconds", COLLECTOR),
            prom("llm_oldest_waiting_seconds", "tap {{instance}}"),
        ),
        lines(
            "Spool on disk",
            "Share of the bytes that may wait; at 1 the oldest rows are lost.",
            "percentunit",
            prom("gaugebook_collector_buffered_bytes / (gaugebook_collector_spool_limit_bytes > 0)", COLLECTOR),
            prom("llm_waiting_bytes / (llm_waiting_limit_bytes > 0)", "tap {{instance}}"),
        ),
        lines(
            "Writes that failed",
            "Batches that the database did not take; they are tried again.",
            "short",
            prom(f"increase(gaugebook_collector_write_errors_total{RATE})", COLLECTOR),
            prom(f"increase(llm_write_failures_total{RATE})", "tap {{instance}}"),
        ),
        lines(
            "Rows given up",
            "Dropped, refused and kept as dead letters (`gaugebook db replay`), or damaged in the spool.",
            "short",
            prom(f"sum(increase(gaugebook_collector_rows_dropped_total{RATE}))", "dropped"),
            prom(f"sum(increase(gaugebook_collector_rows_rejected_total{RATE}))", "refused"),
            prom(f"sum(increase(gaugebook_collector_spool_damaged_total{RATE}))", "damaged"),
            prom(f"sum(increase(llm_dropped_rows_total{RATE}))", "dropped by the tap"),
        ),
    ]


def _llm() -> list[Panel]:
    return [
        lines(
            "Faults of the meter",
            "Inside the tap; the calls themselves went on.",
            "short",
            prom(f"increase(llm_metering_failures_total{RATE})", "{{instance}}"),
            width=6,
        ),
        lines(
            "OTLP requests",
            "A second, by how they were answered.",
            "reqps",
            prom(f"sum by (signal, status) (rate(llm_otlp_requests_total{RATE}))", "{{signal}} {{status}}"),
            width=6,
        ),
        lines(
            "OTLP refused",
            "A second, by why.",
            "reqps",
            prom(f"topk(4, sum by (reason) (rate(llm_otlp_refused_total{RATE})))", "{{reason}}"),
            width=6,
        ),
        lines(
            "OTLP spans",
            "A second, by what became of them; other ones are no model calls.",
            "ops",
            prom(f"sum by (outcome) (rate(llm_otlp_spans_total{RATE}))", "{{outcome}}"),
            width=6,
            stacked=True,
        ),
    ]


def _schedule() -> list[Panel]:
    asked = {
        "last success": ("max by (schedule_job, kind) (gaugebook_job_last_success_age_seconds)", "s", ()),
        "took": ("max by (schedule_job, kind) (gaugebook_job_duration_seconds)", "s", ()),
        "failed since": ("max by (schedule_job, kind) (gaugebook_job_failures)", "short", NONE_IS_WELL),
        "stale": ("max by (schedule_job, kind) (gaugebook_job_stale)", "short", NONE_IS_WELL),
    }
    columns = {
        "schedule_job": Column("job"),
        "kind": Column("kind"),
        **{
            f"Value #{ref}": Column(name, unit, steps=steps)
            for ref, (name, (_, unit, steps)) in zip("ABCD", asked.items(), strict=True)
        },
    }
    runs = {
        "job": Column(),
        "slot": Column(unit="dateTimeAsIso"),
        "started": Column(unit="dateTimeFromNow"),
        "took": Column(unit="s"),
        "outcome": Column(),
        "error": Column(),
    }
    return [
        listing("Jobs", "As their gauges tell it.", columns, *[rows(expr) for expr, _, _ in asked.values()], width=12),
        listing("Last runs", "From the ledger, of the time that is shown.", runs, sql("report_runs"), width=12),
        lines(
            "Findings of the last day",
            "Anomalies that are not muted, by what is watched.",
            "short",
            prom(
                "sum by (target, severity) (max by (target, severity) (gaugebook_anomalies))", "{{target}} {{severity}}"
            ),
            width=12,
        ),
        lines(
            "Job duration",
            "Seconds that the last good run took.",
            "s",
            prom("max by (schedule_job) (gaugebook_job_duration_seconds)", "{{schedule_job}}"),
            width=12,
        ),
    ]


def _store() -> list[Panel]:
    data = {"source": Column(), "from": Column(unit="dateTimeAsIso"), "until": Column(unit="dateTimeFromNow")}
    policies = {
        "object": Column(),
        "policy": Column(),
        "setting": Column(),
        "last run": Column(unit="dateTimeFromNow"),
        "outcome": Column(),
    }
    sizes = {"table": Column(), "size": Column(unit="bytes"), "rows": Column(unit="short")}
    return [
        listing("Data", "First and last hour of each source.", data, sql("data_spans"), width=8, height=7),
        listing(
            "Sizes",
            "Tables with their partitions and indexes; rows as estimated.",
            sizes,
            sql("sizes"),
            width=6,
            height=7,
        ),
        listing(
            "Upkeep", "Rollups, retention, partitions: when each ran.", policies, sql("policies"), width=10, height=7
        ),
        lines(
            "Rollups behind",
            "Seconds since they were refreshed, where rows wait for it; what is read is right, and slower.",
            "s",
            prom("max by (family) (gaugebook_rollup_lag_seconds)", "{{family}}"),
            width=12,
        ),
        lines(
            "Hours that wait to be rolled up",
            "Before this one, of rows that came late; TimescaleDB does not tell.",
            "short",
            prom("max by (family) (gaugebook_rollup_waiting_hours)", "{{family}}"),
            width=12,
        ),
    ]


def _prometheus() -> list[Panel]:
    busy = "prometheus_rule_group_last_duration_seconds / prometheus_rule_group_interval_seconds"
    return [
        lines("Targets", "1 where the last scrape was answered.", "none", prom("min by (job) (up)", "{{job}}"), most=1),
        lines(
            "Time of a scrape",
            "Seconds; a page that takes as long as its timeout is lost.",
            "s",
            prom("max by (job) (scrape_duration_seconds)", "{{job}}"),
        ),
        lines(
            "Samples of a scrape",
            "After relabelling; one that grows without end will fill the disk.",
            "short",
            prom("sum by (job) (scrape_samples_post_metric_relabeling)", "{{job}}"),
            stacked=True,
        ),
        lines(
            "Rules",
            "Share of its interval that a group of rules takes, of the eight slowest.",
            "percentunit",
            prom(
                f'label_replace(topk(8, max by (rule_group) ({busy})), "group", "$1", "rule_group", ".*;(.*)")',
                "{{group}}",
            ),
            width=7,
        ),
        lines(
            "Rules that failed",
            "Evaluations; the log of Prometheus says why.",
            "short",
            prom(f"sum(increase(prometheus_rule_evaluation_failures_total{RATE}))", "failed"),
            width=4,
        ),
        lines(
            "Series in memory",
            "Of Prometheus; each takes some kB.",
            "short",
            prom("prometheus_tsdb_head_series", "series"),
            width=4,
        ),
        lines(
            "Blocks on disk",
            "Bytes; retention keeps them within its limit.",
            "bytes",
            prom("prometheus_tsdb_storage_blocks_bytes", "blocks"),
            width=4,
        ),
        ranking(
            "Notifications",
            "Of Alertmanager in the time that is shown, and those that failed.",
            "short",
            now("sum by (integration) (increase(alertmanager_notifications_total[$__range])) > 0", "{{integration}}"),
            now(
                "sum by (integration) (increase(alertmanager_notifications_failed_total[$__range])) > 0",
                "failed: {{integration}}",
            ),
            width=5,
        ),
    ]
