"""The demo from end to end, by the command that a new user types."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.connect import connect
from store.embedded import EmbeddedServer
from store.settings import load
from tests.pipelines.reports import charts_in
from tests.servers import open_folder


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder
        EmbeddedServer(folder).stop()


def demo(home: Path, folder: Path, *words: str) -> str:
    """What the command prints; it runs in `folder` and says that all went well."""
    variables = {"GAUGEBOOK_HOME": str(home), "GAUGEBOOK_RABBITMQ_URL": "http://127.0.0.1:9", "COLUMNS": "160"}
    ended = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "demo", *words],
        cwd=folder, env={**os.environ, **variables, "GAUGEBOOK_REPORTS": "reports"}, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout


def count(home: Path, database: str, table: str) -> int:
    with connect(load(home=home, database=database)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()[0])


def number(text: str, pattern: str) -> int:
    return int(re.search(pattern, text)[1].replace(",", ""))


def test_on_simulated_data(home, tmp_path, browser):
    told = demo(home, tmp_path)
    simulated = number(told, r"metrics.llm_requests, simulated +([\d,]+) rows")
    metered = number(told, r"metered +([\d,]+) rows")
    assert metered >= 60
    assert simulated + metered == count(home, "gaugebook_demo", "metrics.llm_requests")
    assert count(home, "gaugebook_demo", "analytics.forecasts") == 4 * 168  # teams and hours
    assert count(home, "gaugebook_demo", "analytics.anomalies") > 0
    assert "no live samples" in told
    for page, least in (("llm_cost", 6), ("queue_health", 5)):
        (notebook,) = (tmp_path / "reports/history").glob(f"{page}-*.ipynb")
        visit = browser.visit(tmp_path / f"reports/{page}.html")
        assert visit.plots == charts_in(notebook) >= least
        assert (visit.failed, visit.outside, visit.console) == ([], [], [])
    assert (tmp_path / "reports/index.html").is_file()


@pytest.mark.drill
def test_on_real_traces_twice(home, tmp_path, data_folder):
    names = ("servegen_m_small_10min.csv", "AzureLLMInferenceTrace_code.csv", "AzureLLMInferenceTrace_conv.csv")
    files = {name: len((data_folder / "llm_usage" / name).read_text().splitlines()) - 1 for name in names}
    first = demo(home, tmp_path, "--data", str(data_folder))
    for name, rows in files.items():
        assert number(first, rf"{name} +([\d,]+) rows") == rows
        assert number(first, rf"{name} .*: ([\d,]+) new") == rows
    again = demo(home, tmp_path, "--data", str(data_folder))
    for name in files:
        assert number(again, rf"{name} .*: ([\d,]+) new") == 0
    assert count(home, "gaugebook_traces", "metrics.llm_usage") == files["servegen_m_small_10min.csv"]
    assert (
        count(home, "gaugebook_traces", "metrics.llm_requests")
        == sum(files.values()) - files["servegen_m_small_10min.csv"]
    )
    assert {path.stem for path in (tmp_path / "reports").glob("*.html")} == {"index", "servegen_m_small", "azure_2023"}
