"""Two hosts that tick, killed at random moments, over missed days, a clock set back and a database that restarts."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from pipelines import ledger, pages
from store.connect import connect
from store.embedded import EmbeddedServer
from store.migrate import migrate
from store.settings import load
from tests.pipelines.test_tick import kernels
from tests.pipelines.ticker import job, start, tick
from tests.servers import open_folder

pytestmark = [
    pytest.mark.skipif("GAUGEBOOK_TEST_DRILL" not in os.environ, reason="a drill: make drill"),
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


def finish(settings, now):
    """Both hosts tick until nothing is left to do."""
    for minute in range(1, 30):
        hosts = [start(settings, now + timedelta(minutes=minute), *JOBS) for _ in range(2)]
        said = [host.communicate(timeout=180) for host in hosts]
        assert [host.returncode for host in hosts] == [0, 0], said
        if not any(out for out, _ in said):
            return
    raise AssertionError(f"there is always more to do: {said}")


def test_every_slot_is_made_as_its_policy_says():
    chance = random.Random(20260501)
    before = kernels()
    with open_folder() as home:
        server = EmbeddedServer(home)
        server.start()
        try:
            settings = load(dsn=server.conninfo(), reports=home / "reports")
            migrate(settings)
            finish(settings, FIRST)
            days = [number for number in range(1, KILLS + len(MISSED) + 1) if number not in MISSED]
            for number in days:
                now = FIRST + timedelta(days=number)
                hosts = [start(settings, now, *JOBS) for _ in range(2)]
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
                for name in ("latest", "all")
            }
            assert good["latest"] == made
            assert good["all"] == sorted([*made, *skipped])
            assert sorted(run.slot for run in told if run.outcome == "skipped") == skipped
            for run in told:
                kept = settings.reports / run.page
                if run.outcome == "ok":
                    assert f"made for {run.slot.isoformat()}" in kept.read_text()
                    assert pages.shown(kept) == str(run.run_id)
                    assert (settings.reports / run.notebook).is_file()
            for name in good:
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
    """Fifty jobs over a ledger of 100,000 runs, by the time that the server itself says it was busy."""
    now = datetime(2026, 5, 1, 6, 1, tzinfo=UTC)
    jobs = [job(f"j{number}", cron="0 * * * *") for number in range(50)]
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
