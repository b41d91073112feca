"""Every notebook on every state of the store: its cells run in a real IPython, and say something."""

import plotly.io as pio
import pytest
from IPython.utils.capture import capture_output

from pipelines.notebooks import cells, folder
from tests.analytics.seed import QUEUES, USAGE, busy_queues, busy_requests, busy_usage, put, put_requests, request

NOTEBOOKS = sorted(folder().glob("*.py"))  # test_explore.py and pipelines/test_report_notebooks.py have the others
REPORTS = sorted(folder().glob("reports/*.py"))


def full(settings):
    put_requests(settings, busy_requests(240))
    put(settings, "metrics.rabbitmq_queues", QUEUES, busy_queues(240))


def usage_only(settings):
    put(settings, "metrics.llm_usage", USAGE, busy_usage(336))


def one_hour(settings):
    put_requests(settings, [request(k, 0, cost=None, minute=k % 60) for k in range(90)])
    put(settings, "metrics.rabbitmq_queues", QUEUES, busy_queues(1))


def two_hours(settings):
    put_requests(settings, [request(k, k % 2, cost=None) for k in range(90)])
    put(settings, "metrics.rabbitmq_queues", QUEUES, busy_queues(2))


STATES = {
    "full": full,
    "usage only": usage_only,
    "one hour": one_hour,
    "two hours": two_hours,
    "empty": lambda settings: None,
}


@pytest.fixture
def run(store, shell, monkeypatch):
    """Run a notebook's cells with parameters; returns what they displayed."""
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())
    monkeypatch.setattr(pio.renderers, "default", "plotly_mimetype")

    def call(notebook, **parameters):
        shell.reset()
        shown = []
        for cell in cells(notebook.read_text(encoding="utf-8")):
            if cell.kind != "code":
                continue
            with capture_output() as captured:
                result = shell.run_cell(cell.text)
            result.raise_error()
            shown += [output.data for output in captured.outputs]
            if "parameters" in cell.tags:
                assert set(parameters) <= set(shell.user_ns)
                shell.user_ns.update(parameters)
        return shown

    return call


def text(shown):
    return "\n".join(data.get("text/markdown", "") + data.get("text/html", "") for data in shown)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_escapes(run, store, notebook, state):
    STATES[state](store)
    told = text(run(notebook))
    assert "<script>" not in told
    if state == "empty":
        assert "has no rows" in told


@pytest.mark.parametrize("notebook", [*NOTEBOOKS, *REPORTS], ids=lambda path: path.stem)
def test_it_is_short_and_imports_analytics_alone(notebook):
    lines = notebook.read_text(encoding="utf-8").splitlines()
    assert len(lines) < 120
    imports = [line.split()[1].partition(".")[0] for line in lines if line.startswith(("import ", "from "))]
    assert set(imports) <= {"analytics", "typing", "IPython"}
