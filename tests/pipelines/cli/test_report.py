"""`gaugebook report` as its user meets it: PDF by hand, and the server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from store.errors import UnknownName
from tests.pipelines.reports import NOTEBOOKS
from tests.pipelines.ticker import ROOT


@pytest.fixture
def gaugebook(reports, monkeypatch):
    monkeypatch.setenv("GAUGEBOOK_DSN", reports.dsn.get_secret_value())
    monkeypatch.setenv("GAUGEBOOK_REPORTS", str(reports.reports))
    monkeypatch.setattr("pipelines.notebooks.folder", lambda: NOTEBOOKS)

    def run(*words):
        ended = CliRunner().invoke(app, words, catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        return ended.output

    return run


def test_a_run_with_a_pdf_and_one_printed_later(gaugebook, walk):
    said = gaugebook("report", "run", "breaks", "--pdf")
    (pdf,) = re.findall(r"PDF +(/\S+/report\.pdf)", said)
    assert Path(pdf).read_bytes().startswith(b"%PDF-")
    said = gaugebook("reports", "print", str(walk.run.run_id)[:13])
    assert said.strip().endswith(f"{walk.notebook.stem}/report.pdf")


def test_a_run_that_is_not_there_cannot_be_printed(gaugebook):
    with pytest.raises(UnknownName, match="no run 'ffff'"):
        gaugebook("report", "print", "ffff")


def test_the_server_says_where_and_ends_when_told(reports, walk):
    environ = {
        **os.environ,
        "GAUGEBOOK_DSN": reports.dsn.get_secret_value(),
        "GAUGEBOOK_REPORTS": str(reports.reports),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "pipelines.cli", "reports", "serve", "--port", "0"]
    serving = subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        url = serving.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}walk.html") as answer:
            assert answer.read() == walk.html.read_bytes()
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(30) == 0, serving.stderr.read()
    finally:
        serving.kill()
        serving.communicate()
