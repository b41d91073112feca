"""Ticks against a real store, with notebooks that papermill really runs."""

from __future__ import annotations

import re
import signal
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from pipelines import ledger, pages
from pipelines.delivery.wanted import Email, Folder
from pipelines.index import write_index
from pipelines.publish import carry_out
from pipelines.tick import MOST_INTERRUPTED, Ticker
from store.connect import connect
from store.errors import ReportError, StoreError, UnknownName, Unreachable
from store.settings import load
from tests.pipelines.reports import NOTEBOOKS
from tests.pipelines.ticker import job, start, tick
from tests.servers import free_port

GOOD = (
    "INSERT INTO analytics.report_run (run_id, report, slot, parameters, outcome, job, attempt, output) "
    "VALUES (gen_random_uuid(), 'paced', %s, '{}', 'ok', %s, %s, %s)"
)


def at(number, hour=6, minute=1):
    return datetime(2026, 5, number, hour, minute, tzinfo=UTC)


def slots(settings, outcome="ok"):
    """The days whose slots have that outcome."""
    return sorted(run.slot.day for run in ledger.history(settings, latest=1000) if run.outcome == outcome)


def says(settings, name="paced"):
    """The slot that a page was made for."""
    return re.search(r"made for ([^\s<]+)", (settings.reports / f"{name}.html").read_text())[1]


def wait_for(settings, outcome, seconds=60):
    """The run that has that outcome, as soon as there is one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for run in ledger.history(settings):
            if run.outcome == outcome:
                return run
        time.sleep(0.05)
    raise AssertionError(f"no run is {outcome}")


def cells_done(settings):
    """How many cells the run at work has finished."""
    run = wait_for(settings, "running")
    notebook = settings.reports / run.notebook
    return notebook.read_text().count('"status": "completed"') if notebook.is_file() else 0


def wait_until_it_works(settings):
    end = time.monotonic() + 60
    while cells_done(settings) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)


def asked_at(settings, moment):
    """What was asked for now was asked for then."""
    with connect(settings) as connection:
        connection.execute("UPDATE analytics.report_run SET retry_at = %s WHERE retry_at IS NOT NULL", [moment])


def locks(settings):
    with connect(settings) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return [pid for (pid,) in rows]


def kernels():
    """The process ids of kernels that have lost their parent, or have one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "ipykernel_launcher" in command and "gaugebook-" in command:
            found.append(int(folder.name))
    return set(found)


@pytest.mark.parametrize(("catch_up", "days", "made", "skipped"), [("latest", 4, [2, 4], [3]), ("all", 3, [2, 3], [])])
def test_missed_slots_follow_the_policy(store, catch_up, days, made, skipped):
    settings, one = store, job(catch_up=catch_up)
    assert tick(settings, at(1), one) == []  # seen for the first time
    if catch_up == "latest":
        assert [ended.outcome for ended in tick(settings, at(2), one)] == ["ok"]
        assert tick(settings, at(2, 7), one) == []
    tick(settings, at(days), one)
    assert (slots(settings), slots(settings, "skipped")) == (made, skipped)
    assert says(settings) == f"2026-05-0{days}T06:00:00+00:00"
    for run in ledger.history(settings):
        if run.outcome == "ok":
            assert f"made for {run.slot.isoformat()}" in (settings.reports / run.page).read_text()
            assert (settings.reports / run.notebook).is_file()
            assert run.duration_s > 0
            assert run.peak_mb > 20
            assert re.fullmatch(r"\S+ [0-9a-f]{12}", run.code_version)
            assert run.data_spans == {}
            assert run.parameters["at"] == run.slot.isoformat()
    index = (settings.reports / "index.html").read_text()
    assert index.count('class="badge ok"') == len(made)
    for now in (at(days), at(1), at(days, 5), at(days - 1)):  # a clock that is set back makes nothing twice
        assert tick(settings, now, one) == []


def test_two_hosts_at_once_make_a_slot_once(store):
    one = job(parameters={"seconds": 1})
    tick(store, at(1), one)
    hosts = [start(store, at(2), one) for _ in range(2)]
    said = [host.communicate(timeout=120) for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], said
    assert sorted(out for out, _ in said) == ["", "paced 2026-05-02T06:00:00+00:00 ok\n"]
    assert slots(store) == [2]


