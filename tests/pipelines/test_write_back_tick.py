"""Write-back jobs on a tick, as processes that can be killed, and what Prometheus reads of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collectors.exposition import Exposition
from pipelines import ledger
from pipelines.gauges import registry
from pipelines.schedule import DEFAULT, read
from pipelines.tick import Ticker
from store.connect import connect
from store.settings import load
from tests.analytics.seed import HOUR, put
from tests.fix_prometheus import wait_until
from tests.pipelines.seeded import END, rows, writer, written
from tests.pipelines.ticker import start, tick

MINUTE = timedelta(minutes=1)


def children(parent):
    """The processes of write-back jobs that a process has started."""
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(parent)], capture_output=True, text=True, check=False
    )
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "pipelines.jobs" in line]


def test_what_is_missed_is_made_up_for_as_it_would_have_been(seeded):
    one = writer("queues", catch_up="all")
    assert tick(seeded, END - 2 * HOUR + MINUTE, one) == []
    ended = tick(seeded, END + MINUTE, one)
    assert [(each.slot, each.outcome) for each in ended] == [(END - HOUR, "ok"), (END, "ok")]
    found = [row for row in rows(seeded, "queue_outlooks") if row["queue"] == "orders"]
    assert sorted(row["trained_until"] for row in found) == [END - HOUR, END]
    runs = ledger.history(seeded)
    assert {(run.output, run.report, run.job) for run in runs} == {("", "queues", "queues")}
    assert all(run.peak_mb > 50 and run.duration_s > 0 and run.data_spans for run in runs)
    assert all(re.fullmatch(r"\S+ [0-9a-f]{12}", run.code_version) for run in runs)
    assert {run.parameters["horizon_h"] for run in runs} == {24}
    assert not list(seeded.reports.iterdir())  # it makes no page, and no index of them


@pytest.mark.parametrize(
    ("limits", "says"),
    [({"limit_s": 0.01}, "took longer than the 0.01 s that it may"), ({"memory_mb": 60}, "(it may have 60 MB)")],
)
def test_what_has_a_limit_fails_with_a_reason_and_writes_nothing(seeded, limits, says):
    one = writer("forecasts", retries=0, **limits)
    tick(seeded, END - HOUR + MINUTE, one)
    (failed,) = tick(seeded, END + MINUTE, one)
    assert failed.outcome == "failed"
    assert says in failed.error
    assert rows(seeded, "forecasts") == []


def test_kill_9_of_the_process_or_of_the_tick(seeded):
    one = writer("forecasts", parameters={"by": "", "horizons": "1h"}, retries=1, backoff_s=0)
    tick(seeded, END - HOUR + MINUTE, one)
    ticker = Ticker(seeded, [one], now=END + MINUTE)
    (future,) = ticker.begin()
    (child,) = wait_until(lambda: list(ticker._kernels))
    os.kill(child, signal.SIGKILL)
    (first,) = future.result(60)
    assert "its process died (SIGKILL)" in first.error
    ticker.stop()
    assert rows(seeded, "forecasts") == []
    assert [again.outcome for again in tick(seeded, END + 2 * MINUTE, one)] == ["ok"]
    good = {row["run_id"] for row in rows(seeded, "forecasts")}
    assert len(good) == 1

    # A tick that is killed takes its job with it.
    later = END + HOUR + MINUTE
    killed = start(seeded, later, one)
    (child,) = wait_until(lambda: children(killed.pid), 60, 0.005)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    wait_until(lambda: not Path(f"/proc/{child}").exists(), 20)
    (again,) = tick(seeded, later, one)
    assert (again.outcome, again.slot) == ("ok", END + HOUR)
    assert len({row["run_id"] for row in rows(seeded, "forecasts")}) == 2


def test_prometheus_reads_what_the_jobs_of_the_schedule_have_written(seeded, prometheus):
    jobs = [job for job in read(DEFAULT) if job.kind == "write"]
    assert {job.report for job in jobs} == {"forecasts", "anomalies", "change_points", "budgets", "queues"}
    now = datetime.now(UTC)
    for job in jobs:
        # The data are of March, and the run that looked at them of the latest slot.
        run, _ = written(seeded, job.report, END, **({"days": 7} if job.report == "queues" else {}))
        slot = next(job.slots(now - timedelta(days=2), now))
        with connect(seeded) as connection:
            connection.execute("UPDATE analytics.report_run SET slot = %s WHERE run_id = %s", [slot, run])
    with connect(seeded) as connection:  # as if they had been looked at just now
        connection.execute("UPDATE analytics.queue_outlooks SET trained_until = now() - interval '10 minutes'")
        connection.execute(
            "UPDATE analytics.anomalies SET ds = now() - interval '3 hours', until = now() - interval '2 hours' "
            "WHERE score = (SELECT max(score) FROM analytics.anomalies)"
        )
    failing = writer("failing")
    there = seeded.model_copy(update={"metrics_address": "127.0.0.1", "metrics_port": 0})
    with Exposition(there, registry(seeded, lambda: [*jobs, failing])) as page:
        prometheus.scrape(page.url.removeprefix("http://").removesuffix("/metrics"))
        (total,) = prometheus.wait_for(
            'gaugebook_forecast_cost_usd{series="total", horizon="24h", quantile="0.5", by="team"}'
        )
        kept = {(row["unique_id"], row["horizon"]): row for row in rows(seeded, "forecast_totals")}
        assert float(total["value"][1]) == pytest.approx(kept["total", "24h"]["total"])
        (high,) = prometheus.query('gaugebook_forecast_cost_usd{series="search", horizon="7d", quantile="0.9"}')
        assert float(high["value"][1]) == pytest.approx(kept["search", "7d"]["hi_80"])
        assert len(prometheus.query("gaugebook_forecast_cost_usd")) == 4 * 2 * 5
        (full,) = prometheus.query("gaugebook_queue_time_to_full_seconds")
        (orders,) = [row for row in rows(seeded, "queue_outlooks") if row["queue"] == "orders"]
        assert full["metric"]["queue"] == "orders"
        assert orders["full_s"] - 700 < float(full["value"][1]) < orders["full_s"] - 599
        ages = prometheus.query("gaugebook_job_last_success_age_seconds")
        assert {one["metric"]["schedule_job"] for one in ages} == {job.name for job in jobs}
        assert all(0 <= float(one["value"][1]) < 120 for one in ages)
        assert {one["value"][1] for one in prometheus.query("gaugebook_job_stale")} == {"0"}
        assert prometheus.query('gaugebook_anomalies{target="hourly cost_usd", severity="critical"} == 1')
        assert prometheus.query("gaugebook_store_up")[0]["value"][1] == "1"
        up = prometheus.query('up{job="gaugebook"}')
        assert [one["value"][1] for one in up] == ["1"]


def lines(settings, *jobs):
    """The page of the gauges, a line each."""
    from prometheus_client import generate_latest

    return generate_latest(registry(settings, lambda: list(jobs))).decode().splitlines()


def told(page, name):
    return [line for line in page if line.startswith((f"{name}{{", f"{name} "))]


def insert_good(settings, job, slot):
    """A good run of a slot; its id."""
    with connect(settings) as connection:
        return connection.execute(
            "INSERT INTO analytics.report_run (run_id, report, slot, parameters, outcome, job, output, started_at, finished_at, duration_s) "
            "VALUES (gen_random_uuid(), %s, %s, '{}', 'ok', %s, '', %s, %s, 2) RETURNING run_id",
            [job, slot, job, slot, slot],
        ).fetchone()[0]


def test_a_budget_says_when_it_is_used_up_and_a_stale_one_says_nothing(store):
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    run = insert_good(store, "budgets", now)
    when = now + timedelta(days=3)
    with connect(store) as connection:
        for name, moment in (("a", when), ("b", None)):
            connection.execute(
                "INSERT INTO analytics.budget_outlooks (run_id, made_at, budget, starts_at, resets_at, limit_usd, spent_usd, total_usd, "
                "p_exceed, exhausted_at, engine, trained_from, trained_until) VALUES (%s, now(), %s, now(), now(), 10, 5, 12, 0.9, %s, 'x', now(), now())",
                [run, name, moment],
            )
    page = lines(store, writer("budgets"))
    (line,) = told(page, "gaugebook_budget_exhaustion_timestamp_seconds")
    assert line.startswith('gaugebook_budget_exhaustion_timestamp_seconds{budget="a"} ')
    assert float(line.split()[-1]) == when.timestamp()
    assert len(told(page, "gaugebook_budget_exceeded_probability")) == 2
    with connect(store) as connection:
        connection.execute("UPDATE analytics.report_run SET slot = slot - interval '3 hours'")
    page = lines(store, writer("budgets"))
    assert told(page, "gaugebook_budget_exhaustion_timestamp_seconds") == []
    assert told(page, "gaugebook_job_stale") == ['gaugebook_job_stale{kind="write",schedule_job="budgets"} 1.0']


def test_every_budget_that_holds_says_when_it_begins_anew(store):
    with connect(store) as connection:
        connection.execute(
            "INSERT INTO analytics.budgets (name, period, limit_usd, enabled) VALUES ('d', 'day', 1, true), ('m', 'month', 1, true), ('off', 'day', 1, false)"
        )
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    first = (now.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = dict(line.split() for line in told(lines(store), "gaugebook_budget_resets_timestamp_seconds"))
    assert {name: float(value) for name, value in found.items()} == {
        'gaugebook_budget_resets_timestamp_seconds{budget="d"}': midnight.timestamp(),
        'gaugebook_budget_resets_timestamp_seconds{budget="m"}': first.timestamp(),
    }


def test_a_thousand_queues_and_series_are_a_bounded_page(store):
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    queues, forecasts = insert_good(store, "queues", now), insert_good(store, "forecasts", now)
    with connect(store) as connection:
        connection.execute(
            "INSERT INTO analytics.queue_outlooks (run_id, made_at, cluster, vhost, queue, horizon_s, messages, capacity_seen, full_s, engine, trained_from, trained_until) "
            "SELECT %s, now(), 'c', '/', 'q\"' || n, 1, n, true, n * 1000, 'x', now(), now() FROM generate_series(1, 1000) AS n",
            [queues],
        )
        connection.execute(
            "INSERT INTO analytics.forecast_totals (run_id, made_at, target, source, by, unique_id, horizon, since, until, total, lo_80, hi_80, lo_95, hi_95, engine, trained_from, trained_until) "
            "SELECT %s, now(), 'hourly cost_usd', 'llm_requests', '{team}', 't' || n, '24h', now(), now(), n, n, n, n, n, 'x', now(), now() FROM generate_series(1, 1000) AS n",
            [forecasts],
        )
    page = lines(store, writer("queues"), writer("forecasts"))
    full = told(page, "gaugebook_queue_time_to_full_seconds")
    assert len(full) == 51
    (rest,) = [line for line in full if 'queue="other"' in line]
    assert 50_900 < float(rest.split()[-1]) <= 51_000  # the soonest of those that are not shown
    assert len(told(page, "gaugebook_forecast_cost_usd")) == 52 * 5
    assert any('series="t1000"' in line for line in page)
    assert len(page) < 500


def test_failures_since_the_last_good_run_are_counted(store):
    now = datetime.now(UTC)
    tick(store, now, writer("budgets"))
    with connect(store) as connection:
        for hours, outcome in ((5, "failed"), (4, "ok"), (3, "failed"), (2, "interrupted"), (1, "failed")):
            at = now - timedelta(hours=hours)
            connection.execute(
                "INSERT INTO analytics.report_run (run_id, report, slot, parameters, outcome, job, output, started_at, finished_at) "
                "VALUES (gen_random_uuid(), 'budgets', %s, '{}', %s, 'budgets', '', %s, %s)",
                [at, outcome, at, at],
            )
    page = lines(store, writer("budgets"), writer("never"))
    assert sorted(told(page, "gaugebook_job_failures")) == [
        'gaugebook_job_failures{kind="write",schedule_job="budgets"} 3.0',
        'gaugebook_job_failures{kind="write",schedule_job="never"} 0.0',
    ]
    assert len(told(page, "gaugebook_job_last_success_age_seconds")) == 1


def test_a_store_that_is_away_is_said_and_nothing_else():
    away = load(dsn="postgresql://nobody@127.0.0.1:1/none")
    page = [line for line in lines(away, writer("budgets")) if not line.startswith("#")]
    assert page == ["gaugebook_store_up 0.0"]


@pytest.mark.parametrize(("hold", "published"), [(9_000, 3.0), (9_000, None), (20_000, 30.0)])
def test_how_full_a_queue_will_be_is_told_by_what_arrives_now(store, hold, published):
    now = datetime.now(UTC)
    queues = insert_good(store, "queues", now.replace(minute=0, second=0, microsecond=0))
    with connect(store) as connection:
        connection.execute(
            "INSERT INTO analytics.queue_outlooks (run_id, made_at, cluster, vhost, queue, horizon_s, messages, capacity_seen, capacity_per_s, max_length, arriving_ahead_per_s, engine, trained_from, trained_until) "
            "SELECT %s, now(), 'c', '/', queue, 7200, 0, seen, 2, most, '{2, 2}', 'x', now(), now() "
            "FROM (VALUES ('orders', true, 10000), ('endless', true, NULL), ('idle', false, 10000), ('gone', true, 10000)) AS made (queue, seen, most)",
            [queues],
        )
    samples = [  # it grows by one a second
        (now - minute * MINUTE, "c", "/", queue, hold - minute * 60, published, 2.0)
        for queue in ("orders", "endless", "idle")
        for minute in range(10)
    ]
    columns = ("ts", "cluster", "vhost", "queue", "messages", "published_per_s", "acked_per_s")
    put(store, "metrics.rabbitmq_queues", columns, samples)
    (line,) = told(lines(store, writer("queues")), "gaugebook_queue_expected_peak_ratio")
    assert line.startswith('gaugebook_queue_expected_peak_ratio{cluster="c",queue="orders",vhost="/"} ')
    comes = (published or 3.0) - 2
    assert float(line.split()[-1]) == pytest.approx((hold + comes * 15 / 16 / 0.6931 * 3600) / 10_000, rel=0.01)
