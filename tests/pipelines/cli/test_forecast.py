from importlib.util import find_spec

import polars as pl
import pytest

from analytics import forecast as forecast_here
from analytics import load
from tests.analytics.seed import NASTY, busy_requests, put_requests, seasonal
from tests.pipelines.cli.test_analysis import here, run  # noqa: F401  # fixtures


@pytest.fixture
def rows(tmp_path):
    frame = pl.concat([seasonal(150, unique_id=name, seed=k) for k, name in enumerate(["a", "b", NASTY])])
    frame.write_parquet(tmp_path / "rows.parquet")
    frame.write_csv(tmp_path / "rows.csv")
    return tmp_path


def test_a_file_by_processes(run, rows):  # noqa: F811
    words = ("--engine", "processes", "--workers", 2, "--chunk", 2, "--horizon", 12, "--output", rows / "out.parquet")
    code, out, err = run("forecast", "--csv", rows / "rows.csv", *words)
    assert code == 0, err
    assert "Forecast 12 steps ahead for 3 series in 2 chunks." in err
    assert NASTY in out
    assert "wrote 36 rows" in out
    made = pl.read_parquet(rows / "out.parquet")
    first = pl.read_parquet(rows / "rows.parquet").filter(pl.col("unique_id").is_in(sorted(["a", "b", NASTY])[:2]))
    expected = forecast_here(first, 12).to_polars()
    assert made.head(24)["y_hat"].to_list() == pytest.approx(expected["y_hat"].to_list(), rel=1e-9)


def test_a_run_is_taken_up(run, rows):  # noqa: F811
    words = ("--engine", "processes", "--chunk", 1, "--workers", 1, "--horizon", 3, "--folder", rows / "home")
    words = ("forecast", "--csv", rows / "rows.parquet", "--model", "seasonal_naive", *words)
    code, out, err = run(*words)
    assert code == 0, err
    assert f"results are in {rows / 'home'}" in out
    (rows / "home/part-000001.parquet").unlink()
    code, _, err = run(*words)
    assert code == 0
    assert "2 of them done by an earlier run" in err


def test_the_store_by_dask(here, run):  # noqa: F811
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    put_requests(here, busy_requests(240))
    code, out, err = run("forecast", "--engine", "dask", "--by", "team", "--horizon", 24, "--workers", 1)
    assert code == 0, err
    assert NASTY in out
    assert "2 series in 1 chunk" in err
    frame = load.llm(here, by=("team",))
    total = forecast_here(frame, 24).totals(80).sort("total", descending=True)["total"][0]
    assert f"{total:.2f}"[:3] in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--engine", "processes", "--save"), "keeps results in --folder"),
        (("--scheduler", "tcp://x:1"), "it goes with --engine processes, dask, ray or spark, not ensemble"),
        (("--folder", "x"), "it goes with --engine"),
        (("--engine", "dask", "--scheduler", "nowhere"), "no Dask scheduler answers"),
        (("--engine", "processes", "--model", "ensembel"), "did you mean 'ensemble'"),
        (("--engine", "processes", "--horizon", "0"), "horizon"),
        (("--engine", "chronos"), "pip install 'gaugebook[chronos]'"),
        (("--engine", "statsforecast:AutoETS"), "pip install 'gaugebook[statsforecast]'"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, rows, words, told):  # noqa: F811
    for package, engine in (("chronos", "chronos"), ("statsforecast", "statsforecast:AutoETS")):
        if engine in words and find_spec(package):
            pytest.skip(f"{package} is installed here")
    code, _, err = run("forecast", "--csv", rows / "rows.parquet", *words)
    assert code == 2
    assert told in err
    assert "Traceback" not in err
