"""The magics in a real IPython on a real store: rows, errors that point, limits, cancelling, completion."""

import os
import signal
import threading
import time

import pandas as pd
import polars as pl
import psycopg
import pytest

from analytics import Anomalies, Forecast
from analytics.jupyter import catalogue, completion
from analytics.jupyter.statement import Statement
from store.connect import connect
from store.errors import ColumnMissing, NoRows, ParameterInvalid, SqlRefused, UnknownName
from tests.analytics.jupyter.cells import cell, completions
from tests.analytics.seed import seasonal

# What JupySQL 0.11 registers.
JUPYSQL = {"sql", "jupysql", "sqlplot", "sqlcmd", "sqlrender"}


def test_free_sql_gives_a_frame(lab):
    lab.user_ns["status"] = "ok"
    frame, _ = cell(
        lab,
        "%%gsql --param least=0.01\n-- a comment with :colon\nSELECT model, count(*)::int AS n, sum(cost_usd) AS usd, max(ts) AS at\n"
        "FROM metrics.llm_requests_visible WHERE status = :status AND cost_usd > :least GROUP BY 1 ORDER BY 1;\n",
    )
    assert isinstance(frame, pl.DataFrame)
    assert frame.schema == {"model": pl.String, "n": pl.Int32, "usd": pl.Float64, "at": pl.Datetime("us", "UTC")}
    assert frame["model"].to_list() == ["gpt-4o", "o3"]


def test_a_name_takes_the_frame_and_says_so(lab):
    nothing, said = cell(
        lab, "%%gsql queues --as pandas\nSELECT DISTINCT queue FROM metrics.rabbitmq_queues ORDER BY 1"
    )
    assert nothing is None
    assert said == "queues: 2 rows x 1 columns (queue)\n"
    assert isinstance(lab.user_ns["queues"], pd.DataFrame)


def test_types_that_a_frame_does_not_hold_become_text(lab):
    frame, _ = cell(
        lab,
        """%%gsql
        SELECT '{"a": 1}'::jsonb j, ARRAY[1, NULL] ints, ARRAY[1.5] numbers, interval '90 s' span, 'x'::text x, 'y' x,
               '10.0.0.1'::inet net, NULL::int nothing, ARRAY['a'] texts, gen_random_uuid() u, true yes, date '2026-01-02' AS day""",
    )
    assert isinstance(frame, pl.DataFrame), frame
    row = frame.row(0, named=True)
    assert row["j"] == '{"a": 1}'
    assert (row["ints"], row["numbers"], row["texts"], row["x_2"]) == ([1, None], [1.5], ["a"], "y")
    assert (row["net"], row["nothing"], row["yes"], str(row["day"])) == ("10.0.0.1", None, True, "2026-01-02")
    assert row["span"].total_seconds() == 90
    assert len(row["u"]) == 36


def test_a_result_without_rows_has_its_columns(lab):
    frame, _ = cell(lab, "%gsql SELECT model, ts FROM metrics.llm_requests_visible WHERE false")
    assert frame.shape == (0, 2)
    assert frame.columns == ["model", "ts"]


def test_explain_and_show_are_taken_too(lab):
    assert cell(lab, "%gsql SHOW transaction_read_only")[0].item() == "on"
    assert "Result" in cell(lab, "%gsql EXPLAIN SELECT 1")[0].item(0, 0)


def test_a_named_query_takes_its_parameters_from_the_line_and_from_variables(lab):
    lab.user_ns["until"] = "2026-03-12T00:00Z"
    frame, _ = cell(lab, "%gsql llm_series grain=daily by=[model] since=2026-03-01")
    assert set(frame["model"]) == {"gpt-4o", "o3", "home-made"}
    listed, _ = cell(lab, "%gsql")
    assert "llm_series" in listed["query"].to_list()
    assert "budget_add" not in listed["query"].to_list()
    error, _ = cell(lab, "%gsql llm_serie")
    assert isinstance(error, UnknownName)
    assert "did you mean 'llm_series'" in str(error)


