from pathlib import Path

import pytest

from pipelines.notebooks import find, names, summary, title
from pipelines.parameters import Parameter, check, declared, split
from store.errors import FileUnusable, ParameterInvalid, UnknownName

NOTEBOOKS = Path(__file__).parent / "notebooks"
CELL = """\
from typing import Literal
days: int = 30  # days to cover (1 to 400)
level: float = 0.95  # of the interval (0.5 to 0.999)
team: str | None = None  # only this team
robust: bool = False
bucket: Literal["hourly", "daily"] = "daily"  # width
weeks = 4
"""


@pytest.fixture
def parameters(tmp_path):
    return declared(notebook(tmp_path, CELL))


def notebook(folder, cell):
    path = folder / "x.py"
    path.write_text(f'# %% [markdown]\n# # T\n\n# %% tags=["parameters"]\n{cell}\n# %%\nother: int = 1\n')
    return path


def test_what_a_cell_declares(parameters):
    assert list(parameters) == ["days", "level", "team", "robust", "bucket", "weeks"]
    assert parameters["days"] == Parameter("days", "int", 30, False, "days to cover (1 to 400)", 1, 400)
    assert parameters["team"] == Parameter("team", "str", None, True, "only this team")
    assert parameters["bucket"].choices == ("hourly", "daily")
    assert parameters["weeks"].kind == "int"


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("days", "7", 7),
        ("days", 400, 400),
        ("level", "0.5", 0.5),
        ("level", 0.9, 0.9),
        ("team", "", None),
        ("team", "none", None),
        ("team", "a=b", "a=b"),
        ("robust", "yes", True),
        ("robust", "FALSE", False),
        ("bucket", "hourly", "hourly"),
    ],
)
def test_values_that_fit(parameters, name, given, value):
    read = check(parameters, {name: given})[name]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("dayz", "7", "does not exist; did you mean 'days'?"),
        ("zzz", "7", "does not exist; there are days, level"),
        ("days", "abc", "must be a whole number, not 'abc'"),
        ("days", "", "must be a whole number"),
        ("days", "1.5", "must be a whole number"),
        ("days", 1.5, "must be a whole number"),
        ("days", True, "must be a whole number"),
        ("days", "0", "must be from 1 to 400, not '0'"),
        ("days", "401", "must be from 1 to 400"),
        ("level", "nan", "must be a number"),
        ("level", "1e400", "must be a number"),
        ("level", [1], "must be a number"),
        ("robust", "maybe", "must be true or false"),
        ("bucket", "weekly", "must be one of hourly, daily"),
        ("team", 3, "must be text"),
    ],
)
def test_values_that_do_not_fit(parameters, name, given, says):
    with pytest.raises(ParameterInvalid) as caught:
        check(parameters, {name: given})
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("pair", "says"), [("days", "key=value"), ("=3", "key=value")])
def test_a_pair_that_is_none(pair, says):
    with pytest.raises(ParameterInvalid, match=says):
        split([pair])


def test_a_name_given_twice():
    with pytest.raises(ParameterInvalid, match="given twice"):
        split(["a=1", "a=2"])


@pytest.mark.parametrize(
    "cell", ["days: int = f()", "print(1)", "since: date = None", "days: int =", "rows: list = [1]"]
)
def test_a_cell_that_cannot_be_read_names_its_line(tmp_path, cell):
    with pytest.raises(FileUnusable, match="line 5, the parameters cell"):
        declared(notebook(tmp_path, cell))


def test_a_notebook_without_parameters(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("# %%\n1\n")
    assert declared(path) == {}


def test_an_unknown_report_names_the_closest():
    with pytest.raises(UnknownName, match="did you mean 'walk'"):
        find("wolk", NOTEBOOKS)
    with pytest.raises(UnknownName):
        find("../reports/walk", NOTEBOOKS)
    assert names(NOTEBOOKS) == ["breaks", "paced", "per_team", "walk"]


def test_what_a_notebook_says_of_itself():
    text = find("walk", NOTEBOOKS).read_text()
    assert title(text) == "A random walk, seen four ways"
    assert summary(text) == "How far a walker gets in a number of days, by hour and by weekday."


@pytest.mark.parametrize("report", names())
def test_every_report_of_the_project_says_what_it_is_and_takes(report):
    text = find(report).read_text(encoding="utf-8")
    assert title(text)
    assert summary(text)
    for parameter in declared(find(report)).values():
        assert parameter.help, parameter.name
        check({parameter.name: parameter}, {parameter.name: parameter.default})