def test_a_run_that_fails_is_tried_again_and_leaves_the_good_page(store, tmp_path):
    flag = tmp_path / "broken"
    one = job(parameters={"broken": str(flag)}, retries=1, backoff_s=600, catch_up="all")
    tick(store, at(1), one)
    tick(store, at(2), one)
    good = (store.reports / "paced.html").read_bytes()
    flag.touch()
    (failed,) = tick(store, at(3), one)
    assert (failed.outcome, failed.slot) == ("failed", at(3, 6, 0))
    assert "LookupError: it is broken" in failed.error
    assert tick(store, at(3, 6, 5), one) == []  # the back-off is ten minutes
    index = (store.reports / "index.html").read_text()
    assert 'class="badge failed"' in index
    assert "Again from" in index
    assert [one.outcome for one in tick(store, at(3, 6, 13), one)] == ["failed"]
    assert tick(store, at(3, 23), one) == []  # once more is all
    assert (store.reports / "paced.html").read_bytes() == good

    attempts = [run for run in ledger.history(store) if run.slot == at(3, 6, 0)]
    assert sorted(run.attempt for run in attempts) == [1, 2]
    index = (store.reports / "index.html").read_text()
    for run in attempts:
        assert "it is broken" in (store.reports / run.notebook).read_text()
        assert f'href="{run.notebook}"' in index
        assert not (store.reports / run.page).exists()


def test_kill_9_is_found_and_the_slot_is_made_again(store):
    one = job(parameters={"seconds": 30})
    tick(store, at(1), one)
    before = kernels()
    killed = start(store, at(2), one)
    wait_until_it_works(store)
    orphans = kernels() - before
    assert orphans
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    quick = job(parameters={"seconds": 0})
    (again,) = tick(store, at(2, 6, 2), quick)
    assert (again.outcome, again.slot) == ("ok", at(2, 6, 0))
    first, second = sorted(ledger.history(store), key=lambda run: run.attempt)
    assert (first.outcome, first.retry_at, first.seconds) == ("interrupted", None, None)
    assert (store.reports / first.notebook).is_file()
    assert second.attempt == 2
    end = time.monotonic() + 20
    while orphans & kernels():
        assert time.monotonic() < end, "its kernel lives on"
        time.sleep(0.2)


def test_a_slot_that_takes_its_host_down_is_given_up(any_store):
    store = any_store
    one = job()
    tick(store, at(1), one)
    with connect(store) as connection:
        for attempt in range(1, MOST_INTERRUPTED + 1):
            connection.execute(
                "INSERT INTO analytics.report_run (run_id, report, slot, parameters, outcome, job, attempt, output) "
                "VALUES (gen_random_uuid(), 'paced', %s, '{}', %s, 'paced', %s, %s)",
                [
                    at(2, 6, 0),
                    "running" if attempt == MOST_INTERRUPTED else "interrupted",
                    attempt,
                    str(store.reports / "paced.html"),
                ],
            )
    assert tick(store, at(2), one)[0].outcome == "ok"
    with connect(store) as connection:
        connection.execute("DELETE FROM analytics.report_run WHERE outcome = 'ok'")
        connection.execute("UPDATE analytics.report_run SET outcome = 'interrupted', retry_at = NULL")
        connection.execute(
            "INSERT INTO analytics.report_run (run_id, report, slot, parameters, outcome, job, attempt, output) "
            "VALUES (gen_random_uuid(), 'paced', %s, '{}', 'running', 'paced', 99, '/x/paced.html')",
            [at(2, 6, 0)],
        )
    assert tick(store, at(2), one) == []
    assert slots(store, "interrupted") == [2] * (MOST_INTERRUPTED + 1)