def test_the_limit_is_said(lab):
    frame, said = cell(lab, "%gsql --limit 10 SELECT * FROM generate_series(1, 100000) n")
    assert (len(frame), said[:17]) == (10, "the first 10 rows")
    frame, said = cell(lab, "%%gsql --limit 10\nSELECT * FROM generate_series(1, 100000) n")
    assert frame["n"].to_list() == list(range(1, 11))
    assert said == "the first 10 rows; there are more, and --limit 0 gives all of them\n"
    frame, said = cell(lab, "%%gsql --limit 10\nSELECT * FROM generate_series(1, 10) n")
    assert (len(frame), said) == (10, "")
    frame, said = cell(lab, "%%gsql --limit 0\nSELECT * FROM generate_series(1, 12345) n")
    assert (len(frame), said) == (12345, "")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("SELECT model,\n  FORM metrics.x", None),
        ("SELECT :a::int, modell FROM metrics.llm_requests_visible", "modell"),
        ("SELECT 1,\n   nix(:a::int),\n 2", "nix"),
        ("SELECT 'ü🐇', :a::text || :b::text, colour FROM metrics.rabbitmq_queues", "colour"),
        ("SELECT * FROM metrics.llm_request", "metrics.llm_request"),
        ("EXPLAIN SELECT nowhere", "nowhere"),
    ],
)
def test_an_error_points_at_the_place(lab, text, place):
    lab.user_ns.update(a="1", b="2")
    error, _ = cell(lab, f"%%gsql\n{text}")
    assert isinstance(error, SqlRefused)
    lines = error.shown.split("\n")
    caret = next(k for k, line in enumerate(lines) if line.strip() == "^")
    marked = lines[caret - 1]
    if place is not None:
        from rich.cells import cell_len

        at = lines[caret].index("^")
        assert cell_len(marked.partition(place)[0]) == at
    assert error._render_traceback_() == [f"SqlRefused: {error}"]


def test_nothing_can_be_written(lab, busy_store):
    for text in (
        "DELETE FROM metrics.llm_requests",
        "WITH gone AS (DELETE FROM metrics.llm_requests RETURNING 1) SELECT * FROM gone",
        "SELECT 1; DELETE FROM metrics.llm_requests",
        "DO $$ BEGIN PERFORM set_config('transaction_read_only', 'off', true); DELETE FROM metrics.llm_requests; END $$",
        "SET TRANSACTION READ WRITE",
        "CREATE TABLE metrics.mine (a int)",
        "SELECT set_config('transaction_read_only', 'off', true)",
    ):
        error, _ = cell(lab, f"%%gsql\n{text}")
        assert isinstance(error, SqlRefused), text
    with connect(busy_store) as connection:
        assert connection.execute("SELECT count(*) > 100 FROM metrics.llm_requests").fetchone() == (True,)


def test_a_parameter_without_a_value_says_what_to_do(lab):
    error, _ = cell(lab, "%%gsql\nSELECT :nobody::int")
    assert isinstance(error, ParameterInvalid)
    assert "--param nobody=" in str(error)
    error, _ = cell(lab, "%%gsql --param other=1\nSELECT 1")
    assert "no such parameter; it takes none" in str(error)


@pytest.mark.parametrize(
    "line", ["%%gsql --lim 3\nSELECT 1", "%%gsql --as excel\nSELECT 1", "%%gsql a b\nSELECT 1", "%gsql 'x", "%forecast"]
)
def test_a_wrong_line_is_an_error_with_the_usage(lab, line):
    error, _ = cell(lab, line)
    assert isinstance(error, ParameterInvalid), error


def test_it_takes_too_long(lab):
    error, _ = cell(lab, "%%gsql --timeout 0.2\nSELECT pg_sleep(5)")
    assert isinstance(error, SqlRefused)
    assert "more than 0.2 s" in str(error)


def test_ctrl_c_cancels_in_the_server(lab, busy_store):
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    begun = time.monotonic()
    error, _ = cell(lab, "%%gsql\nSELECT pg_sleep(30)")
    assert isinstance(error, KeyboardInterrupt)
    assert time.monotonic() - begun < 5
    with psycopg.connect(busy_store.dsn.get_secret_value()) as connection:
        running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> pg_backend_pid()"
        assert connection.execute(running).fetchone() == (0,)
    assert cell(lab, "%gsql SELECT 1 AS one")[0].item() == 1


