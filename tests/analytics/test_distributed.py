import json
import pickle
import subprocess
import sys

import polars as pl
import pytest

from analytics import forecast, load
from analytics.distributed import Job, chunks, forecast_chunk, forecast_many, work
from analytics.executors import EXECUTORS, executor
from analytics.runs import file_of
from analytics.sources import Filed, Stored, stored
from store.errors import (
    ColumnMissing,
    FileUnusable,
    NoRows,
    PackageMissing,
    ParameterInvalid,
    UnknownName,
)
from tests.analytics.seed import (
    NASTY,
    QUEUES,
    USAGE,
    busy_queues,
    busy_requests,
    busy_usage,
    put,
    put_requests,
    seasonal,
)


@pytest.fixture(scope="module")
def many():
    names = ["b", "a", NASTY, "d", "e"]
    return pl.concat([seasonal(200, unique_id=name, seed=k, level=10.0**k) for k, name in enumerate(names)])


@pytest.fixture(scope="module")
def local(many):
    return forecast_many(many, 12, season_length=24, engine="serial", chunk=2)


@pytest.fixture
def here(store, monkeypatch):
    monkeypatch.setenv("GAUGEBOOK_DSN", store.dsn.get_secret_value())
    return store


def same(one, other):
    """To the last bit: frames, not numbers near each other."""
    assert one.to_polars().equals(other.to_polars())
    assert one.totals().equals(other.totals())


def test_a_chunk_is_the_forecast_of_its_series(many, local):
    names = sorted(many["unique_id"].unique().to_list())
    for part in (names[:2], names[2:4], names[4:]):
        alone = forecast(many.filter(pl.col("unique_id").is_in(part)), 12, season_length=24)
        own = local.to_polars().filter(pl.col("unique_id").is_in(part))
        assert own.equals(alone.to_polars())
        assert local.totals().filter(pl.col("unique_id").is_in(part)).equals(alone.totals())


@pytest.mark.parametrize("engine", ["processes", "dask"])
def test_other_places_give_the_same_floats(many, local, engine):
    if engine == "dask":
        pytest.importorskip("distributed", reason="the extra dask is not installed")
    steps = []
    made = forecast_many(
        many,
        12,
        season_length=24,
        engine=engine,
        chunk=2,
        workers=2,
        progress=lambda done, of: steps.append((done, of)),
    )
    same(made, local)
    assert sorted(steps) == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("engine", ["ray", "spark"])
def test_clusters_of_others_give_the_same_floats(many, local, engine):
    package = {"ray": "ray", "spark": "pyspark"}[engine]
    pytest.importorskip(package, reason=f"the extra {engine} is not installed")
    same(forecast_many(many, 12, season_length=24, engine=engine, chunk=2, workers=2), local)


