"""What `gaugebook lab` does before JupyterLab starts: it migrates, and offers sample data, never unasked."""

import os

import psycopg
import pytest
from typer.testing import CliRunner

from pipelines import demo
from pipelines.cli import app
from pipelines.cli import lab as command
from store.connect import connect
from store.migrate import migrate
from tests.analytics import seed
from tests.analytics.seed import put_requests
from tests.fix_postgres import migrated


class Started(Exception):
    """JupyterLab would run now."""


@pytest.fixture
def lab(monkeypatch, store):
    """Run the command up to where JupyterLab takes over; returns what it is started with and what was said."""
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())

    def start(_program, words, variables):
        raise Started(words, variables)

    monkeypatch.setattr(os, "execve", start)

    def call(*words, answer=None):
        ended = CliRunner().invoke(app, ["lab", *words], input=answer)
        assert isinstance(ended.exception, Started), ended.output
        return *ended.exception.args, ended.output

    return call


@pytest.fixture
def built(monkeypatch, request, store):
    """The sample data go to a fresh database, and are thirty rows: what the simulator makes is tested with the demo."""
    with migrated(request, "embedded") as sampled:
        monkeypatch.setattr(demo, "sampled", lambda settings: sampled)

        def build(settings, steps):
            put_requests(sampled, [seed.request(k, k) for k in range(30)])
            return sampled

        monkeypatch.setattr(demo, "sample", build)
        yield sampled.dsn.get_secret_value()


def rows(dsn):
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT count(*)::int FROM metrics.llm_requests").fetchone()[0]


def test_nobody_is_asked_where_nobody_answers(lab, built, store):
    words, variables, said = lab()
    assert "gaugebook lab --yes" in said
    assert variables["GAUGEBOOK_DSN"] == store.dsn.get_secret_value()
    assert rows(built) == rows(store.dsn.get_secret_value()) == 0
    assert "lab" in words
    assert any(word.startswith("--LabApp.extra_labextensions_path=") for word in words)
    assert str(command.TEMPLATES) in variables["JUPYTER_CONFIG_PATH"]


def test_yes_builds_the_sample_beside_the_store_once(lab, built, store):
    for _ in range(2):
        _, variables, _ = lab("--yes")
        assert variables["GAUGEBOOK_DSN"] == variables["GAUGEBOOK_DSN_READ"]
        assert rows(variables["GAUGEBOOK_DSN"]) == 30
    assert rows(store.dsn.get_secret_value()) == 0


def test_no_sample_is_said_once_and_for_all(lab, built):
    _, _, said = lab("--no-sample")
    assert "empty" not in said
    assert rows(built) == 0


@pytest.mark.parametrize(("answer", "count"), [("n\n", 0), ("\n", 30)])
def test_who_is_there_is_asked(lab, built, store, monkeypatch, answer, count):
    monkeypatch.setattr(command, "_attended", lambda: True)
    _, variables, said = lab(answer=answer)
    assert "The store is empty" in said
    assert rows(variables["GAUGEBOOK_DSN"]) == count


def test_a_store_with_rows_is_not_talked_about(lab, built, store):
    put_requests(store, [seed.request(0, 0)])
    _, variables, said = lab("--yes")
    assert "empty" not in said
    assert variables["GAUGEBOOK_DSN"] == store.dsn.get_secret_value()
    assert rows(built) == 0


def test_it_migrates(lab, empty_database, monkeypatch):
    monkeypatch.setenv("GAUGEBOOK_DSN", empty_database.dsn.get_secret_value())
    lab("--no-sample")
    with connect(empty_database) as connection:
        assert connection.execute("SELECT to_regclass('metrics.llm_requests') IS NOT NULL").fetchone() == (True,)
    assert migrate(empty_database) == []


def test_the_settings_of_the_folder_go_along(lab, tmp_path, monkeypatch):
    (tmp_path / "gaugebook.toml").write_text('team = "mine"\n')
    monkeypatch.chdir(tmp_path)
    _, variables, _ = lab("--no-sample")
    assert variables["GAUGEBOOK_CONFIG"] == str(tmp_path / "gaugebook.toml")