@pytest.mark.parametrize("taken_over", [pytest.param(False, marks=pytest.mark.drill), True])
def test_a_lock_that_was_lost(store, taken_over):
    """Alone, the run is good all the same; where another tick has taken the slot over, its page is not shown."""
    slow, quick = job(parameters={"seconds": 4}), job(parameters={"seconds": 0, "mb": 1})
    tick(store, at(1), slow)
    ended = []
    running = threading.Thread(target=lambda: ended.extend(tick(store, at(2), slow)))
    running.start()
    wait_until_it_works(store)
    (pid,) = locks(store)
    with connect(store) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other = tick(store, at(2), quick) if taken_over else []
    running.join(60)
    assert [one.outcome for one in other] == (["ok"] if taken_over else [])
    assert [one.outcome for one in ended] == (["failed"] if taken_over else ["ok"])
    (good,) = [run for run in ledger.history(store) if run.outcome == "ok"]
    assert good.parameters["mb"] == int(taken_over)
    assert pages.shown(store.reports / "paced.html") == str(good.run_id)
    assert slots(store, "interrupted") == ([2] if taken_over else [])
    if taken_over:
        assert "took this run for dead" in ended[0].error


def test_what_was_lost_between_ledger_and_page_is_put_in_place_again(store):
    one = job()
    tick(store, at(1), one)
    tick(store, at(2), one)
    page, index, script = (store.reports / name for name in ("paced.html", "index.html", "assets/report.js"))
    for lost in ([page], [index], [page, script]):
        for path in lost:
            path.unlink()
        assert tick(store, at(2), one) == []
        assert says(store) == "2026-05-02T06:00:00+00:00"
        assert index.exists()
    assert script.exists()
    assert "../" not in re.sub(r"<style>.*?</style>", "", page.read_text(), flags=re.DOTALL)


def test_a_slot_made_once_more_replaces_its_run_and_not_a_later_page(store, tmp_path):
    flag = tmp_path / "broken"
    one = job(parameters={"broken": str(flag)}, catch_up="all", retries=0)
    tick(store, at(1), one)
    tick(store, at(3), one)
    assert slots(store) == [2, 3]
    with pytest.raises(UnknownName, match="no slot 'paced 2026-05-09"):
        ledger.retry(store, "paced", slot=at(9))
    with pytest.raises(UnknownName, match="no slot 'pace'"):
        ledger.retry(store, "pace")

    assert ledger.retry(store, "paced", slot=at(2, 6, 0)) == at(2, 6, 0)
    asked_at(store, at(3))
    (made,) = tick(store, at(3, 7), one)
    assert (made.slot, made.outcome) == (at(2, 6, 0), "ok")
    assert (slots(store), slots(store, "replaced")) == ([2, 3], [2])
    assert says(store) == "2026-05-03T06:00:00+00:00"

    flag.touch()
    ledger.retry(store, "paced")
    asked_at(store, at(3))
    (failed,) = tick(store, at(3, 8), one)
    assert (failed.slot, failed.outcome) == (at(3, 6, 0), "failed")
    assert slots(store) == [2, 3]


def test_a_stopped_tick_is_noted_and_left_to_the_next_one(store):
    one = job(parameters={"seconds": 60})
    tick(store, at(1), one)
    ticker = Ticker(store, [one], now=at(2), notebooks=NOTEBOOKS)
    (future,) = ticker.begin()
    wait_until_it_works(store)
    ticker.stop()
    assert [ended.outcome for ended in future.result()] == ["interrupted"]
    (run,) = ledger.history(store)
    assert (run.outcome, run.retry_at is not None) == ("interrupted", True)


def test_a_job_that_takes_long_holds_up_no_other(store):
    slow, quick = job("slow", parameters={"seconds": 20}), job("quick")
    tick(store, at(1), slow, quick)
    ticker = Ticker(store, [slow, quick], now=at(2), notebooks=NOTEBOOKS)
    first, second = ticker.begin()
    assert second.result(60)[0].job == "quick"
    assert not first.done()
    assert ticker.begin() == []  # what runs here is not started again
    ticker.stop()


@pytest.mark.parametrize(
    ("parameters", "limits", "says"),
    [
        ({"seconds": 60}, {"limit_s": 3}, "took longer than is allowed (3 s for a cell, 3 s in all)"),
        pytest.param(
            {"shout": 200}, {}, "printed and drew more than the 50 MB that a run may", marks=pytest.mark.drill
        ),
        ({"mb": 3000}, {"memory_mb": 1000}, "MemoryError"),
    ],
)
def test_what_has_a_limit_fails_with_a_reason(store, parameters, limits, says):
    one = job(parameters=parameters, retries=0, **limits)
    tick(store, at(1), one)
    begun = time.monotonic()
    (failed,) = tick(store, at(2), one)
    assert failed.outcome == "failed"
    assert says in failed.error
    assert time.monotonic() - begun < 30
    assert not (store.reports / "paced.html").exists()


