"""Two hosts that tick, killed at random moments, over missed days, a clock set back and a database that restarts."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from analytics import anomalies
from analytics.load import llm as load_series
from pipelines import ledger, pages
from pipelines.schedule import Job
from store.connect import connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.settings import load
from tests.analytics.seed import HOUR, START, put_requests, request
from tests.pipelines.seeded import writer
from tests.pipelines.test_tick import kernels
from tests.pipelines.ticker import job, start, tick
from tests.servers import open_folder

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(1800),
]

KILLS = 20
MISSED = (7, 8, 9)  # days that nobody ticks on
SET_BACK = (4, 12)  # days on which the clock goes back by two
RESTARTS = (3, 6, 11, 15)  # days on which the database restarts while a report is made
FIRST = datetime(2026, 5, 1, 6, 1, tzinfo=UTC)
JOBS = (
    job("latest", parameters={"seconds": 0.5}, catch_up="latest", retries=3, backoff_s=0),
    job("all", parameters={"seconds": 0.5}, catch_up="all", retries=3, backoff_s=0),
)
POLICY = {"cron": "0 6 * * *", "retries": 3, "backoff_s": 0}
WRITERS = (
    writer("forecasts", parameters={"by": "", "horizons": "24h"}, catch_up="latest", **POLICY),
    writer("anomalies", parameters={"by": "team"}, catch_up="all", **POLICY),
)
SPIKES = (2, 5, 8, 9, 13, 17, 21)  # days on which one hour costs thirty times as much; on some of them nobody ticks


def finish(settings, now):
    """Both hosts tick until nothing is left to do."""
    for minute in range(1, 30):
        hosts = [start(settings, now + timedelta(minutes=minute), *JOBS, *WRITERS) for _ in range(2)]
        said = [host.communicate(timeout=180) for host in hosts]
        assert [host.returncode for host in hosts] == [0, 0], said
        if not any(out for out, _ in said):
            return
    raise AssertionError(f"there is always more to do: {said}")


def fill(settings):
    """Sixty days before the first tick and all days after it, an hour of some of which stands out."""
    chance = random.Random(7)
    first, hours = FIRST - timedelta(days=60, minutes=1), (60 + KILLS + len(MISSED) + 2) * 24
    begin = int((first - START) / HOUR)
    spikes = {first + timedelta(days=60 + day, hours=-9) for day in SPIKES}
    rows = []
    for hour in range(hours):
        cost = (1 + 0.5 * math.sin(hour / 24 * 2 * math.pi)) * chance.uniform(0.9, 1.1)
        rows.append(request(hour, begin + hour, cost=cost * (30 if first + hour * HOUR in spikes else 1)))
    put_requests(settings, rows)


def written_once(settings, good):
    """The rows of each slot are those of its good run, whole; each spike was found once; the scorers have gone through all."""
    with connect(settings) as connection:
        kept = connection.execute("SELECT run_id, count(*) FROM analytics.forecasts GROUP BY 1").fetchall()
        assert dict(kept) == {run.run_id: 24 for run in good if run.job == "forecasts"}
        sums = connection.execute("SELECT run_id, count(*) FROM analytics.forecast_totals GROUP BY 1").fetchall()
        assert dict(sums) == {run.run_id: 1 for run in good if run.job == "forecasts"}
        found = connection.execute("SELECT unique_id, ds FROM analytics.anomalies ORDER BY 1, 2").fetchall()
        states = connection.execute("SELECT unique_id, ds FROM analytics.scorer_states ORDER BY 1").fetchall()
    assert len(set(found)) == len(found)
    last = max(run.slot for run in good)
    assert states == [("search", last - HOUR), ("total", last - HOUR)]
    whole = anomalies(load_series(settings, by=("team",), since=FIRST - timedelta(days=61), until=last))
    flagged = whole.table.filter("is_anomaly")["ds"].to_list()
    assert [ds for name, ds in found if name == "search"] == flagged
    spikes = {FIRST + timedelta(days=day, hours=-9, minutes=-1) for day in SPIKES}
    assert spikes <= set(flagged)


def test_every_slot_is_made_as_its_policy_says():
    chance = random.Random(20260501)
    before = kernels()
    with open_folder() as home:
        server = EmbeddedServer(home)
        server.start()
        try:
            settings = load(dsn=server.conninfo(), reports=home / "reports")
            migrate(settings)
            fill(settings)
            finish(settings, FIRST)
            days = [number for number in range(1, KILLS + len(MISSED) + 1) if number not in MISSED]
            for number in days:
                now = FIRST + timedelta(days=number)
                hosts = [start(settings, now, *JOBS, *WRITERS) for _ in range(2)]
                time.sleep(chance.uniform(0.5, 4.0))
                hosts[0].kill()
                if number in RESTARTS:
                    server.stop()
                    server.start()
                elif chance.random() < 0.5:
                    hosts[1].kill()
                for host in hosts:
                    host.communicate(timeout=300)
                if number in SET_BACK:
                    finish(settings, now - timedelta(days=2))
                finish(settings, now)

            made = [FIRST + timedelta(days=number, minutes=-1) for number in days]
            skipped = [FIRST + timedelta(days=number, minutes=-1) for number in MISSED]
            told = ledger.history(settings, latest=10_000)
            print(Counter((run.job, run.outcome) for run in told))
            assert sum(run.outcome == "interrupted" for run in told) >= KILLS / 4, "the kills have hit nothing"
            assert {run.outcome for run in told} <= {"ok", "failed", "interrupted", "skipped"}
            good = {
                name: sorted(run.slot for run in told if (run.job, run.outcome) == (name, "ok"))
                for name in ("latest", "all", "forecasts", "anomalies")
            }
            assert good["latest"] == good["forecasts"] == made
            assert good["all"] == good["anomalies"] == sorted([*made, *skipped])
            assert sorted(run.slot for run in told if run.outcome == "skipped") == sorted([*skipped, *skipped])
            written_once(settings, [run for run in told if run.outcome == "ok"])
            for run in told:
                kept = settings.reports / run.page
                if run.outcome == "ok" and run.output:
                    assert f"made for {run.slot.isoformat()}" in kept.read_text()
                    assert pages.shown(kept) == str(run.run_id)
                    assert (settings.reports / run.notebook).is_file()
            for name in ("latest", "all"):
                newest = max((run for run in told if (run.job, run.outcome) == (name, "ok")), key=lambda run: run.slot)
                assert pages.shown(settings.reports / f"{name}.html") == str(newest.run_id)
                assert pages.lists(settings.reports, str(newest.run_id))
            with connect(settings) as connection:
                assert connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (
                    0,
                )
        finally:
            server.stop()
    end = time.monotonic() + 30
    while kernels() - before:
        assert time.monotonic() < end, "kernels of killed ticks live on"
        time.sleep(0.2)


def test_a_tick_with_nothing_due_costs_the_database_little():
    """Fifty jobs over a ledger of 100,000 runs, by the time that the server itself says it was busy.

    Half of them write back, and an entry takes its sets from 35 days of requests of fifty teams.
    """
    now = datetime(2026, 5, 1, 6, 1, tzinfo=UTC)
    jobs = [job(f"j{number}", cron="0 * * * *") for number in range(25)]
    jobs += [replace(writer("budgets"), name=f"j{number}") for number in range(25, 50)]
    jobs.append(Job("teams", "per_team", "0 6 * * *", {}, entry="teams", sets_from="teams"))
    with open_folder() as home:
        server = EmbeddedServer(home)
        server.start()
        try:
            settings = load(dsn=server.conninfo(), reports=home / "reports")
            migrate(settings)
            with connect(settings) as connection:
                connection.execute(
                    "INSERT INTO analytics.report_job "
                    "SELECT 'j' || i, '0 * * * *', '2026-01-01' FROM generate_series(0, 49) AS i"
                )
                connection.execute(
                    "INSERT INTO analytics.report_run (run_id, report, slot, parameters, outcome, output, job) "
                    "SELECT gen_random_uuid(), 'paced', %s - n * interval '1 hour', '{}', 'ok', '/x.html', 'j' || i "
                    "FROM generate_series(0, 49) AS i, generate_series(0, 1999) AS n",
                    [now.replace(minute=0)],
                )
            present = int((datetime.now(UTC) - START) / HOUR)
            put_requests(
                settings,
                [request(f"{n}-{ago}", present - ago, team=f"team-{n}") for n in range(50) for ago in range(35 * 24)],
            )
            assert tick(settings, now, *jobs) == []  # the teams are new
            ticks = 50
            before = active_ms(settings)
            for _ in range(ticks):
                migrate(settings)  # as the command does
                assert tick(settings, now, *jobs) == []
            each = (active_ms(settings) - before) / ticks
            print(f"{each:.1f} ms of database time for a tick with nothing due")
            assert each < 50
        finally:
            server.stop()


def active_ms(settings):
    """How long the server has worked for its clients, once those that are gone have said so."""
    time.sleep(1.5)
    with connect(settings) as connection:
        query = "SELECT active_time FROM pg_stat_database WHERE datname = current_database()"
        return connection.execute(query).fetchone()[0]
