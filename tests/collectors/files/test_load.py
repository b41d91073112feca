"""Importing: real traces in full, twice, and what becomes of rows in error."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.files.cost import _alike
from collectors.files.load import Imported, load_llm, load_usage
from store.connect import connect
from store.errors import ColumnMissing, FileUnusable, ParameterInvalid, UnknownName
from store.settings import Settings, load

HEADER = "ts,model,input_tokens,output_tokens\n"
GOOD = "2024-01-01T00:00:00Z,gpt-4o,100,10\n"
START = "2024-01-01"


def fetch(settings: Settings, query: str) -> list[Any]:
    with connect(settings) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def lines_of(path: Path) -> int:
    """Lines after the header, as any other program counts them."""
    return len(path.read_text().splitlines()) - 1


@pytest.mark.parametrize(
    ("name", "loader", "options"),
    [
        ("AzureLLMInferenceTrace_code.csv", load_llm, {"preset": "azure-llm-2023", "constants": {"project": "code"}}),
        ("AzureLLMInferenceTrace_conv.csv", load_llm, {"preset": "azure-llm-2023"}),
        ("llmperf_requests.csv", load_llm, {"preset": "llmperf", "start": START}),
        ("servegen_m_small_10min.csv", load_usage, {"preset": "servegen", "start": START}),
    ],
)
def test_a_real_file_lands_in_full_and_a_copy_adds_nothing(
    store: Settings, data_folder: Path, tmp_path: Path, *, name: str, loader: Callable[..., Imported], options: dict
) -> None:
    path = data_folder / "llm_usage" / name
    expected = lines_of(path)
    assert loader(store, path, **options) == Imported(expected, expected, 0, 0)
    copy = tmp_path / "elsewhere.csv"
    copy.write_bytes(path.read_bytes())
    assert loader(store, copy, **options) == Imported(expected, 0, expected, 0)
    table = "metrics.llm_requests" if loader is load_llm else "metrics.llm_usage"
    assert fetch(store, f"SELECT count(*) FROM {table}") == [(expected,)]


def test_azure_on_every_back_end(any_store: Settings, data_folder: Path) -> None:
    path = data_folder / "llm_usage/AzureLLMInferenceTrace_code.csv"
    for written in (8819, 0):
        assert load_llm(any_store, path, preset="azure-llm-2023").written == written
    ((requests, tokens, first),) = fetch(
        any_store, "SELECT sum(requests), sum(input_tokens), min(bucket) FROM metrics.llm_requests_hourly"
    )
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    assert (requests, tokens) == (len(rows), sum(int(row[1]) for row in rows))
    assert first == datetime(2023, 11, 16, 18, tzinfo=UTC)


def test_llmperf_refusals_have_no_latency(store: Settings, data_folder: Path) -> None:
    load_llm(store, data_folder / "llm_usage/llmperf_requests.csv", preset="llmperf", start=START)
    by_status = """
        SELECT status, http_status, count(*), count(ttft_s), count(duration_s), count(output_tokens_per_s),
               count(output_tokens), min(usage_source) FROM metrics.llm_requests GROUP BY 1, 2, error_type ORDER BY 3
    """
    assert fetch(store, by_status) == [
        ("error", None, 1, 0, 0, 0, 0, "missing"),
        ("error", None, 146, 146, 146, 0, 146, "reported"),
        ("error", 429, 392, 0, 0, 0, 0, "missing"),
        ("ok", None, 2306, 2306, 2306, 2306, 2306, "reported"),
    ]
    assert fetch(store, "SELECT min(ts), max(ts) FROM metrics.llm_requests") == [
        (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=2844))
    ]


def test_servegen_sums_are_estimates(store: Settings, data_folder: Path) -> None:
    load_usage(store, data_folder / "llm_usage/servegen_m_small_10min.csv", preset="servegen", start=START)
    first = fetch(
        store,
        "SELECT ts, width_s, requests, input_tokens, output_tokens, usage_source, cost_usd, attrs "
        "FROM metrics.llm_usage ORDER BY ts LIMIT 1",
    )
    attrs = {"token_coverage": 0.3581, "active_clients": 20}
    expected = (600, 485857, round(485857 * 137.9), round(485857 * 19.8), "estimated", None, attrs)
    assert first == [(datetime(2024, 1, 1, tzinfo=UTC), *expected)]


def test_servegen_clients_are_projects(store: Settings, data_folder: Path) -> None:
    path = data_folder / "llm_usage/servegen_m_small_clients_10min.csv.gz"
    assert load_usage(store, path, preset="servegen", start=START) == Imported(40095, 40095, 0, 0)
    assert fetch(store, "SELECT count(DISTINCT project) FROM metrics.llm_usage") == [(43,)]


@pytest.mark.parametrize("means", [",", "NaN,nan"])
def test_a_window_without_requests(store: Settings, tmp_path: Path, means: str) -> None:
    path = tmp_path / "usage.csv"
    path.write_text(f"model,t_s,requests,mean_input_tokens,mean_output_tokens\nm,0,0.0,{means}\nm,600,5,{means}\n")
    assert load_usage(store, path, preset="servegen", start=START).written == 2
    query = "SELECT requests, input_tokens, output_tokens, usage_source FROM metrics.llm_usage ORDER BY ts"
    assert fetch(store, query) == [(0, 0, 0, "estimated"), (5, None, None, "missing")]


def test_equal_lines_are_two_requests(store: Settings, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(HEADER + GOOD + GOOD)
    assert load_llm(store, path) == Imported(2, 2, 0, 0)
    path.write_text(HEADER + GOOD + GOOD + GOOD)
    assert load_llm(store, path) == Imported(3, 1, 2, 0)


def test_every_format_and_the_same_rows(store: Settings, tmp_path: Path) -> None:
    rows = [
        {"ts": f"2024-01-01T00:00:0{n}Z", "request_id": f"r{n}", "input_tokens": n, "output_tokens": 1}
        for n in range(9)
    ]
    (tmp_path / "f.csv").write_text("\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]))
    (tmp_path / "f.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "f.parquet")
    results = [load_llm(store, tmp_path / name) for name in ("f.csv", "f.jsonl", "f.parquet")]
    assert [(result.written, result.duplicate) for result in results] == [(9, 0), (0, 9), (0, 9)]


def test_columns_constants_and_attributes(store: Settings, tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text(
        '{"created": 1704067200, "usage": {"prompt_tokens": 1000000, "completion_tokens": 0}, "region": "eu"}'
    )
    columns = {
        "ts": "created",
        "input_tokens": "usage.prompt_tokens",
        "output_tokens": "usage.completion_tokens",
        "attrs.region": "region",
    }
    load_llm(store, path, columns=columns, constants={"model": "gpt-4-turbo-preview", "provider": "openai"})
    query = "SELECT ts, input_tokens, cost_usd, attrs, price_version IS NOT NULL FROM metrics.llm_requests"
    ts = datetime(2024, 1, 1, tzinfo=UTC)
    assert fetch(store, query) == [(ts, 1_000_000, Decimal(10), {"region": "eu"}, True)]


def test_a_cost_in_the_file_is_kept_and_an_unknown_model_has_none(store: Settings, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(
        "ts,provider,model,input_tokens,output_tokens,cost_usd\n"
        "2024-01-01,openai,gpt-4,1000,0,0.0123\n2024-01-01,openai,no-such-model,1000,0,\n"
    )
    load_llm(store, path)
    query = "SELECT cost_usd, price_version FROM metrics.llm_requests ORDER BY model"
    assert fetch(store, query) == [(Decimal("0.0123"), None), (None, None)]


BAD_ROWS = {
    "negative tokens": ("2024-01-01,gpt-4o,-1,10", "input_tokens: '-1' is negative"),
    "a NaN": ("2024-01-01,gpt-4o,NaN,10", "input_tokens: 'NaN' is not a finite number"),
    "infinity": ("2024-01-01,gpt-4o,1,inf", "output_tokens: 'inf' is not a finite number"),
    "the future": (f"{datetime.now(UTC) + timedelta(days=3):%Y-%m-%d},gpt-4o,1,1", "in the future"),
    "the year 1": ("0001-01-01,gpt-4o,1,1", "the year 1 is out of range"),
    "no time": (",gpt-4o,1,1", "ts: there is no time"),
    "not a time": ("soon,gpt-4o,1,1", "ts: 'soon' is not a time"),
    "a NUL": ("2024-01-01,gpt\0,1,1", "model: has a NUL byte"),
    "a short row": ("2024-01-01,gpt-4o", "has 2 fields where the header has 4"),
    "half a token": ("2024-01-01,gpt-4o,1.5,1", "input_tokens: '1.5' is not a whole number"),
    "too many tokens": (f"2024-01-01,gpt-4o,{2**63},1", "is too large"),
}


@pytest.mark.parametrize(("bad", "reason"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_row_in_error_costs_one_row(store: Settings, tmp_path: Path, bad: str, reason: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(HEADER + GOOD + bad + "\n" + GOOD)
    imported = load_llm(store, path)
    assert (imported.rows, imported.written, imported.rejected) == (3, 2, 1)
    (problem,) = imported.problems
    assert problem.line == 3
    assert reason in str(problem)
    assert fetch(store, "SELECT count(*) FROM metrics.llm_requests") == [(2,)]


def test_the_future_is_told_after_the_shift(store: Settings, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(HEADER.replace("model,", "") + "0,1,1\n864000,1,1\n")
    start = datetime.now(UTC) - timedelta(hours=1)
    imported = load_llm(store, path, start=start)
    assert (imported.written, imported.rejected) == (1, 1)
    assert "in the future" in str(imported.problems[0])
    assert fetch(store, "SELECT ts FROM metrics.llm_requests") == [(start,)]


def test_a_second_row_for_a_bucket_is_told_and_not_lost_in_silence(store: Settings, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("ts,requests,input_tokens,output_tokens,key\n2024-01-01,1,1,1,a\n2024-01-01,2,2,2,b\n")
    imported = load_usage(store, path, constants={"width_s": "3600"})
    assert (imported.written, imported.rejected) == (1, 1)
    assert "second row for the same bucket" in str(imported.problems[0])
    with_key = load_usage(store, path, columns={"project": "key"}, constants={"width_s": "3600"})
    assert with_key == Imported(2, 2, 0, 0)


def test_years_of_rows_make_only_the_partitions_they_need(store: Settings, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(HEADER + "2001-01-01,m,1,1\n2024-01-01,m,1,1\n2001-01-02,m,1,1\n")
    assert load_llm(store, path).written == 3
    partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'metrics.llm_requests'::regclass"
    assert fetch(store, partitions)[0][0] <= 2 + 3  # and this month with the two after it


def test_missing_columns_write_nothing(store: Settings, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("ts,model,input_tokns,output_tokens\n" + GOOD)
    with pytest.raises(ColumnMissing, match="no column 'input_tokens': did you mean 'input_tokns'"):
        load_llm(store, path)
    with pytest.raises(ColumnMissing, match="did you mean 'input_tokns'"):
        load_llm(store, path, columns={"input_tokens": "input_toks"})
    with pytest.raises(ColumnMissing, match="no column 'TIMESTAMP'"):
        load_llm(store, path, preset="azure-llm-2023")
    assert fetch(store, "SELECT count(*) FROM metrics.llm_requests") == [(0,)]
    assert load_llm(store, path, columns={"input_tokens": ""}).written == 1


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"preset": "azure-llm-2024"}, UnknownName, "did you mean 'azure-llm-2023'"),
        ({"preset": "servegen"}, ParameterInvalid, "is for `gaugebook import usage`"),
        ({"preset": "llmperf"}, ParameterInvalid, "say when they begin"),
        ({"preset": "azure-llm-2023", "start": START}, ParameterInvalid, "dates of their own"),
        ({"start": "tomorrow"}, ParameterInvalid, "is not a time"),
        ({"constants": {"modl": "x"}}, UnknownName, "did you mean 'model'"),
        ({"constants": {"http_status": "9"}}, ParameterInvalid, "not an HTTP status"),
        ({"columns": {"tokens": "x"}}, UnknownName, "no field 'tokens'"),
    ],
)
def test_arguments_that_make_no_sense(tmp_path: Path, options: dict, error: type[Exception], reason: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(HEADER + GOOD)
    with pytest.raises(error, match=reason):
        load_llm(load(), path, dry_run=True, **options)


def test_a_dry_run_needs_no_database(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(HEADER + GOOD + "x\n")
    seen: list[tuple[int, int]] = []
    nowhere = load(dsn="postgresql://nobody@127.0.0.1:1/none")
    imported = load_llm(nowhere, path, dry_run=True, progress=lambda done, size: seen.append((done, size)))
    assert (imported.rows, imported.written, imported.rejected) == (2, 1, 1)
    assert seen[-1] == (path.stat().st_size,) * 2


def test_a_broken_gzip_keeps_what_came_before(store: Settings, data_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.csv.gz"
    path.write_bytes((data_folder / "llm_usage/servegen_m_small_clients_10min.csv.gz").read_bytes()[:200_000])
    with pytest.raises(FileUnusable, match=r"broken gzip file after line \d+"):
        load_usage(store, path, preset="servegen", start=START)
    ((landed,),) = fetch(store, "SELECT count(*) FROM metrics.llm_usage")
    assert landed > 10_000


def test_no_rows(store: Settings, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(HEADER)
    with pytest.raises(FileUnusable, match="has no rows"):
        load_llm(store, path)


@given(st.integers(1, 10**6), st.lists(st.integers(0, 10**9), min_size=4, max_size=4))
def test_a_bucket_is_shared_out_exactly(requests: int, sums: list[int]) -> None:
    groups = _alike(requests, sums)
    assert sum(many for many, _ in groups) == requests
    assert [sum(many * tokens[kind] for many, tokens in groups) for kind in range(4)] == sums
    for kind in range(4):
        assert max(tokens[kind] for _, tokens in groups) - min(tokens[kind] for _, tokens in groups) <= 1
