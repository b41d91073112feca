"""One entry of a schedule that makes many pages: sets that come from the store, so many at once, and on a cluster."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest

from pipelines import ledger
from pipelines.attempt import Task
from pipelines.cluster import on_worker
from pipelines.due import due
from pipelines.ledger import Run
from pipelines.schedule import Job, read
from pipelines.sets import expanded, page
from pipelines.tick import Ticker
from store.connect import connect
from store.errors import ReportError
from store.settings import load
from tests.analytics.seed import put_requests, request
from tests.pipelines.reports import NOTEBOOKS
from tests.pipelines.test_tick import at
from tests.pipelines.ticker import tick

TEAMS = ("search", "Ads & Ends", "ads-ends")


def teams(**more: object) -> Job:
    given = {"at": "{slot}", "seconds": 0.5}
    return Job("teams", "per_team", "0 6 * * *", given, entry="teams", sets_from="teams", **more)


def requests_of(names, day=None):
    """A request of each of these teams, yesterday; the first of them has made the most."""
    from tests.analytics.seed import START

    now = at(1) if day is None else day
    hour = int((now - START) / timedelta(hours=1))
    return [
        request(f"{n}-{k}", hour, team=name, minute=k) for n, name in enumerate(names) for k in range(len(names) - n)
    ]


@pytest.fixture
def three(store):
    """A store with requests of three teams, whose names are alike for a file, in the last days."""
    from datetime import UTC, datetime

    put_requests(store, requests_of(TEAMS, datetime.now(UTC) - timedelta(days=1)))
    return store


@contextmanager
def at_once(settings):
    """How many runs the ledger had under way at the same time, at most."""
    most, stop = [0], threading.Event()

    def look():
        with connect(settings, autocommit=True) as connection:
            while not stop.wait(0.02):
                query = "SELECT count(*) FROM analytics.report_run WHERE outcome = 'running'"
                most[0] = max(most[0], connection.execute(query).fetchone()[0])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        stop.set()
        thread.join()


def test_a_page_for_each_team_that_the_store_has(three):
    entry = teams(parallel=2)
    with connect(three) as connection:
        made = expanded(connection, [entry])
    assert [(job.parameters["team"], job.name == f"teams-{job.parameters['team']}") for job in made] == [
        ("search", True),
        ("Ads & Ends", False),
        ("ads-ends", True),
    ]
    tick(three, at(1), entry)
    with at_once(three) as most:
        ended = tick(three, at(2), entry, parallel=1)
    assert sorted(one.outcome for one in ended) == ["ok"] * 3
    assert most == [2]
    for job in made:
        text = (three.reports / f"{job.name}.html").read_text()
        assert f"made for {job.parameters['team'].replace('&', '&amp;')} at 2026-05-02" in text
    assert tick(three, at(2), entry) == []
    index = (three.reports / "index.html").read_text()
    assert index.count('class="badge ok"') == 3


def test_a_team_that_is_new_begins_with_the_next_slot(three):
    tick(three, at(1), teams())
    from datetime import UTC, datetime

    put_requests(
        three,
        [request("late", int((datetime.now(UTC) - timedelta(days=1) - at(1)) / timedelta(hours=1)) + 1441, team="new")],
    )
    (found,) = [one for one in due(three, [teams()], now=at(2)) if one.job.name == "teams-new"]
    assert (found.state.since, found.plan.make) == (None, ())
    assert [one.plan.make for one in due(three, [teams()], now=at(2)) if one.job.name == "teams-search"] == [
        (at(2, 6, 0),)
    ]


def test_no_two_names_make_one_page():
    names = ["a", "A", "a b", "a-b", "a_b", "ä", "", "x" * 100, "x" * 99, "-", "a/b", "../../etc"]
    made = [page("teams", name) for name in names]
    assert len(set(made)) == len(names)
    assert all(len(name) <= 64 for name in made)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sets_from = 'team'", "sets_from: Input should be 'teams', 'projects', 'providers' or 'models'"),
        ("sets_from = 'projects'", "'project': does not exist"),
        ("sets_from = 'teams'\nsets = { a = {} }", "sets_from: stands in place of sets"),
        ("parallel = 0", "parallel: Input should be greater than or equal to 1"),
        ("scheduler = 'tcp://x:1'", 'goes with engine = "dask"'),
        ("engine = 'ray'", "engine: Input should be 'here' or 'dask'"),
        ("write = 'forecasts'", "write: stands in place of report"),
    ],
)
def test_a_wrong_entry(tmp_path, text, says):
    file = tmp_path / "schedule.toml"
    file.write_text(f"[teams]\nreport = 'per_team'\ncron = '0 6 * * *'\n{text}\n")
    with pytest.raises(Exception, match="teams") as caught:
        read(file, notebooks=NOTEBOOKS)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("write = 'forecast'", "no write-back job 'forecast': did you mean 'forecasts'?"),
        ("write = 'queues'\ndeliver = [{ to = 'folder', path = '/srv' }]", "deliver: a job that writes into the store"),
        ("write = 'queues'\nparameters = { horizon = 3 }", "'horizon': does not exist; did you mean 'horizon_h'?"),
    ],
)
def test_a_wrong_entry_that_writes_back(tmp_path, text, says):
    file = tmp_path / "schedule.toml"
    file.write_text(f"[mine]\ncron = '0 6 * * *'\n{text}\n")
    with pytest.raises(Exception, match="mine") as caught:
        read(file)
    assert says in str(caught.value)


@pytest.fixture
def cluster(three, monkeypatch):
    """A Dask worker with two threads, in a process of its own, that has the store in its environment."""
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.setenv("GAUGEBOOK_DSN", three.dsn.get_secret_value())
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0", silence_logs=40) as made:
        yield made


@pytest.mark.drill
def test_pages_are_made_on_a_cluster_with_the_same_ledger(three, cluster):
    entry = teams(engine="dask", scheduler=cluster.scheduler_address, parallel=3)
    tick(three, at(1), entry)
    with at_once(three) as most:
        ended = tick(three, at(2), entry, parallel=1)
    assert [one.outcome for one in ended] == ["ok"] * 3, ended
    assert most == [3]  # two at work, and one that waits for a thread of the worker
    runs = ledger.history(three)
    assert {run.outcome for run in runs} == {"ok"}
    assert all(run.peak_mb > 20 and (three.reports / run.page).is_file() for run in runs)
    assert tick(three, at(2), entry) == []

    slow = teams(engine="dask", scheduler=cluster.scheduler_address, parallel=1)
    slow.parameters["seconds"] = 20
    ticker = Ticker(three, [slow], now=at(3), notebooks=NOTEBOOKS)
    started = ticker.begin()
    while not [run for run in ledger.history(three) if run.outcome == "running"]:
        time.sleep(0.05)
    ticker.stop()
    assert [one.outcome for future in started if not future.cancelled() for one in future.result()] == ["interrupted"]
    again = [run for run in ledger.history(three) if run.slot == at(3, 6, 0)]
    assert {(run.outcome, run.retry_at is not None) for run in again} == {("interrupted", True)}


@pytest.mark.drill
def test_a_scheduler_that_is_not_there_is_a_run_that_failed(store):
    one = Job("walks", "paced", "0 6 * * *", {}, engine="dask", scheduler="tcp://127.0.0.1:1", retries=1, backoff_s=60)
    tick(store, at(1), one)
    (failed,) = tick(store, at(2), one)
    assert failed.outcome == "failed"
    assert "no Dask scheduler answers at 'tcp://127.0.0.1:1'" in failed.error
    (run,) = ledger.history(store)
    assert (run.outcome, run.retry_at) == ("failed", at(2, 6, 2))


def test_a_worker_says_what_it_lacks(store, monkeypatch, tmp_path):
    from uuid import uuid4

    from pipelines.attempt import source_of
    from pipelines.publish import code_version

    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())
    version = code_version(source_of("report", "paced", NOTEBOOKS))
    output = str(tmp_path / "nowhere/paced.html")
    run = Run(uuid4(), "paced", at(1), {}, at(1), None, "running", None, output, job="paced", code_version=version)
    task = Task("report", {}, at(1), None, 60.0, notebooks=NOTEBOOKS)
    with pytest.raises(ReportError, match="database does not know this run"):
        on_worker(run, task)
    ledger.started(load(), run)
    with pytest.raises(ReportError, match="nowhere is not there on the worker"):
        on_worker(run, task)
    old = Run(**{**vars(run), "code_version": "0.0.1 0123456789ab"})
    with pytest.raises(ReportError, match="where the tick has 0.0.1"):
        on_worker(old, task)