@pytest.mark.parametrize("engine", ["dask", "ray", "spark"])
def test_a_missing_package_is_asked_for(many, engine, monkeypatch):
    for name in ("distributed", "ray", "pyspark", "pyspark.sql"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(PackageMissing, match=rf"engine '{engine}' needs .* pip install 'gaugebook\[{engine}\]'"):
        forecast_many(many, 12, engine=engine)


def test_order_of_rows_and_names_of_columns_do_not_matter(many, local):
    shuffled = many.sample(fraction=1.0, shuffle=True, seed=3)
    same(forecast_many(shuffled, 12, season_length=24, engine="serial", chunk=2), local)
    renamed = shuffled.rename({"unique_id": "team", "ds": "hour", "y": "usd"}).to_pandas()
    names = {"id_col": "team", "time_col": "hour", "target_col": "usd"}
    made = forecast_many(renamed, 12, season_length=24, engine="serial", chunk=2, **names)
    assert made.to_polars().rename({"team": "unique_id", "hour": "ds"})["y_hat"].equals(local.to_polars()["y_hat"])


def test_a_chunk_travels_alone(many):
    parts = chunks(many, Job(12), size=1)
    whole = len(pickle.dumps(chunks(many, Job(12), size=5)[0]))
    assert max(len(pickle.dumps(part)) for part in parts) < whole / 2  # not a view of everything
    assert Job.of(pickle.loads(pickle.dumps(parts[0]))) == Job(12)
    with pytest.raises(ParameterInvalid, match="carries no job"):
        forecast_chunk(parts[0].replace_schema_metadata(None))


def test_a_file_is_read_by_the_workers(many, local, tmp_path):
    many.sort("unique_id").write_parquet(tmp_path / "rows.parquet", row_group_size=300)
    source = Filed(str(tmp_path / "rows.parquet"))
    parts = chunks(None, Job(12, season_length=(24,), source=source), size=2)
    assert [part.column_names for part in parts] == [["unique_id"]] * 3  # names travel, rows do not
    same(forecast_many(source, 12, season_length=24, engine="serial", chunk=2), local)
    with pytest.raises(FileUnusable, match="does not exist here"):
        forecast_many(Filed(str(tmp_path / "none.parquet")), 12)
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(FileUnusable, match="cannot be read as Parquet"):
        forecast_many(Filed(str(tmp_path / "text.parquet")), 12)
    with pytest.raises(ColumnMissing, match="team"):
        forecast_many(Filed(str(tmp_path / "rows.parquet"), "team"), 12, id_col="team")


def test_the_store_is_read_as_load_reads_it(here):
    put_requests(here, busy_requests(60))
    put(here, "metrics.llm_usage", USAGE, busy_usage(60))
    put(here, "metrics.rabbitmq_queues", QUEUES, busy_queues(60))
    for source, value, by, read in (
        ("llm_requests", "cost_usd", ("team", "model"), load.llm),
        ("llm_requests", "requests", ("model", "team"), load.llm),
        ("llm_requests", "errors", (), load.llm),
        ("llm_usage", "requests", ("model",), load.usage),
        ("rabbitmq_queues", "ready", ("vhost", "queue"), load.queues),
        ("rabbitmq_queues", "head_age_s", ("queue",), load.queues),
    ):
        for grain in ("hourly", "daily"):
            found = stored(source, value=value, by=by, grain=grain)
            names = found.names().to_list()
            expected = read(here, value=value, by=by, grain=grain).select("unique_id", "ds", "y")
            assert names == sorted(expected["unique_id"].unique().to_list())
            rows = pl.concat([found.rows([name]) for name in names])
            assert rows.equals(expected.sort("unique_id", "ds"), null_equal=True), (source, value, grain)


def test_the_store_is_forecast_from_within_the_workers(here):
    put_requests(here, busy_requests(240))
    source = stored(by=("team", "model"))
    made = forecast_many(source, 24, engine="processes", workers=2, chunk=4)
    frame = load.llm(here, by=("team", "model"))
    assert made.series == frame["unique_id"].n_unique() == 6
    same(made, forecast_many(frame, 24, engine="serial", chunk=4))
    [one, _] = chunks(None, Job(24, source=source), size=4)
    assert one.column_names == ["unique_id"]
    assert "password" not in str(one.schema.metadata)
    assert here.dsn.get_secret_value() not in str(one.schema.metadata)


def test_the_span_of_the_store_is_fixed_when_work_begins(here):
    put_requests(here, busy_requests(100))
    before = stored(by=("team",))
    put_requests(here, busy_requests(200, seed=1)[-50:])
    assert before.rows(before.names())["ds"].max() < stored(by=("team",)).rows(before.names())["ds"].max()
    with pytest.raises(NoRows):
        stored("rabbitmq_queues")
    with pytest.raises(ColumnMissing, match="did you mean 'team'"):
        stored(by=("taem",))
    with pytest.raises(UnknownName, match="no source"):
        stored("llm")


def test_a_run_that_was_stopped_goes_on(many, local, tmp_path):
    home = tmp_path / "run"

    class Stopped(Exception):
        pass

    def stop(done, _of):
        if done == 2:
            raise Stopped

    with pytest.raises(Stopped):
        forecast_many(many, 12, season_length=24, engine="serial", chunk=2, folder=home, progress=stop)
    assert sorted(path.name for path in home.glob("*.parquet")) == [file_of(0), file_of(1)]
    touched = (home / file_of(0)).stat().st_mtime_ns
    made = forecast_many(many, 12, season_length=24, engine="serial", chunk=2, folder=home)
    assert made.taken_up == 2
    assert (home / file_of(0)).stat().st_mtime_ns == touched
    same(made, local)
    assert "2 of them done by an earlier run" in made.sentence()
    again = forecast_many(many, 12, season_length=24, engine="serial", chunk=2, folder=home)
    assert again.taken_up == 3
    same(again, local)


@pytest.mark.parametrize("change", ["series", "horizon", "values", "chunk"])
def test_the_folder_of_another_run_is_not_mixed_up(many, tmp_path, change):
    forecast_many(many, 2, season_length=24, model="seasonal_naive", engine="serial", folder=tmp_path)
    other = {
        "series": (many.filter(pl.col("unique_id") != "a"), 2, 500),
        "horizon": (many, 3, 500),
        "values": (many.with_columns(pl.col("y") * 2), 2, 500),
        "chunk": (many, 2, 4),
    }[change]
    with pytest.raises(ParameterInvalid, match="holds another run"):
        forecast_many(
            other[0],
            other[1],
            season_length=24,
            model="seasonal_naive",
            engine="serial",
            chunk=other[2],
            folder=tmp_path,
        )


def test_a_half_written_file_is_no_result(many, tmp_path):
    [part] = chunks(many, Job(2, model="seasonal_naive", season_length=(24,)))
    (tmp_path / file_of(0)).mkdir()
    with pytest.raises(FileUnusable, match="cannot be written"):
        work(tmp_path, part)


def test_one_bad_chunk_does_not_stop_the_rest(many):
    odd = pl.DataFrame({"unique_id": ["zz"], "ds": many["ds"][:1], "y": [1.0]})
    made = forecast_many(pl.concat([many, odd]), 12, season_length=24, engine="serial", chunk=5)
    assert made.series == 5
    [lost] = made.failed
    assert "chunk 1: the frame is too short" in lost.failed
    assert "1 failed" in made.sentence()
    with pytest.raises(ParameterInvalid, match="no chunk could be forecast; chunk 0: the frame is too short"):
        forecast_many(odd, 12, engine="serial")


def test_a_series_without_a_value_is_left_out(many, local):
    silent = many.filter(pl.col("unique_id") == "a").with_columns(unique_id=pl.lit("zz"), y=pl.lit(None, pl.Float64))
    made = forecast_many(pl.concat([many, silent]), 12, season_length=24, engine="serial", chunk=2)
    same(made, local)
    assert made.series == 5


def test_the_result_shows_itself(local):
    assert local.sentence() == "Forecast 12 steps ahead for 5 series in 3 chunks."
    assert NASTY not in local._repr_html_()
    assert len(local.plot().data) == 3
    assert local.to_pandas().shape == (60, 7)
    assert local.report()[2]["total"].is_sorted(descending=True)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"engine": "dusk"}, UnknownName, "no place to run 'dusk': did you mean 'dask'"),
        ({"model": "ensembel"}, UnknownName, "did you mean 'ensemble'"),
        ({"horizon": 0}, ParameterInvalid, "horizon"),
        ({"chunk": 0}, ParameterInvalid, "chunk"),
        ({"workers": 0}, ParameterInvalid, "workers"),
        ({"level": 0}, ParameterInvalid, "level"),
        ({"engine": "processes", "scheduler": "tcp://x:1"}, ParameterInvalid, "a process pool has none"),
        ({"id_col": "team"}, ColumnMissing, "team"),
    ],
)
def test_what_cannot_be_used_is_named(many, options, error, words):
    with pytest.raises(error, match=words):
        forecast_many(many, **{"horizon": 12, "engine": "serial", **options})