def test_forecast_and_anomalies_of_a_variable_and_of_the_store(lab):
    lab.user_ns["mine"] = seasonal(24 * 14).rename({"ds": "when", "y": "usd"})
    made, _ = cell(lab, "%forecast mine 2d --time when --target usd --unit USD --level 80")
    assert isinstance(made, Forecast)
    assert (made.horizon, made.level, made.unit) == (48, (80.0,), "USD")
    made, _ = cell(lab, "ahead = %forecast requests 24 --by team")
    assert lab.user_ns["ahead"].panel.ids.len() == 2
    made, _ = cell(lab, "%forecast messages 12")
    assert not made.additive
    found, _ = cell(lab, "%anomalies cost_usd --rate 0.01")
    assert isinstance(found, Anomalies)
    assert (found.rate, found.unit) == (0.01, "USD")
    assert isinstance(cell(lab, "%forecast nothing_such")[0], UnknownName)
    assert isinstance(cell(lab, "%forecast mine 24")[0], ColumnMissing)
    assert isinstance(cell(lab, "%forecast mine soon")[0], ParameterInvalid)


def test_a_measure_without_rows_says_so(lab, bare_store, monkeypatch):
    monkeypatch.setenv("GAUGEBOOK_DSN", bare_store.dsn.get_secret_value())
    assert isinstance(cell(lab, "%forecast cost_usd")[0], NoRows)


@pytest.mark.filterwarnings("ignore::IPython.core.completer.ProvisionalCompleterWarning")
def test_names_are_completed(lab):
    lab.user_ns["spend"] = seasonal(3)
    assert "llm_series" in completions(lab, "%gsql llm_se|")
    assert "since=" in completions(lab, "%gsql llm_series si|")
    assert "--limit" in completions(lab, "%%gsql df --li|\nSELECT 1")
    assert completions(lab, "%%gsql df --as p|\nSELECT 1") == {"polars", "pandas"}
    assert "metrics.rabbitmq_queues" in completions(lab, "%%gsql\nSELECT *\nFROM metrics.rabbitmq_q|")
    offered = completions(lab, "%%gsql\nSELECT cost_|\nFROM metrics.llm_requests_hourly")
    assert offered == {"cost_usd"}
    assert "r.cost_usd" in completions(lab, "%%gsql\nSELECT r.co| FROM metrics.llm_requests_hourly r WHERE true")
    assert ":spend" in completions(lab, "%%gsql\nSELECT :sp|")
    assert {"spend"} <= completions(lab, "%forecast sp|")
    assert "cost_usd" in completions(lab, "x = %anomalies cos|")
    assert "llm_series" not in completions(lab, "llm_se|")


def test_completion_of_a_store_that_is_away_is_empty_and_quick(lab, monkeypatch):
    monkeypatch.setenv("GAUGEBOOK_DSN", "postgresql://nobody@127.0.0.1:9/none")
    catalogue.forget()
    begun = time.monotonic()
    found = completion.matched("%%gsql\nSELECT ", 1, 7, {})
    assert found["completions"] == []
    assert found["suppress"]
    assert time.monotonic() - begun < 3


def test_it_lives_beside_jupysql_and_goes_without_a_trace(lab):
    ours = {name for kind in ("line", "cell") for name in lab.magics_manager.magics[kind]} & {
        *completion.NAMES,
        "gaugebook",
    }
    assert ours == {"gsql", "promql", "forecast", "anomalies", "gaugebook"}
    assert not ours & JUPYSQL
    lab.run_line_magic("reload_ext", "gaugebook")
    assert len(lab.Completer.custom_matchers) == 1
    lab.run_line_magic("unload_ext", "gaugebook")
    assert not lab.Completer.custom_matchers
    assert not {"gsql", "gaugebook"} & set(lab.magics_manager.magics["line"])
    lab.run_line_magic("load_ext", "gaugebook")


def test_a_column_of_a_frame_is_bound_as_a_list(lab):
    lab.user_ns["models"] = pl.Series(["o3"])
    frame, _ = cell(lab, "%gsql SELECT DISTINCT model FROM metrics.llm_requests_visible WHERE model = ANY (:models)")
    assert frame["model"].to_list() == ["o3"]


def test_a_place_is_found_behind_parameters_of_any_length():
    statement = Statement("select :long_name, :b, :long_name, fault")
    assert statement.sent == "select $1, $2, $1, fault"
    error = statement.refused("no", statement.sent.index("fault") + 1)
    assert error.shown.split("\n")[1].index("^") == error.shown.index("fault")
    error = statement.refused("no", statement.sent.index("$2") + 2)
    assert error.shown.split("\n")[1].index("^") == error.shown.index(":b")
