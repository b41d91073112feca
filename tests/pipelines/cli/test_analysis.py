import sys

import polars as pl
import pytest

from pipelines.cli import main
from store.connect import connect
from tests.analytics.seed import (
    NASTY,
    QUEUES,
    USAGE,
    busy_queues,
    busy_requests,
    busy_usage,
    put,
    put_requests,
    seasonal,
)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command; returns its exit code, stdout and stderr."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["gaugebook", *map(str, words)])
        monkeypatch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return ended.value.code or 0, told.out, told.err

    return call


@pytest.fixture
def here(store, monkeypatch):
    """The store, as the command finds it."""
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())
    return store


def saved(settings, table):
    with connect(settings) as connection:
        return connection.execute(f"SELECT count(*), min(target), count(DISTINCT unique_id) FROM {table}").fetchone()


def test_forecast_of_cost_by_team(here, run, tmp_path):
    put_requests(here, busy_requests(240))
    code, out, err = run("forecast", "--by", "team", "--horizon", 24, "--save", "--output", tmp_path / "ahead.parquet")
    assert code == 0, err
    assert "search" in out
    assert NASTY[:20] in out
    assert "saved 48 rows" in out
    assert saved(here, "analytics.forecasts") == (48, "hourly cost_usd", 2)
    assert pl.read_parquet(tmp_path / "ahead.parquet").height == 48
    assert "rolling origins" in err


def test_forecast_of_usage_and_of_queues(here, run):
    put(here, "metrics.llm_usage", USAGE, busy_usage(96))
    put(here, "metrics.rabbitmq_queues", QUEUES, busy_queues(96))
    code, out, _ = run("forecast", "--source", "usage", "--by", "model", "--horizon", 12)
    assert code == 0
    assert "m-small" in out
    code, out, _ = run("forecast", "--source", "queues", "--horizon", 12)
    assert code == 0
    assert "//orders" in out
    assert "last" in out


def test_anomalies_of_queues(here, run):
    rows = [
        (*row[:4], 5000, 5000, *row[6:]) if row[0].day == 10 and row[0].hour == 12 else row for row in busy_queues(240)
    ]
    put(here, "metrics.rabbitmq_queues", QUEUES, rows)
    code, out, _ = run("anomalies", "--source", "queues", "--save")
    assert code == 0
    assert "2026-03-10 12:00" in out
    assert NASTY[:20] in out
    assert saved(here, "analytics.anomalies")[1:] == ("hourly messages", 2)


def test_a_file_of_the_users_own_needs_no_store(run, tmp_path):
    seasonal(96).rename({"ds": "hour", "y": "units"}).write_csv(tmp_path / "mine.csv")
    mine = ("--csv", tmp_path / "mine.csv", "--time-col", "hour", "--target-col", "units")
    code, _, err = run("forecast", *mine, "--horizon", 6, "--output", tmp_path / "ahead.csv")
    assert code == 0, err
    ahead = pl.read_csv(tmp_path / "ahead.csv")
    assert ahead.columns[:3] == ["unique_id", "hour", "y_hat"]
    assert ahead.height == 6
    assert run("anomalies", *mine)[0] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("forecast", "--horizon", 0), "parameter 'horizon'"),
        (("forecast", "--level", 100), "parameter 'level'"),
        (("forecast", "--engine", "profet"), "no engine 'profet'"),
        (("forecast", "--by", "teem"), "did you mean 'team'"),
        (("forecast", "--value", "cost"), "did you mean 'cost_usd'"),
        (("forecast", "--since", "2026-01-01"), "no time zone"),
        (("forecast", "--source", "usage"), "llm_usage has no rows"),
        (("forecast", "--output", "a.xls"), "expected a .csv or .parquet file"),
        (("forecast", "--output", "/nowhere/a.csv"), "its folder does not exist"),
        (("anomalies", "--rate", 2), "parameter 'rate'"),
        (("anomalies", "--source", "queues"), "rabbitmq_queues has no rows"),
    ],
)
def test_bad_input_is_one_clear_line(here, run, words, says):
    put_requests(here, busy_requests(24))
    code, _, err = run(*words)
    assert code == 2
    assert says in err
    assert len(err.strip().splitlines()) == 1


FILES = {
    "missing": (None, "does not exist"),
    "empty": (b"", "cannot be read as a table"),
    "binary": (bytes(range(256)) * 9, ""),
    "no column y": (b"ds,x\n1,2\n2,3\n", "no column 'y'"),
    "text": (b"ds,y\n1,a\n2,b\n", "expected numbers"),
    "not a number": (b"ds,y\n1,inf\n2,3\n", "infinite"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_bad_file_is_one_clear_line(run, tmp_path, kind):
    content, says = FILES[kind]
    if content is not None:
        (tmp_path / "mine.csv").write_bytes(content)
    code, _, err = run("forecast", "--csv", tmp_path / "mine.csv", "--horizon", 2)
    assert code == 2
    assert says in err
    assert len(err.strip().splitlines()) == 1


def test_a_folder_is_no_file(run, tmp_path):
    code, _, err = run("anomalies", "--csv", tmp_path)
    assert code == 2
    assert "is a folder" in err


@pytest.mark.parametrize("name", ["forecast", "anomalies"])
def test_help_has_an_example(run, name):
    code, out, _ = run(name, "--help")
    assert code == 0
    assert f"gaugebook {name}" in " ".join(out.split())


def test_verdicts_are_heeded_until_they_are_taken_back(here, run):
    rows = [
        (*row[:4], 5000, 5000, *row[6:]) if row[0].day == 10 and row[0].hour == 12 else row
        for row in busy_queues(240, names=("orders",))
    ]
    put(here, "metrics.rabbitmq_queues", QUEUES, rows)
    target, moment = "hourly messages", "2026-03-10 12:00"
    judged = ("verdict", "none", target, "//orders", "2026-03-10T12:00Z")
    code, _, err = run(*judged)
    assert (code, "No finding of '//orders'" in err, "--save" in err) == (2, True, True)

    look = ("anomalies", "--source", "queues")
    assert moment in run(*look, "--save")[1]
    assert run(*judged, "--reason", "a [load] test")[0] == 0
    assert moment not in run(*look)[1]
    assert "a [load] test" in run("verdict", "list", target)[1]
    assert run("verdict", "remove", 1)[0] == 0
    assert moment in run(*look)[1]
    assert run("verdict", "remove", 1)[0] == 2

    span = ("--since", "2026-03-10T00:00Z", "--until", "2026-03-11T00:00Z")
    assert run("verdict", "mute", target, *span)[0] == 0
    assert moment not in run(*look)[1]
    code, _, err = run("verdict", "mute", target, "--since", "tuesday", "--until", "2026-03-11T00:00Z")
    assert (code, "tuesday" in err) == (2, True)
    assert "nothing was said" in run("verdict", "list", "another")[1]


def test_changepoints(here, run, tmp_path):
    rows = [(ds, y * (3 if k >= 60 else 1)) for k, (ds, y) in enumerate(seasonal(120).select("ds", "y").iter_rows())]
    frame = pl.DataFrame(rows, schema=["ds", "y"], orient="row")
    frame.write_csv(tmp_path / "own.csv")
    code, out, err = run("changepoints", "--csv", tmp_path / "own.csv", "--output", tmp_path / "found.csv")
    assert code == 0, err
    assert "1 change of level" in out
    assert pl.read_csv(tmp_path / "found.csv").height == 1
