import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.execute import environment
from pipelines.index import write_index
from pipelines.ledger import runs
from pipelines.publish import Wanted, make_report, make_reports
from store.errors import FileUnusable, ParameterInvalid, ReportError, UnknownName
from store.settings import load
from tests.pipelines.reports import NOTEBOOKS

ROOT = Path(__file__).parents[2]


def make(settings, folder, how="no", **limits):
    return make_report(settings, "breaks", {"how": how}, output=folder, notebooks=NOTEBOOKS, **limits)


@pytest.mark.parametrize(
    ("how", "limits", "says"),
    [
        ("raise", {}, 'the cell `if how == "raise":` failed: LookupError: no such queue; the notebook'),
        ("kill", {}, 'the kernel died in the cell `if how == "raise":`'),
        ("sleep", {"cell_limit_s": 2}, "took longer than is allowed (2 s for a cell"),
        pytest.param(
            "sleep",
            {"run_limit_s": 12},
            "took longer than is allowed (300 s for a cell, 12 s in all)",
            marks=pytest.mark.drill,
        ),
    ],
)
def test_a_run_that_fails_leaves_the_last_good_page(any_store, tmp_path, how, limits, says):
    good = make(any_store, tmp_path)
    before = good.html.read_bytes()
    with pytest.raises(ReportError) as caught:
        make(any_store, tmp_path, how, **limits)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert good.html.read_bytes() == before

    kept = Path(str(caught.value).rpartition(" is ")[2])
    assert "the first cell ran" in kept.read_text()
    failed, ok = runs(any_store, tmp_path)
    assert (failed.outcome, ok.outcome) == ("failed", "ok")
    assert failed.error == str(caught.value)
    assert failed.parameters == {"how": how}
    assert tmp_path / failed.notebook == kept
    page = write_index(any_store, tmp_path).read_text()
    assert 'class="badge failed"' in page
    assert "Earlier runs" in page


def test_only_the_reports_folder_is_written_to(store, tmp_path, monkeypatch):
    home, work, reports = tmp_path / "home", tmp_path / "work", tmp_path / "reports"
    scratch = tmp_path / "scratch"
    for folder in (home, work, scratch):
        folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.chdir(work)
    made = make(store, reports)
    assert [*home.rglob("*"), *work.rglob("*"), *scratch.rglob("*")] == []
    written = {str(path.relative_to(reports)) for path in reports.rglob("*") if path.is_file()}
    history = {f"history/{made.notebook.name}", f"history/{made.notebook.stem}.html"}
    assert written == {"breaks.html", "assets/report.js", "assets/plotly.min.js", *history}


def test_the_kernel_is_this_interpreter_and_sees_only_the_settings_given(store, tmp_path, monkeypatch):
    source = tmp_path / "notebooks/reports"
    source.mkdir(parents=True)
    (source / "who.py").write_text(
        "# %%\nimport os, sys\n"
        'print(sys.executable, os.environ["GAUGEBOOK_DSN"][:4], os.environ.get("GAUGEBOOK_TEAM"), os.environ.get("GAUGEBOOK_X"))\n'
    )
    monkeypatch.setenv("GAUGEBOOK_X", "leak")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "no-kernels-here"))
    secret = store.dsn.get_secret_value()
    settings = (
        load(dsn=secret, team="search")
        if "GAUGEBOOK_X" not in os.environ
        else store.model_copy(update={"team": "search"})
    )
    before = dict(os.environ)
    made = make_report(settings, "who", {}, output=tmp_path, notebooks=tmp_path / "notebooks")
    assert dict(os.environ) == before
    text = made.notebook.read_text()
    cell = json.loads(text)["cells"][0]
    assert cell["outputs"][0]["text"] == [f"{sys.executable} {secret[:4]} search None\n"]
    assert secret not in text
    assert secret not in made.html.read_text()


def test_paths_of_the_settings_are_absolute_for_the_kernel(tmp_path):
    made = environment(load(home="somewhere", reports="r"), tmp_path)
    assert made["GAUGEBOOK_HOME"] == str(Path("somewhere").absolute())
    assert "GAUGEBOOK_DSN" not in made


def test_a_folder_with_braces_and_spaces(store, tmp_path):
    made = make(store, tmp_path / "re{por}ts {0} é")
    assert made.html.is_file()
    assert made.notebook.is_file()


def test_progress_counts_the_cells(store, tmp_path):
    seen = []
    make_report(
        store, "breaks", {"how": "no"}, output=tmp_path, notebooks=NOTEBOOKS, progress=lambda *told: seen.append(told)
    )
    assert seen == [("breaks", done, 4) for done in (1, 2, 3, 4)]


def test_one_of_two_fails_and_the_other_is_made(store, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.notebooks.folder", lambda: NOTEBOOKS)
    with pytest.raises(ReportError, match="LookupError"):
        make_reports(store, [Wanted("breaks", {"how": "raise"}), Wanted("walk", {"days": 2})], output=tmp_path)
    assert (tmp_path / "walk.html").is_file()
    assert not (tmp_path / "breaks.html").exists()


@pytest.mark.parametrize(
    ("report", "parameters", "error"),
    [("broke", {}, UnknownName), ("breaks", {"hwo": "no"}, ParameterInvalid), ("breaks", {"how": 3}, ParameterInvalid)],
)
def test_bad_input_writes_nothing(store, tmp_path, report, parameters, error):
    with pytest.raises(error):
        make_report(store, report, parameters, output=tmp_path / "new", notebooks=NOTEBOOKS)
    assert not (tmp_path / "new").exists()
    assert runs(store, tmp_path / "new") == []


def test_a_folder_that_is_a_file(store, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileUnusable, match="cannot be a folder of reports"):
        make(store, tmp_path / "file")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["llm_cots"], "no report 'llm_cots': did you mean 'llm_cost'?"),
        (["llm_cost", "-p", "dayz=3"], "parameter 'dayz': does not exist; did you mean 'days'?"),
        (["llm_cost", "-p", "days=abc"], "parameter 'days': must be a whole number, not 'abc'"),
        (["llm_cost", "-p", "days"], "parameter 'days': write it as key=value"),
    ],
)
def test_the_command_answers_bad_input_in_one_line(tmp_path, arguments, says):
    environ = {**os.environ, "GAUGEBOOK_DSN": "postgresql://nobody@127.0.0.1:1/none"}
    command = [sys.executable, "-c", "from pipelines.cli import main; main()", "report", "run", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environ, timeout=60, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