def test_a_parameter_that_the_notebook_no_longer_has_is_a_run_that_failed(store):
    one = job(parameters={"gone": 1}, retries=0)
    tick(store, at(1), one)
    (failed,) = tick(store, at(2), one)
    assert "parameter 'gone': does not exist" in failed.error
    assert tick(store, at(2), one) == []


def test_a_page_is_delivered_to_a_folder_until_that_works(store, tmp_path):
    www = tmp_path / "www"
    www.write_text("a file in the way")
    deliver = (Folder(to="folder", path=str(www)), Email(to="email", addresses=["a@example.com"], port=free_port()))
    one = job(deliver=deliver)
    tick(store, at(1), one)
    tick(store, at(2), one)
    (run,) = ledger.history(store)
    assert [(to["to"], to["outcome"]) for to in run.deliveries] == [("folder", "waiting"), ("email", "waiting")]
    assert run.outcome == "ok"
    assert run.deliveries[1]["error"] == "localhost: Connection refused"
    assert "File exists" in run.deliveries[0]["error"] or "cannot be a folder" in run.deliveries[0]["error"]
    www.unlink()
    assert tick(store, at(2, 7), one) == []
    (run,) = ledger.history(store)
    assert [to["outcome"] for to in run.deliveries] == ["ok", "waiting"]
    assert (www / "paced.html").read_bytes() == (store.reports / "paced.html").read_bytes()
    assert (www / "assets/plotly.min.js").is_file()


def test_a_schema_that_is_not_there(empty_database):
    with pytest.raises(StoreError, match="gaugebook db migrate"):
        tick(empty_database, at(1), job())


def test_a_database_that_is_away_is_told_and_asked_again(store, monkeypatch):
    told = []
    away = store.model_copy(update={"dsn": load(dsn="postgresql://nobody@127.0.0.1:1/none").dsn})
    with pytest.raises(Unreachable):
        tick(away, at(1), job())
    ticker = Ticker(away, [job()], notebooks=NOTEBOOKS, told=told.append)

    def enough(_seconds):
        if len(told) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.tick.time.sleep", enough)
    with pytest.raises(KeyboardInterrupt):
        ticker.forever(lambda ended: None)
    assert len(told) == 3
    assert all("cannot reach the database" in line for line in told)


def test_a_stale_page_is_told_from_a_fresh_one(store, browser):
    now = datetime.now(UTC)
    tick(store, now, job("stale", cron="0 * * * *"), job("fresh"))
    with connect(store) as connection:
        for name, slot in (("stale", now - timedelta(days=2)), ("fresh", now)):
            connection.execute(GOOD, [slot, name, 1, str(store.reports / f"{name}.html")])
    index = write_index(store, store.reports)
    visit = browser.visit(index)
    assert (visit.failed, visit.outside, visit.console) == ([], [], [])
    shown = "return [...document.querySelectorAll('.badge.stale')].map(b => b.checkVisibility())"
    assert browser(shown) == [False, True]


def test_the_ledger_refuses_a_second_good_run_of_a_slot(any_store):
    with connect(any_store) as connection:
        connection.execute(GOOD, [at(1), "paced", 1, "/x/paced.html"])
        with pytest.raises(psycopg.errors.UniqueViolation, match="report_run_good"):
            connection.execute(GOOD, [at(1), "paced", 2, "/x/paced.html"])


def test_a_run_that_the_ledger_does_not_know_as_running_is_not_shown(store):
    now = datetime.now(UTC)
    page = pages.usable(store.reports) / "paced.html"
    run = ledger.Run(uuid4(), "paced", now, {}, now, None, "running", None, str(page))
    with pytest.raises(ReportError, match="took this run for dead"):
        carry_out(store, run, NOTEBOOKS / "reports/paced.py", {})
    assert not page.exists()
    assert (store.reports / run.page).exists()
