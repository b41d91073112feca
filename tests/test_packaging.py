"""What is shipped: one set of packages in every list, and a wheel that holds the SQL and the notebooks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
APART = {"ray", "spark", "statsforecast", "mlforecast", "chronos", "timesfm"}  # users choose one; not all live together
TOGETHER = EXTRAS.keys() - APART


def direct(*extras: str) -> dict[str, Requirement]:
    wanted = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    requirements = [Requirement(line) for line in wanted]
    return {requirement.name: requirement for requirement in requirements if requirement.name != "gaugebook"}


def locked() -> dict[str, list[Version]]:
    versions: dict[str, list[Version]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            name, _, rest = line.partition("==")
            versions.setdefault(name, []).append(Version(rest.split()[0]))
    return versions


def test_conda_names_the_same_packages():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    named = {Requirement(line).name: Requirement(line) for line in pip if not line.startswith("--")}
    assert named == direct(*TOGETHER)


def test_the_lock_holds_every_package_within_its_bounds():
    versions = locked()
    for name, requirement in direct(*TOGETHER).items():
        assert name in versions, f"{name} is not in requirements.lock; `make lock`"
        assert all(requirement.specifier.contains(version) for version in versions[name]), requirement


def test_the_lock_names_no_index_and_hashes_everything():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "--index" not in text
    entries = [
        block for block in text.replace("\\\n", "").splitlines() if "==" in block and not block.startswith((" ", "#"))
    ]
    assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize("package", ["jupyterlab", "statsmodels", "pandas", "polars", "papermill"])
def test_a_collector_host_is_spared(package):
    assert package not in direct()


BLOCKED = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name.partition(".")[0])
sys.meta_path.insert(0, Missing())
from pipelines.cli import main
main()
"""
EXTRA_MODULES = {
    "adbc_driver_postgresql",
    "grafana_foundation_sdk",
    "jupyterlab",
    "jupytext",
    "nbconvert",
    "nbformat",
    "numpy",
    "openai",
    "pandas",
    "papermill",
    "plotly",
    "polars",
    "pyarrow",
    "scipy",
    "sqlalchemy",
    "statsmodels",
}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--help"], 0, "gaugebook demo"),
        (["db", "status"], 0, "metrics.llm_requests|llm_requests"),
        (["import", "llm", "rows.csv"], 0, "1 imported"),
        (["collect", "rabbitmq", "--help"], 0, "--url"),
        (["forecast"], 2, "needs the package .* pip install"),
        (["demo"], 2, "needs the package .* pip install"),
    ],
)
def test_the_core_alone_runs_what_a_collector_host_needs(store, tmp_path, words, code, says):
    (tmp_path / "rows.csv").write_text("ts,model,input_tokens,output_tokens\n2026-01-01T00:00:00Z,gpt-4o,1,2\n")
    ended = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(names=EXTRA_MODULES), *words],
        cwd=tmp_path, env=os.environ | {"GAUGEBOOK_DSN": store.dsn.get_secret_value(), "GAUGEBOOK_HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == code, ended.stderr
    assert re.search(says, ended.stdout + ended.stderr), ended.stdout + ended.stderr


def test_the_wheel_holds_sql_notebooks_and_templates(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("gaugebook-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    shipped = {str(path.relative_to(ROOT / "sql")) for path in (ROOT / "sql").rglob("*.sql")}
    assert shipped
    assert {f"store/_sql/{name}" for name in shipped} <= names
    assert {"gaugebook.py", "pipelines/_notebooks/reports/llm_cost.py"} <= names
    assert not any(name.endswith("sql/__init__.py") for name in names)

    # From the wheel alone, in a folder that knows nothing of the checkout.
    program = "from store.migrate import migrations; from store.files import sql_folder; print(sql_folder(), len(migrations('postgres')))"
    found = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); {program}"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    folder, count = found.stdout.split()
    assert folder == str(tmp_path / "site/store/_sql")
    assert int(count) == len([name for name in shipped if name.startswith(("common/", "postgres/"))])
