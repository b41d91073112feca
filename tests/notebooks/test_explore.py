"""The notebooks of explore/: run on one seeded store, on an empty one, on real traces, and as papermill runs them."""

import csv
from datetime import UTC, datetime, timedelta

import plotly.io as pio
import pytest
from IPython.utils.capture import capture_output

from collectors.files.load import load_llm
from pipelines.execute import execute
from pipelines.notebooks import cells, folder, summary, title
from store.rollup import refresh

NOTEBOOKS = sorted(folder().glob("explore/*.py"))
BY_NAME = {path.stem: path for path in NOTEBOOKS}
PLOTLY = "application/vnd.plotly.v1+json"


@pytest.fixture
def run(shell, monkeypatch):
    """Run a notebook's cells on a store with parameters; returns what they displayed."""
    monkeypatch.setattr(pio.renderers, "default", "plotly_mimetype")

    def call(notebook, settings, **parameters):
        monkeypatch.setenv("GAUGEBOOK_DSN", settings.dsn.get_secret_value())
        shell.reset()
        shown = []
        for cell in cells(notebook.read_text(encoding="utf-8")):
            if cell.kind != "code":
                continue
            with capture_output() as captured:
                result = shell.run_cell(cell.text)
            result.raise_error()
            assert not captured.stderr
            shown += [output.data for output in captured.outputs]
            if "parameters" in cell.tags:
                assert set(parameters) <= set(shell.user_ns)
                shell.user_ns.update(parameters)
        return shown

    return call


def text(shown):
    return "\n".join(data.get("text/markdown", "") + data.get("text/html", "") for data in shown)


def pictures(shown):
    return sum(PLOTLY in data or "<svg" in data.get("text/html", "") for data in shown)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_draws(run, busy_store, notebook):
    shown = run(notebook, busy_store)
    assert pictures(shown) >= 2
    assert "<script>" not in text(shown)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_an_empty_store_is_said_in_a_sentence(run, bare_store, notebook):
    told = text(run(notebook, bare_store))
    assert "has no rows" in told or notebook.stem == "bring_your_own_data"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_reads_like_an_article(notebook):
    source = notebook.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 120
    assert title(source)
    assert summary(source)
    parts = cells(source)
    prose = sum(len(cell.text) for cell in parts if cell.kind == "markdown")
    assert prose > 300
    imports = [
        line.split()[1].partition(".")[0] for line in source.splitlines() if line.startswith(("import ", "from "))
    ]
    assert set(imports) <= {"analytics", "polars"}


def test_ten_lines_from_a_file_to_a_forecast(tmp_path, busy_store):
    """As papermill runs it: with parameters, in a kernel of its own."""
    file = tmp_path / "sales.csv"
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["day", "shop", "units"])
        start = datetime(2026, 1, 5, tzinfo=UTC)
        for day in range(120):
            for shop in ("north", "south"):
                rows.writerow([(start + timedelta(days=day)).date(), shop, 100 + 40 * (day % 7 > 4) + day % 3])
    output = tmp_path / "out.ipynb"
    values = {"file": str(file), "time": "day", "value": "units", "series": "shop", "horizon": 14}
    execute("bring_your_own_data", BY_NAME["bring_your_own_data"], values, busy_store, output)
    said = output.read_text()
    assert "Over the next 14 days, 2 series" in said
    assert "a season of 7 steps in 2 of 2 series" in said


@pytest.mark.drill
def test_real_traces(run, store, data_folder):
    """An hour of a service of Azure: too short for seasons, and enough for sums."""
    constants = {"provider": "azure", "model": "code", "team": "azure", "project": "code"}
    load_llm(
        store, data_folder / "llm_usage/AzureLLMInferenceTrace_code.csv", preset="azure-llm-2023", constants=constants
    )
    refresh(store)
    for name in ("cost_deep_dive", "compare_models"):
        told = text(run(BY_NAME[name], store))
        assert "<td>code</td>" in told, name
        assert "too short" in told


def test_real_series_from_a_file(run, bare_store, data_folder):
    """Two weeks of ServeGen, whose times are seconds."""
    file = data_folder / "llm_usage/servegen_m_small_10min.csv"
    told = text(
        run(BY_NAME["bring_your_own_data"], bare_store, file=str(file), time="t_s", value="requests", horizon=144)
    )
    assert "Over the next 144 steps the forecast adds up to" in told
    assert "a season of 144 steps in 1 of 1 series" in told
