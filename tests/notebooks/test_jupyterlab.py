"""JupyterLab itself, as `gaugebook lab` starts it, driven in a headless Chromium."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from selenium.webdriver.support.wait import WebDriverWait

from pipelines.notebooks import folder
from tests.servers import free_port

TOKEN = "for-the-test"
WITHIN_S = 60
READY = "return !!document.querySelector('.jp-Notebook') && !document.querySelector('.jp-Dialog')"
# The notebook in front: its cells and what they gave. The page itself draws only those that can be seen.
CELLS = """
const panel = window.jupyterapp.shell.currentWidget;
return !panel || !panel.content.model ? [] : [...panel.content.model.cells].map(cell => cell.toJSON())
"""
IDLE = """
const session = window.jupyterapp.shell.currentWidget.sessionContext;
return !!session.session && session.session.kernel.status === 'idle' && session.session.kernel.connectionStatus === 'connected'
"""
CHARTS = """
return [...document.querySelectorAll('.jp-OutputArea-output svg, .js-plotly-plot')].map(chart => chart.getBoundingClientRect())
    .filter(at => at.width > 300 && at.height > 60 && at.top < innerHeight && at.bottom > 0).length
"""


@pytest.fixture(scope="module")
def lab(busy_store, tmp_path_factory):
    """The address of a JupyterLab on a copy of the notebooks and a store with two weeks in it."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(folder(), home / "notebooks", ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    (home / "config/labconfig").mkdir(parents=True)
    (home / "config/labconfig/page_config.json").write_text('{"exposeAppInBrowser": true}')
    port = free_port()
    variables = {
        "GAUGEBOOK_DSN": busy_store.dsn.get_secret_value(), "JUPYTER_TOKEN": TOKEN, "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"), "JUPYTER_RUNTIME_DIR": str(home / "runtime"), "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"), "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
    }  # fmt: skip
    words = ["lab", "--no-browser", "--no-sample", "--port", str(port), "--notebooks", str(home / "notebooks")]
    with (home / "log").open("w+") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", *words],
            env={**os.environ, **variables}, stdout=log, stderr=log, cwd=folder().parent,
        )  # fmt: skip
        try:
            address = f"http://127.0.0.1:{port}"
            answers(f"{address}/api/status?token={TOKEN}", server, home / "log")
            yield address
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()  # a kernel that is still starting holds it up
                server.wait()


def answers(url, server, log):
    for _ in range(WITHIN_S * 5):
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def page(lab, browser):
    """The browser on JupyterLab's first page."""
    browser.driver.get("about:blank")
    browser.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 1400, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.scheme("light")
    browser.driver.get(f"{lab}/lab?token={TOKEN}")
    yield browser
    browser.driver.get("about:blank")


def test_the_first_page_is_the_first_notebook_and_all_its_cells_run(page, tmp_path):
    page.wait(READY)
    assert "00_start_here.py" in tabs(page)
    wait(page, lambda: len(page(CELLS)) > 10)
    wait(page, lambda: page(IDLE))
    command(page, "notebook:run-all-cells")
    wait(page, lambda: all(cell["execution_count"] for cell in code(page)))
    wait(page, lambda: page(IDLE))
    kinds = [output["output_type"] for cell in code(page) for output in cell["outputs"]]
    assert kinds
    assert set(kinds) == {"display_data"}  # no error, nothing on stderr
    told = "".join("".join(output["data"].get("text/html", "")) for cell in code(page) for output in cell["outputs"])
    assert told.count("<svg") >= 4
    command(page, "notebook:move-cursor-down")
    page("document.querySelector('.jp-OutputArea-output svg').scrollIntoView({block: 'center'})")
    wait(page, lambda: page(CHARTS))
    assert page("return document.querySelectorAll('.jp-OutputArea mjx-container').length") == 0  # $1 and $2: no formula
    picture(page, tmp_path / "lab.png")


def test_the_launcher_shows_our_notebooks_and_opens_one_as_a_notebook(page, tmp_path):
    page.wait(READY)
    command(page, "launcher:create")
    page.wait("return !!document.querySelector('.jp-Launcher')")
    page.wait(
        "return [...document.querySelectorAll('.jp-Launcher-sectionTitle')].some(t => t.textContent === 'Gaugebook')"
    )
    cards = page("return [...document.querySelectorAll('.jp-LauncherCard')].map(card => card.title)")
    for notebook in sorted(folder().glob("[!.]*/*.py")):
        path = notebook.relative_to(folder()).as_posix()
        assert any(path in card for card in cards), path
    picture(page, tmp_path / "launcher.png")
    page(
        "[...document.querySelectorAll('.jp-LauncherCard')].find(card => card.title.includes('explore/seasonality.py')).click()"
    )
    page.wait("return document.querySelectorAll('.jp-NotebookPanel').length >= 2")
    assert "seasonality.py" in tabs(page)
    wait(page, lambda: page(IDLE))  # a server waits for kernels that are still starting


def test_magics_answer_in_its_kernel_and_errors_are_short(page, tmp_path):
    assert run(page, "%load_ext gaugebook") == []
    outputs = run(
        page, "%%gsql\nSELECT model, count(*) AS requests FROM metrics.llm_requests_visible GROUP BY 1 ORDER BY 1"
    )
    assert "gpt-4o" in outputs[0].get("data", {}).get("text/html", ""), outputs
    (output,) = run(page, "%%gsql\nSELECT model,\n       cots_usd\nFROM metrics.llm_requests_visible")
    assert output["output_type"] == "error"
    (said,) = output["traceback"]
    assert said.startswith('SqlRefused: column "cots_usd" does not exist. Perhaps you meant')
    assert said.endswith("\n  SELECT model,\n         cots_usd\n         ^\n  FROM metrics.llm_requests_visible")
    page("document.querySelector('.jp-mod-active').scrollIntoView({block: 'end'})")
    picture(page, tmp_path / "magics.png")


def run(page, source):
    """What a new cell below the active one gives."""
    command(page, "notebook:insert-cell-below")
    page(f"window.jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.setSource({json.dumps(source)})")
    command(page, "notebook:run-cell")
    active = "return window.jupyterapp.shell.currentWidget.content.activeCell.model.toJSON()"
    wait(page, lambda: page(active)["execution_count"] and page(IDLE))
    return page(active)["outputs"]


def tabs(page):
    return page(
        "return [...document.querySelectorAll('.lm-DockPanel .lm-TabBar-tabLabel')].map(tab => tab.textContent)"
    )


def command(page, name):
    page(f"window.jupyterapp.commands.execute({name!r})")


def code(page):
    return [cell for cell in page(CELLS) if cell["cell_type"] == "code"]


def wait(page, true):
    WebDriverWait(page.driver, WITHIN_S, poll_frequency=0.2).until(lambda _: true())


def picture(page, file):
    """A screenshot; where GAUGEBOOK_TEST_PICTURES names a folder it is kept there, to be looked at."""
    page.driver.save_screenshot(str(file))
    assert file.stat().st_size > 20_000
    if where := os.environ.get("GAUGEBOOK_TEST_PICTURES"):
        shutil.copy(file, where)
