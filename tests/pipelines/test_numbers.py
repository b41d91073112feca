"""The files of numbers beside a page: whole frames, as they are, of whatever a cell shows as a table."""

from datetime import UTC, date, datetime, timedelta
from io import BytesIO

import nbformat
import pandas as pd
import polars as pl
import pytest
from IPython.display import display
from IPython.utils.capture import capture_output

from analytics import cost, show
from analytics.jupyter import frames
from pipelines import numbers
from pipelines.render import Heading, render

START = datetime(2026, 3, 2, tzinfo=UTC)
LONG = pl.DataFrame({"hour": [START + timedelta(hours=k) for k in range(500)], "cost_usd": [k / 7 for k in range(500)]})
LANDING = LONG.rename({"hour": "ds", "cost_usd": "y"})


@pytest.fixture
def page(shell, tmp_path):
    """The page of a notebook with one cell, which displays what it is given."""

    def made(*shown, by=display):
        frames.register(shell)
        with capture_output() as captured:
            for one in shown:
                by(one)
        outputs = [nbformat.v4.new_output("display_data", data=one.data) for one in captured.outputs]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("show()", outputs=outputs)])
        nbformat.write(notebook, tmp_path / "made.ipynb")
        heading = Heading("made", "", START, 1.0, files="history/made")
        return render(tmp_path / "made.ipynb", heading)

    return made


def parquet(made, nr=1):
    (content,) = [content for name, content in made.files.items() if name == f"table-{nr}.parquet"]
    return pl.read_parquet(BytesIO(content))


@pytest.mark.parametrize("by", [display, show])
def test_a_table_that_shows_its_first_rows_has_all_of_them_beside_it(page, by):
    made = page(LONG, by=by)
    assert parquet(made).equals(LONG)
    text = made.files["table-1.csv"].decode().splitlines()
    assert text[0] == "hour,cost_usd"
    assert text[2] == f"2026-03-02T01:00:00+00:00,{1 / 7!r}"
    assert len(text) == 501
    assert "All 500 rows: <a " in made.html
    assert 'href="history/made/table-1.parquet"' in made.html
    assert made.html.count("<tr>") < 30
    assert "data-frames" not in made.html


def test_results_carry_all_their_tables(page):
    result = cost.landing(LANDING)
    made = page(result, lambda: result.report, by=show)
    assert parquet(made, 1).equals(result.for_people())
    assert parquet(made, 2).equals(result.for_people())
    assert "rows: <a" not in made.html
    few, none = pl.DataFrame({"a": [1]}), pl.DataFrame({"a": []})
    assert list(page(few, none, by=show).files) == ["table-1.csv", "table-1.parquet"]


def test_pandas_keeps_an_index_that_says_something(page):
    plain = pd.DataFrame({"team": ["a", "b"], "y": [1.5, None]})
    named = plain.set_index("team")
    wide = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("cost", "a"), ("cost", "b")]))
    made = page(plain, named, wide, plain.style)
    assert [parquet(made, nr).columns for nr in (1, 2, 3, 4)] == [["team", "y"]] * 2 + [
        ["cost a", "cost b"],
        ["team", "y"],
    ]
    assert parquet(made, 2).rows() == [("a", 1.5), ("b", None)]


ODD = {"pandas": pd.DataFrame({"a": [object()]}), "polars": pl.DataFrame({"a": [object()]}), "large": LONG}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_cannot_be_carried_is_as_it_is_shown(page, odd, monkeypatch):
    monkeypatch.setattr(frames, "LARGEST", 1000)
    assert list(page(odd).files) == ["table-1.csv"]


def test_values_in_a_csv_file():
    row = [date(2026, 3, 2), timedelta(minutes=2), [1, None], {"a": "é"}, "=1", -1.5, True, None, float("nan")]
    assert numbers.file(list("abcdefghi"), [row]).decode().splitlines()[1] == (
        '2026-03-02,120.0,"[1, null]","{""a"": ""é""}",\'=1,-1.5,True,,'
    )


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, None], pl.Int64),
        ([1, 2.5, None], pl.Float64),
        ([True, False], pl.Boolean),
        (["2026-03-02T01:00:00+00:00", None], pl.Datetime("us", "UTC")),
        (["2026-03-02T01:00:00.000000000"], pl.Datetime("us")),
        (["2026-03-02T99:00"], pl.String),
        (["a", 1], pl.String),
        ([[1], [2]], pl.String),
        ([], pl.Float64),
    ],
)
def test_columns_of_a_chart_have_types(values, dtype):
    made = numbers.of_rows("chart-1", ["x"], [[value] for value in values])
    assert pl.read_parquet(BytesIO(made.content["parquet"])).schema == {"x": dtype}