def test_no_dask_scheduler_is_one_line(many):
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    with pytest.raises(ParameterInvalid, match="no Dask scheduler answers at 'nowhere'"):
        forecast_many(many, 12, engine="dask", scheduler="nowhere")


def test_empty_and_single(many):
    with pytest.raises(NoRows):
        forecast_many(many.clear(), 12, engine="serial")
    one = many.filter(pl.col("unique_id") == "a").drop("unique_id")
    assert forecast_many(one, 3, engine="serial").to_polars()["unique_id"].unique().to_list() == ["series"]
    with pytest.raises(ParameterInvalid, match="too short"):
        forecast_many(pl.DataFrame({"ds": [1], "y": [1.0]}), 3, engine="serial")


def test_executors_do_every_item_once():
    items = list(range(-20, 20))
    for name in ("serial", "processes"):  # more of them than are handed out ahead
        assert sorted(executor(name)(abs, items, 2, "")) == sorted(map(abs, items))
    assert set(EXECUTORS) == {"serial", "processes", "dask", "ray", "spark"}


def test_a_script_without_a_main_guard_is_told(tmp_path):
    script = tmp_path / "bare.py"
    script.write_text(
        "import polars as pl\nfrom analytics.distributed import forecast_many\n"
        "forecast_many(pl.DataFrame({'ds': range(30), 'y': 1.0}), 2, engine='processes', workers=1)\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "the script lacks if __name__" in ended.stderr


def test_jobs_are_text_and_back():
    job = Job(
        3, (80.0,), "ets", (24, 168), "a", "b", "c", Stored("llm_usage", "requests", ("model",), "daily", "s", "u")
    )
    import pyarrow as pa

    assert Job.of(job.put(pa.table({"a": ["x"]}), 7)) == job
    assert json.loads(job.to_json())["kind"] == "stored"
