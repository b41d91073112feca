"""`gaugebook tick` and what `gaugebook report` tells of it, as their user meets them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from store.connect import connect
from store.errors import GaugebookError, ParameterInvalid, UnknownName
from tests.pipelines.reports import NOTEBOOKS
from tests.pipelines.ticker import ROOT
from tests.servers import free_port

SCHEDULE = """
[minute]
report = "paced"
cron = "* * * * *"
parameters = { at = "{slot}" }

[broken]
report = "breaks"
cron = "* * * * *"
parameters = { how = "raise" }
backoff_s = 3600
"""


@pytest.fixture
def gaugebook(store, monkeypatch, tmp_path):
    """Runs a command on the store, with a schedule of our own: its exit code and output."""
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())
    monkeypatch.setattr("pipelines.notebooks.folder", lambda: NOTEBOOKS)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    file = tmp_path / "schedule.toml"
    file.write_text(SCHEDULE)

    def run(*words):
        given = ["--schedule", str(file)] if words[0] == "tick" or words[:2] == ("report", "list") else []
        ended = CliRunner().invoke(app, [*words, *given])
        if isinstance(ended.exception, GaugebookError):
            raise ended.exception
        return ended.exit_code, ended.output

    return run


def missed(store, minutes):
    """As if a tick had seen the jobs so long ago."""
    with connect(store) as connection:
        connection.execute(
            "UPDATE analytics.report_job SET since = %s", [datetime.now(UTC) - timedelta(minutes=minutes)]
        )


def test_tick_history_show_retry(gaugebook, store):
    code, said = gaugebook("tick")
    assert code == 0
    assert "nothing is due; next is " in said
    missed(store, 3)
    code, said = gaugebook("tick")
    assert code == 1
    assert "minute 20" in said
    assert ": ok, " in said
    assert "LookupError: no such queue" in said
    code, said = gaugebook("report", "history")
    assert " skipped " not in said
    code, said = gaugebook("report", "history", "--skipped")
    for outcome, least in (("ok", 1), ("failed", 1), ("skipped", 4)):  # more where a minute began meanwhile
        assert said.count(f" {outcome} ") >= least, said
    assert "no such queue" in said
    assert "there are no runs" not in said
    line, *_ = [line for line in said.splitlines() if " ok " in line]
    code, said = gaugebook("report", "show", line.split()[0])
    for word in (
        "job          minute",
        "outcome      ok",
        "parameter    at=20",
        "memory",
        "page         /",
        "notebook     /",
    ):
        assert word in said, said
    assert "by hand" not in said

    code, said = gaugebook("report", "retry", "minute")
    assert "the next tick makes it once more" in said
    code, said = gaugebook("tick", "minute")
    assert code == 0
    code, said = gaugebook("report", "history", "minute")
    assert " replaced " in said


def test_what_does_not_exist_is_told(gaugebook):
    with pytest.raises(UnknownName, match="no job 'minut': did you mean 'minute'"):
        gaugebook("tick", "minut")
    with pytest.raises(UnknownName, match="no run 'ffff'"):
        gaugebook("report", "show", "ffff")
    with pytest.raises(UnknownName, match="no slot 'minute'"):
        gaugebook("report", "retry", "minute")
    with pytest.raises(ParameterInvalid, match="must be a time such as"):
        gaugebook("report", "retry", "minute", "--slot", "yesterday")
    assert gaugebook("report", "history", "minute") == (0, "no run of minute is in the ledger\n")


def test_the_list_says_when_a_report_is_due(gaugebook):
    code, said = gaugebook("report", "list")
    assert code == 0
    assert "job minute: * * * * *, next 20" in said


def test_a_service_serves_its_gauges_and_ends_when_it_is_told_to(store, tmp_path):
    file = tmp_path / "schedule.toml"
    file.write_text('[llm_cost]\ncron = "0 0 1 1 *"\n')
    environ = {**os.environ, "GAUGEBOOK_DSN": store.dsn.get_secret_value(), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "pipelines.cli", "tick", "--forever", "--schedule", str(file)]
    port = free_port()
    command += ["--listen", f"127.0.0.1:{port}"]
    service = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True)
    try:
        end = time.monotonic() + 60
        seen = (0,)
        with connect(store, autocommit=True) as connection:
            while seen == (0,) and time.monotonic() < end:
                time.sleep(0.1)
                seen = connection.execute("SELECT count(*) FROM analytics.report_job").fetchone()
        assert seen == (1,)
        page = httpx2.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        assert "gaugebook_store_up 1.0" in page
        assert 'gaugebook_job_stale{kind="report",schedule_job="llm_cost"} 0.0' in page
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0, service.stderr.read()
    finally:
        service.kill()
        service.communicate()


def test_a_dry_run_shows_what_is_due_and_does_nothing(gaugebook, store):
    gaugebook("tick")
    missed(store, 3)
    with connect(store) as connection:
        connection.execute("DELETE FROM analytics.report_job WHERE job = 'broken'")
    code, said = gaugebook("tick", "--dry-run")
    assert code == 0
    minute, broken = ([line for line in said.splitlines() if line.split()[0] == name] for name in ("minute", "broken"))
    assert len(minute[0].split()) >= 8, said  # job, report, due now, skips, no last slot, next
    assert " 2 " in minute[0] or " 3 " in minute[0], said
    assert " new " in broken[0], said
    with connect(store) as connection:
        assert connection.execute("SELECT count(*) FROM analytics.report_run").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM analytics.report_job").fetchone() == (1,)


def test_the_schedule_may_be_a_setting(store, monkeypatch, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[mine]\nreport = "llm_cost"\ncron = "0 0 1 1 *"\n[spend]\nwrite = "budgets"\ncron = "0 0 1 1 *"\n')
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())
    monkeypatch.setenv("GAUGEBOOK_SCHEDULE", str(file))
    ended = CliRunner().invoke(app, ["tick", "--dry-run"])
    assert ended.exit_code == 0, ended.output
    assert [line.split()[0] for line in ended.output.splitlines()] == ["job", "mine", "spend"]
    assert "budgets (written back)" in ended.output


@pytest.mark.parametrize("where", ["9470", "127.0.0.1", "127.0.0.1:port", ":9470", "127.0.0.1:99999"])
def test_an_address_that_is_none(gaugebook, where):
    with pytest.raises(ParameterInvalid, match="must be an address and a port such as"):
        gaugebook("tick", "--forever", "--listen", where)


def test_listening_goes_with_a_service(gaugebook):
    with pytest.raises(ParameterInvalid, match="goes with --forever"):
        gaugebook("tick", "--listen", "127.0.0.1:9470")
