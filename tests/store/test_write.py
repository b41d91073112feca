"""Writing: once each, whatever comes twice; what cannot be stored is rejected with its reason and the rest goes on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from operator import is_
from uuid import uuid4

import polars as pl
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from store.connect import connect
from store.errors import UnknownName
from store.write import Precedence, Written, write, write_frame

TABLE = "metrics.llm_requests"
COLUMNS = ("ts", "request_id", "source", "input_tokens", "attrs")
START = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)


def requests(numbers: range) -> list[tuple[object, ...]]:
    return [(START + timedelta(seconds=n), f"r{n}", "test", n, {"n": n}) for n in numbers]


def frame(rows: list[tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame([(*row[:4], json.dumps({"n": row[3]})) for row in rows], COLUMNS, orient="row")


def by_rows(connection, rows):
    return write(connection, TABLE, COLUMNS, rows)


def by_frame(connection, rows):
    return write_frame(connection, TABLE, frame(rows))


def by_arrow(connection, rows):
    return write_frame(connection, TABLE, frame(rows).to_arrow())


WAYS = pytest.mark.parametrize("way", [by_rows, by_frame, by_arrow])


def stored(settings) -> list[int]:
    with connect(settings) as connection:
        rows = connection.execute(
            "SELECT input_tokens, (attrs->>'n')::int FROM metrics.llm_requests ORDER BY ts"
        ).fetchall()
    assert all(tokens == n for tokens, n in rows)
    return [n for n, _ in rows]


@WAYS
def test_a_row_that_comes_twice_is_one(any_store, way):
    with connect(any_store) as connection:
        assert way(connection, requests(range(100))) == Written(100, 0)
        assert way(connection, requests(range(50, 150))[::-1]) == Written(50, 50)
        assert way(connection, [*requests(range(150, 152)), *requests(range(150, 152))]) == Written(2, 2)
    assert stored(any_store) == list(range(152))


@WAYS
def test_the_first_to_come_stays(store, way):
    with connect(store) as connection:
        assert way(connection, [(START, "r0", "first", 0, {}), (START, "r0", "second", 0, {})]) == Written(1, 1)
        assert way(connection, [(START, "r0", "third", 0, {})]) == Written(0, 1)
        assert connection.execute("SELECT source FROM metrics.llm_requests").fetchall() == [("first",)]


@pytest.mark.parametrize("way", [by_rows, by_frame])
def test_every_month_from_the_first_to_the_last_has_room(any_store, way):
    rows = [
        (datetime(year, month, 15, tzinfo=UTC), f"{year}-{month}", "test", 0, {"n": 0})
        for year in (2003, 2026)
        for month in (1, 12)
    ]
    with connect(any_store) as connection:
        assert way(connection, rows) == Written(4, 0)


@WAYS
def test_nothing_to_write(store, way):
    with connect(store) as connection:
        assert way(connection, []) == Written()


def test_a_column_that_is_not_there_has_a_name(store):
    with connect(store) as connection, pytest.raises(UnknownName, match="did you mean 'input_tokens'"):
        write(connection, TABLE, ("ts", "input_token"), [(START, 1)])


def test_a_table_that_is_not_there_is_no_bad_row(store):
    with connect(store) as connection, pytest.raises(psycopg.errors.UndefinedTable):
        write(connection, "metrics.nothing", ("ts",), [(START,)])


# Within the bound of text, beyond that of an index, and not to be compressed.
LONG_KEY = "".join(chr(33 + n * n % 90) + str(n * 7919 % 99991) for n in range(1500))
# Bad values: column, value, and what the reason says.
ODD = [
    ("input_tokens", "5", "is no integer"),
    ("input_tokens", 1.5, "is no integer"),
    ("input_tokens", float("nan"), "is no integer"),
    ("input_tokens", float("inf"), "is no integer"),
    ("input_tokens", 2**63, "is out of the range of bigint"),
    ("http_status", 70_000, "is out of the range of smallint"),
    ("input_tokens", -1, "input_tokens >= 0"),
    ("ttft_s", -0.1, "ttft_s >= "),
    ("ttft_s", float("nan"), "ttft_s < "),
    ("ttft_s", float("inf"), "ttft_s < "),
    ("ttft_s", "fast", "is no number"),
    ("cost_usd", Decimal("NaN"), "cost_usd < "),
    ("cost_usd", float("inf"), "cost_usd < "),
    ("cost_usd", Decimal("1E+100000"), "has more than 1,000 digits"),
    ("cost_usd", "1.5", "is no number"),
    ("streamed", "yes", "is neither true nor false"),
    ("streamed", 1, "is neither true nor false"),
    ("model", 5, "is no text"),
    ("model", b"gpt", "is no text"),
    ("model", "a\0b", "NUL"),
    ("model", "a" * 2**20, "10,000"),
    ("model", "half \ud83d", "surrogate"),
    ("model", None, "null value"),
    ("status", "fine", "status"),
    ("request_id", LONG_KEY, ""),
    ("ts", datetime(1, 1, 1, tzinfo=UTC), "2000 to 2199"),
    ("ts", datetime.max.replace(tzinfo=UTC), "2000 to 2199"),
    ("ts", datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))), "2000 to 2199"),
    ("ts", datetime(2026, 1, 1), "zone"),
    ("ts", "2026-01-01", "is no datetime"),
    ("ts", None, "missing"),
    ("attrs", {"a": float("nan")}, "JSON"),
    ("attrs", {"a": "\ud83d"}, "surrogate"),
    ("attrs", {"a": "\0"}, "attrs = "),
    ("attrs", {"a": "x" * 70_000}, "65,536"),
    ("attrs", {"a": object()}, "JSON"),
    ("attrs", "{not JSON", "json"),
]
FIELDS = (
    *("ts", "request_id", "source", "status", "model", "streamed", "http_status"),
    *("input_tokens", "ttft_s", "cost_usd", "attrs"),
)
TYPES = {
    "ts": pl.Datetime("us", "UTC"),
    "streamed": pl.Boolean,
    "http_status": pl.Int16,
    "input_tokens": pl.Int64,
    "ttft_s": pl.Float64,
    "cost_usd": pl.Decimal(38, 10),
}


def good(n: int) -> dict[str, object]:
    return {
        "ts": START + timedelta(seconds=n), "request_id": f"r{n}", "source": "test", "status": "ok", "model": "m",
        "streamed": True, "http_status": 200, "input_tokens": n, "ttft_s": 0.5, "cost_usd": Decimal("0.1"), "attrs": None,
    }  # fmt: skip


def test_each_bad_row_is_rejected_with_its_reason_and_its_batch_goes_on(any_store):
    rows, bad = [], {}
    for n, (column, value, reason) in enumerate(ODD):
        rows += [good(2 * n), good(2 * n + 1) | {column: value}]
        bad[2 * n + 1] = (column, reason)
    with connect(any_store) as connection:
        outcome = write(connection, TABLE, FIELDS, [tuple(row[name] for name in FIELDS) for row in rows])
        assert (outcome.written, outcome.duplicate, len(outcome.rejected)) == (len(ODD), 0, len(ODD))
        reasons = {}
        for rejected in outcome.rejected:
            same = (all(map(is_, rejected.row, row.values())) for row in rows)
            reasons[[*same].index(True)] = rejected.reason
        for index, (column, reason) in bad.items():
            assert column in reasons[index] or not reason, (column, reasons[index])
            assert reason in reasons[index], (column, reasons[index])
            assert len(reasons[index]) < 300
        ids = {row[0] for row in connection.execute("SELECT request_id FROM metrics.llm_requests")}
    assert ids == {f"r{2 * n}" for n in range(len(ODD))}


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("input_tokens", [1.0, 1.5, float("nan"), None], "is no integer"),
        ("input_tokens", [1.0, float("inf"), float("-inf"), None], "is no integer"),
        ("input_tokens", [1, -1, -2, None], "input_tokens >= 0"),
        ("input_tokens", pl.Series([1, 2**63, 2**64 - 1, None], dtype=pl.UInt64), "out of the range"),
        ("http_status", [200, 70_000, -70_000, None], "out of the range of smallint"),
        ("ttft_s", [0.5, float("nan"), float("inf"), None], "ttft_s < "),
        ("ttft_s", [0.5, -0.5, -1.0, None], "ttft_s >= "),
        ("cost_usd", [0.5, float("nan"), float("inf"), None], "cost_usd < "),
        ("cost_usd", [Decimal("0.5"), Decimal(-1), Decimal(-2), None], "cost_usd >= "),
        ("model", ["m", "a\0b", "\0", "n"], "NUL"),
        ("model", ["m", "a" * 2**20, "b" * 10_001, "é" * 10_000], "10,000"),
        ("model", pl.Series(["m", "half \ud83d", b"x", "n"], dtype=pl.Object), "model = "),
        ("status", pl.Series(["ok", "fine", "good", "error"], dtype=pl.Categorical), "status"),
        ("ts", [START, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC), START], "2000 to 2199"),
        ("attrs", ['{"a": 1}', "{a", '"\\u0000"', None], "attrs = "),
        ("attrs", ['{"a": 1}', '"' + "x" * 70_000 + '"', "[" + " " * 70_000 + "]", None], "65,536"),
    ],
)
def test_a_frame_is_checked_like_rows(store, column, values, reason):
    rows = [good(n) for n in range(4)]
    data = pl.DataFrame(rows, {name: TYPES.get(name, pl.String) for name in FIELDS})
    data = data.with_columns(values.alias(column) if isinstance(values, pl.Series) else pl.Series(column, values))
    with connect(store) as connection:
        outcome = write_frame(connection, TABLE, data)
        assert (outcome.written, outcome.duplicate) == (2, 0), outcome
        assert len(outcome.rejected) == 2
        assert all(reason in rejected.reason and column in rejected.reason for rejected in outcome.rejected), outcome
        ids = connection.execute("SELECT request_id FROM metrics.llm_requests ORDER BY 1").fetchall()
    assert ids == [("r0",), ("r3",)]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("input_tokens", ["1", "2", None]),
        ("ttft_s", ["1", "2", None]),
        ("cost_usd", ["1", "2", None]),
        ("attrs", [1, 2, None]),
        ("streamed", [1, 2, None]),
        ("response_model", [1, 2, None]),
    ],
)
def test_a_frame_with_a_column_of_another_type(store, column, values):
    data = pl.DataFrame([good(n) for n in range(3)], {name: TYPES.get(name, pl.String) for name in FIELDS})
    with connect(store) as connection:
        outcome = write_frame(connection, TABLE, data.with_columns(pl.Series(column, values)))
    assert (outcome.written, len(outcome.rejected)) == (1, 2)
    assert all(f"{column} = " in rejected.reason for rejected in outcome.rejected)


def test_a_frame_without_a_zone_is_rejected_and_one_of_another_zone_is_not(store):
    naive = frame(requests(range(3))).with_columns(pl.col("ts").dt.replace_time_zone(None))
    berlin = frame(requests(range(3))).with_columns(
        pl.col("ts").dt.convert_time_zone("Europe/Berlin").dt.cast_time_unit("ns")
    )
    with connect(store) as connection:
        assert len(write_frame(connection, TABLE, naive).rejected) == 3
        assert write_frame(connection, TABLE, berlin) == Written(3)
        assert write(connection, TABLE, COLUMNS, requests(range(3))) == Written(0, 3)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(costs=st.lists(st.decimals(0, 10**20, places=12), min_size=1, max_size=50))
def test_a_cost_stays_exact(store, costs):
    name = uuid4().hex
    rows = [(START, f"{name}-{n}", "test", cost) for n, cost in enumerate(costs)]
    schema = {"ts": pl.Datetime("us", "UTC"), "request_id": pl.String, "source": pl.String, "cost_usd": pl.Decimal(38, 12)}  # fmt: skip
    with connect(store) as connection:
        write_frame(connection, TABLE, pl.DataFrame(rows, schema, orient="row"))
        write(connection, TABLE, tuple(schema), [(ts, f"row-{key}", *rest) for ts, key, *rest in rows])
        for prefix in ("", "row-"):
            found = connection.execute(
                "SELECT request_id, cost_usd FROM metrics.llm_requests WHERE starts_with(request_id, %s)", [prefix + name]
            )  # fmt: skip
            assert dict(found.fetchall()) == {f"{prefix}{name}-{n}": cost for n, cost in enumerate(costs)}


def test_struct_and_arrow_columns(store):
    data = frame(requests(range(2))).with_columns(pl.Series("attrs", [{"n": 0}, {"n": 1}]))
    with connect(store) as connection:
        assert write_frame(connection, TABLE, data) == Written(2)
        arrow = pa.table({"run_id": [str(uuid4())], "made_at": [START], "target": ["t"], "unique_id": ["u"], "ds": [START],
                          "until": [START], "y": [1], "expected": [1.5], "score": [2.0]})  # fmt: skip
        assert write_frame(connection, "analytics.anomalies", arrow) == Written(1)
        assert write_frame(connection, "analytics.anomalies", arrow) == Written(0, 1)
    assert stored(store) == [0, 1]


@pytest.mark.parametrize("way", [by_rows, by_frame])
def test_writers_of_the_same_rows_in_other_orders(any_store, way):
    """Eight writers, each with all rows, shuffled: every row is written once and nobody is left in a deadlock."""

    def one(seed: int) -> Written:
        rows = requests(range(400))
        rows = rows[seed * 50 :] + rows[: seed * 50]
        with connect(any_store) as connection:
            return sum((way(connection, rows[i : i + 100]) for i in range(0, 400, 100)), Written())

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(8)), Written()) == Written(400, 7 * 400)
    assert stored(any_store) == list(range(400))


def test_inside_a_transaction_the_batch_belongs_to_it(store):
    with connect(store) as connection:
        connection.execute("SELECT 1")
        assert write(connection, TABLE, COLUMNS, requests(range(3))) == Written(3)
        assert write(connection, TABLE, COLUMNS, requests(range(2, 5))) == Written(2, 1)
        connection.rollback()
        assert write(connection, TABLE, COLUMNS, requests(range(1))) == Written(1)
    assert stored(store) == [0]


def test_a_statement_timeout_is_the_callers_and_leaves_nothing(store):
    with connect(store) as blocker, connect(store, autocommit=True) as connection:
        write(connection, TABLE, COLUMNS, requests(range(1)))
        blocker.execute("LOCK TABLE metrics.llm_requests IN EXCLUSIVE MODE")
        connection.execute("SET statement_timeout = '200ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            write(connection, TABLE, COLUMNS, requests(range(5)))
        blocker.rollback()
        connection.execute("RESET statement_timeout")
        assert write(connection, TABLE, COLUMNS, requests(range(5))) == Written(4, 1)


def test_a_lost_connection_is_the_callers_and_leaves_nothing(store):
    with connect(store, autocommit=True) as other:
        connection = connect(store)
        write(connection, TABLE, COLUMNS, requests(range(1)))
        other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            write(connection, TABLE, COLUMNS, requests(range(5)))
        connection.close()
    assert stored(store) == [0]


def test_a_deadlock_is_tried_again(store):
    """Each of two transactions holds a row that the other one writes next: PostgreSQL ends one, and it comes again."""
    with connect(store) as connection, connect(store) as other:
        write(connection, TABLE, COLUMNS, requests(range(1)))
        other.execute("SET deadlock_timeout = '10s'")
        other.commit()
        other.execute(
            "INSERT INTO metrics.llm_requests (ts, request_id, source) VALUES (%s, 'r2', 'x')", [requests(range(3))[2][0]]
        )  # fmt: skip
        connection.execute("SET deadlock_timeout = '50ms'")
        connection.commit()
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write, connection, TABLE, COLUMNS, requests(range(1, 3)))
            while not other.execute(
                "SELECT FROM pg_locks WHERE NOT granted AND database IS NOT NULL OR NOT granted"
            ).rowcount:
                threading.Event().wait(0.01)  # until it has r1 and waits for r2
            other.execute(
                "INSERT INTO metrics.llm_requests (ts, request_id, source) VALUES (%s, 'r1', 'x')", [requests(range(2))[1][0]]
            )  # fmt: skip
            other.commit()
            assert writing.result() == Written(0, 2)


def test_a_partition_that_retention_dropped_is_made_again(store):
    with connect(store) as connection:
        assert write(connection, TABLE, COLUMNS, requests(range(2))) == Written(2)
        connection.execute("DROP TABLE metrics.llm_requests_2026_01")
        connection.commit()
        assert write(connection, TABLE, COLUMNS, requests(range(2))) == Written(2)


@pytest.mark.parametrize("way", [by_rows, by_frame])
def test_rows_of_months_that_are_no_longer_kept_are_rejected(store, way):
    old = [(datetime(2019, 5, day, tzinfo=UTC), f"o{day}", "test", 0, {"n": 0}) for day in (1, 2)]
    with connect(store) as connection:
        connection.execute("UPDATE metrics.policies SET raw_until = '2020-01-01Z'")
        connection.commit()
        outcome = way(connection, [*old, *requests(range(2))])
    assert (outcome.written, len(outcome.rejected)) == (2, 2)
    assert all("no longer kept" in rejected.reason for rejected in outcome.rejected)


@contextmanager
def insert_only(settings, grants: list[str]) -> Iterator[psycopg.Connection]:
    """A connection of a role that may insert and do what `grants` say, and no more."""
    role = f"gaugebook_test_{uuid4().hex[:12]}"
    name = sql.Identifier(role)
    with connect(settings, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        try:
            for grant in ["USAGE ON SCHEMA metrics", f"INSERT ON {TABLE}", *grants]:
                owner.execute(sql.SQL("GRANT {} TO {}").format(sql.SQL(grant), name))
            with psycopg.connect(settings.dsn.get_secret_value()) as connection:
                connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(name))
                connection.commit()
                yield connection
        finally:
            owner.execute(sql.SQL("DROP OWNED BY {}").format(name))
            owner.execute(sql.SQL("DROP ROLE {}").format(name))


def test_a_role_that_may_only_insert_can_write(any_store):
    may = [
        "EXECUTE ON PROCEDURE metrics.ensure_partitions",
        *(f"EXECUTE ON FUNCTION metrics.{name}" for name in ("supersede", "newest")),
    ]
    names = ("ts", "request_id", "provider", "source", "input_tokens")
    tap, otlp = (START, "a", "p", "tap", 1), (START + timedelta(seconds=1), "a", "p", "otlp", 1)
    rule = Precedence(("tap", "otlp"), 60)
    with insert_only(any_store, may) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM metrics.llm_requests")
        connection.rollback()
        assert write(connection, TABLE, names, [otlp], precedence=rule) == Written(1)
        outcome = write(connection, TABLE, names, [otlp, tap, (START, "b", "p", "tap", -1)], precedence=rule)
        assert (outcome.written, outcome.duplicate, len(outcome.rejected)) == (0, 2, 1)
        assert write_frame(connection, TABLE, frame(requests(range(3)))) == Written(3)
    with connect(any_store) as connection:
        found = connection.execute("SELECT source FROM metrics.llm_requests WHERE request_id = 'a'").fetchall()
    assert found == [("tap",)]


def test_a_whole_batch_of_bad_rows(store):
    rows = [(START + timedelta(seconds=n), f"r{n}", "test", -1, {}) for n in range(2000)]
    with connect(store) as connection:
        outcome = write(connection, TABLE, COLUMNS, rows)
    assert (outcome.written, len(outcome.rejected)) == (0, 2000)
    assert [rejected.row for rejected in outcome.rejected] == rows


def test_no_slow_import_on_a_collector():
    import subprocess
    import sys

    code = "import sys, store.write, store.deadletter; print([m for m in ('polars', 'pyarrow', 'pandas', 'numpy', 'pgpq') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
