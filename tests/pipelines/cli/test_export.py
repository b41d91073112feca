"""`gaugebook export`, as its user meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from pipelines.cli import main
from store.connect import connect
from store.read import read
from store.rollup import refresh
from store.settings import Settings
from store.write import write

SINCE, UNTIL = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC)
SPAN = ("-p", "since=2026-05-01", "-p", "until=2026-05-02")
COLUMNS = ("ts", "request_id", "model", "source", "ttft_s", "duration_s", "cost_usd", "attrs")
MODELS = ('a "quoted", model', "zwei\nZeilen", "ß€😀")


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def requests(store: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A store with 300 requests that the command reads."""
    assert store.dsn is not None
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())
    with connect(store) as connection:
        written = write(connection, "metrics.llm_requests", COLUMNS, [
            (
                SINCE + timedelta(seconds=n, microseconds=n), f"r{n}", MODELS[n % 3], "tap", n / 700,
                None if n % 5 else n / 7, Decimal(n) / 10_000, {"n": n} if n % 2 else None,
            )
            for n in range(300)
        ])  # fmt: skip
    assert written.written == 300, written
    return store


@pytest.fixture
def gaugebook(
    requests: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Runs the command."""

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["gaugebook", "export", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Answer(int(ended.value.code or 0), *capsys.readouterr())

    return run


def as_read(file: Path, like: pl.DataFrame) -> pl.DataFrame:
    """The exported file with the types that it was exported with."""
    if file.suffix == ".parquet":
        return pl.read_parquet(file)
    plain = {name: pl.String if dtype == pl.Datetime("us", "UTC") else dtype for name, dtype in like.schema.items()}
    found = pl.read_csv(file, schema=plain) if file.suffix == ".csv" else pl.read_ndjson(file, schema=plain)
    return found.with_columns(pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%S%.6fZ", time_unit="us", time_zone="UTC"))


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl", "ndjson"])
def test_what_is_exported_is_what_is_read(gaugebook, requests, tmp_path, ending):
    file = tmp_path / f"day.{ending}"
    answer = gaugebook("llm_requests", file, *SPAN)
    assert answer.code == 0, answer.err
    assert answer.out.startswith(f"{file}: 300 rows, ")
    whole = read(requests, "llm_requests", since=SINCE, until=UNTIL)
    assert len(whole) == 300
    assert as_read(file, whole).equals(whole)
    assert list(tmp_path.iterdir()) == [file]
    with connect(requests) as connection:
        noted = connection.execute(
            "SELECT resource, outcome, details FROM audit.access_log WHERE action = 'export'"
        ).fetchall()
    assert noted == [("query llm_requests", "ok", {"file": str(file), "rows": 300})]


def test_arrays_are_json_in_csv(gaugebook, requests, tmp_path):
    refresh(requests)
    day = ("-p", "grain=span", "-p", "by=model", "-p", "quantiles=0.5,0.9", *SPAN)
    assert gaugebook("llm_latency", tmp_path / "x.csv", *day).code == 0
    assert gaugebook("llm_latency", tmp_path / "x.parquet", *day).code == 0
    text, arrays = pl.read_csv(tmp_path / "x.csv")["ttft"], pl.read_parquet(tmp_path / "x.parquet")["ttft"]
    assert [json.loads(each) for each in text] == [pytest.approx(each) for each in arrays.to_list()]


def test_an_empty_result_has_its_columns(gaugebook, tmp_path):
    for ending in ("parquet", "csv"):
        file = tmp_path / f"none.{ending}"
        assert gaugebook("llm_points", file, "-p", "since=2020-01-01", "-p", "until=2020-01-02").code == 0
        found = pl.read_parquet(file) if ending == "parquet" else pl.read_csv(file)
        assert found.columns == ["ts", "model", "duration_s", "output_tokens", "cost_usd"]
        assert found.is_empty()


def test_a_file_that_is_there_stays_unless_forced(gaugebook, tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("mine")
    answer = gaugebook("llm_points", file, *SPAN)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "--force" in answer.err
    assert file.read_text() == "mine"
    assert gaugebook("llm_points", file, "--force", *SPAN).code == 0
    assert len(pl.read_csv(file)) == 300


def test_queries_are_listed(gaugebook):
    answer = gaugebook()
    assert answer.code == 0
    for word in ("llm_points", "since", "timestamptz", "text[]"):
        assert word in answer.out
    assert "report_started" not in answer.out


WRONG = {
    "unknown query": (["llm_pionts", "x.csv"], "did you mean 'llm_points'?"),
    "no query that reads": (["report_started", "x.csv"], "no query to export 'report_started'"),
    "no file": (["llm_points", *SPAN], "gaugebook export llm_points llm_points.parquet"),
    "ending": (["llm_points", "x.xlsx", *SPAN], ".parquet, .csv, .jsonl, .ndjson"),
    "folder": (["llm_points", "nowhere/x.csv", *SPAN], "No such file or directory"),
    "missing parameter": (["llm_points", "x.csv", *SPAN[:2]], "parameter 'until'"),
    "unknown parameter": (["llm_points", "x.csv", "-p", "team=a", *SPAN], "parameter 'team'"),
    "no pair": (["llm_points", "x.csv", "-p", "since"], "expected name=value"),
    "no time": (["llm_points", "x.csv", "-p", "since=yesterday", *SPAN[2:]], "expected a time such as"),
    "markup": (["llm_points", "x.csv", "-p", "since=[/red]", *SPAN[2:]], "'[/red]'"),
    "no number": (["report_runs", "x.csv", "-p", "folder=/x", "-p", "latest=many"], "expected a whole number"),
}


@pytest.mark.parametrize(("arguments", "says"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_exported_is_one_line(gaugebook, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    answer = gaugebook(*arguments)
    assert answer.code == 2
    assert says in answer.err.splitlines()[-1]
    assert answer.err.count("error: ") == 1
    assert not list(tmp_path.iterdir())


def test_one_that_fails_leaves_nothing_and_is_noted(gaugebook, requests, tmp_path):
    with connect(requests, autocommit=True) as connection:
        connection.execute("DROP SCHEMA metrics CASCADE")
    answer = gaugebook("llm_points", tmp_path / "x.parquet", *SPAN)
    assert answer.code == 2
    assert "query 'llm_points'" in answer.err
    assert not list(tmp_path.iterdir())
    with connect(requests) as connection:
        outcome = connection.execute("SELECT outcome FROM audit.access_log WHERE action = 'export'").fetchall()
    assert outcome == [("error",)]


def test_one_that_is_killed_leaves_no_half_file(requests, tmp_path):
    with connect(requests, autocommit=True) as connection:  # 300 rows a second apart, over and over: 120,000
        connection.execute("""
            INSERT INTO metrics.llm_requests (ts, request_id, source, model)
            SELECT ts, request_id || '-' || n, source, model FROM metrics.llm_requests, generate_series(1, 400) AS n
        """)
    program = "import sys; from pipelines.cli import main; main()"
    arguments = ["export", "llm_requests", str(tmp_path / "x.jsonl"), *SPAN]
    export = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=os.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 30
    while not any(part.stat().st_size for part in tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.005)
    export.send_signal(signal.SIGKILL)
    export.wait()
    assert not (tmp_path / "x.jsonl").exists()
    assert [part.suffix for part in tmp_path.iterdir()] == [".part"]
