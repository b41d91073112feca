"""A page for each of fifty teams, on a real Dask cluster and beside it, with one ledger; and a worker that dies."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from pipelines import ledger
from pipelines.schedule import Job
from store.connect import connect
from tests.analytics.seed import HOUR, START, put_requests, request
from tests.pipelines.test_many import at_once
from tests.pipelines.test_tick import at
from tests.pipelines.ticker import tick

pytestmark = [
    pytest.mark.drill,
    pytest.mark.timeout(1800),
]

TEAMS = 50


@pytest.fixture
def fifty(store):
    hour = int((datetime.now(UTC) - timedelta(days=1) - START) / HOUR)
    put_requests(store, [request(n, hour, team=f"team {n}") for n in range(TEAMS)])
    return store


def entry(**more):
    given = {"at": "{slot}", "seconds": 0.2}
    return Job("teams", "per_team", "0 6 * * *", given, entry="teams", sets_from="teams", memory_mb=1000, **more)


def check(settings, now):
    """Each team has one good page of the slot, which says so, and a kernel that kept within its memory."""
    runs = [run for run in ledger.history(settings, latest=10_000) if run.slot == now]
    good = [run for run in runs if run.outcome == "ok"]
    assert sorted(run.parameters["team"] for run in good) == sorted(f"team {n}" for n in range(TEAMS))
    for run in good:
        assert run.peak_mb < 1000
        text = (settings.reports / f"{run.job}.html").read_text()
        assert f"made for {run.parameters['team']} at {now.isoformat()}" in text
    with connect(settings) as connection:
        assert connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
    return Counter(run.outcome for run in runs)


def test_fifty_teams_four_at_once_on_this_host(fifty):
    one = entry(parallel=4)
    tick(fifty, at(1), one)
    begun = time.monotonic()
    with at_once(fifty) as most:
        ended = tick(fifty, at(2), one)
    print(f"{TEAMS} pages, 4 at once: {time.monotonic() - begun:.0f} s")
    assert Counter(each.outcome for each in ended) == {"ok": TEAMS}, {each.error for each in ended}
    assert most == [4]
    assert check(fifty, at(2, 6, 0)) == {"ok": TEAMS}
    assert tick(fifty, at(2), one) == []


def test_fifty_teams_on_a_cluster_of_two_workers_one_of_which_dies(fifty, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.setenv("GAUGEBOOK_DSN", fifty.dsn.get_secret_value())
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, dashboard_address=":0", silence_logs=50
    ) as cluster:
        one = entry(engine="dask", scheduler=cluster.scheduler_address, parallel=8, retries=3, backoff_s=0)
        tick(fifty, at(1), one)
        begun = time.monotonic()
        with at_once(fifty) as most:
            ended = tick(fifty, at(2), one)
        print(f"{TEAMS} pages on two workers of two threads: {time.monotonic() - begun:.0f} s")
        assert Counter(each.outcome for each in ended) == {"ok": TEAMS}, {each.error for each in ended}
        assert most == [8]
        assert check(fifty, at(2, 6, 0)) == {"ok": TEAMS}

        from pipelines.tick import Ticker
        from tests.pipelines.reports import NOTEBOOKS

        ticker = Ticker(fifty, [one], now=at(3), notebooks=NOTEBOOKS)
        started = ticker.begin()
        while len([run for run in ledger.history(fifty, latest=200) if run.slot == at(3, 6, 0)]) < 12:
            time.sleep(0.1)
        victim = next(iter(cluster.workers.values()))
        os.kill(victim.process.pid, signal.SIGKILL)
        outcomes = Counter(each.outcome for future in started for each in future.result(600))
        ticker.stop()
        minutes = 2
        while outcomes["ok"] < TEAMS and minutes < 30:
            outcomes += Counter(each.outcome for each in tick(fifty, at(3, 6, minutes), one))
            minutes += 1
        print(outcomes, check(fifty, at(3, 6, 0)))
        assert outcomes["ok"] == TEAMS
        assert tick(fifty, at(3, 7), one) == []
