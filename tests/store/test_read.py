"""Named queries and what comes back."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.arrow import frame
from store.batches import batches
from store.connect import connect, conninfo_for_reading, engine
from store.errors import ParameterInvalid, StoreError, UnknownName, Unreachable
from store.queries import Query, named
from store.read import read, stream
from store.settings import load
from store.write import write


def test_parameters_are_found_and_nothing_else():
    query = Query("x", "-- :comment\nSELECT ':string', \":name\", a::int, :one, '%' FROM t WHERE b = :two AND c = :one")
    assert query.parameters == ("one", "two")
    assert b"%(one)s, '%%'" in query.sql
    assert b"a::int" in query.sql


@pytest.mark.parametrize(
    ("given_", "says"), [({}, "'a'.*needs it"), ({"a": 1, "b": 2}, "'b'.*no such parameter; it takes a")]
)
def test_parameters_are_checked(given_, says):
    with pytest.raises(ParameterInvalid, match=says):
        Query("x", "SELECT :a").bound(given_)


@pytest.mark.parametrize("name", ["table_size", "../ledger", "common/0001_schemas", ""])
def test_an_unknown_query_is_named(name):
    with pytest.raises(UnknownName, match="table_sizes"):
        named(name)


@pytest.fixture(scope="module")
def plain_connection(embedded_server):
    with psycopg.connect(embedded_server.conninfo()) as connection:
        yield connection


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(
    st.one_of(
        texts,
        st.integers(-(2**62), 2**62),
        st.floats(allow_nan=False),
        st.none(),
        st.lists(texts, min_size=1),
        st.datetimes(timezones=st.just(dt.UTC)),
    )
)
def test_a_literal_is_the_value_it_was(plain_connection, value):
    query = Query("x", "SELECT :value::text[]" if isinstance(value, list) else "SELECT :value")
    row = plain_connection.execute(query.bound({"value": value}).encode()).fetchone()
    found = float(row[0]) if isinstance(value, float) else row[0]  # an untyped literal with a point is numeric
    assert found == value


def test_times_are_utc_and_types_are_kept(any_store):
    moment = dt.datetime(2026, 3, 29, 2, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    with connect(any_store) as connection:
        write(connection, "metrics.rabbitmq_overview", ("ts", "cluster"), [(moment, "c")])
    frame = read(any_store, "table_sizes").filter(name="rabbitmq_overview")
    assert frame["since"].dtype == pl.Datetime("us", "UTC")
    assert frame["since"][0] == dt.datetime(2026, 3, 29, 0, 30, tzinfo=dt.UTC)
    assert frame["rows"][0] == 1


def test_without_a_schema_it_says_what_to_do(empty_database):
    with pytest.raises(StoreError, match="gaugebook db migrate"):
        read(empty_database, "table_sizes")


@pytest.mark.parametrize(
    "reach", [connect, lambda settings: read(settings, "table_sizes"), lambda settings: engine(settings).connect()]
)
def test_an_unreachable_server_is_named_without_its_password(reach):
    settings = load(dsn="postgresql://me:geheim@127.0.0.1:1/x", connect_timeout_s=2)
    with pytest.raises(Unreachable) as caught:
        reach(settings)
    assert "me@127.0.0.1:1/x" in str(caught.value)
    assert "refused" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_sqlalchemy_reads_the_same_store(store):
    database = engine(store)
    with database.connect() as connection:
        assert connection.exec_driver_sql("SHOW timezone").scalar() == "UTC"
    database.dispose()


def fetched(settings, text):
    """What the SQL `text` gives, as a frame."""
    with closing(batches(conninfo_for_reading(settings), text, "query 'x'")) as found:
        return pl.concat(map(frame, found))


def running(settings, text):
    """How many sessions run `text`."""
    with connect(settings) as connection:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s AND pid <> pg_backend_pid()"
        )
        return connection.execute(query, [f"%{text}%"]).fetchone()[0]


def ends(settings, text):
    """Whether `text` stops running within five seconds."""
    until = time.monotonic() + 5
    while running(settings, text) and time.monotonic() < until:
        time.sleep(0.05)
    return not running(settings, text)


NOON = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
UTC_TIME = pl.Datetime("us", "UTC")
TYPES = {
    "true": (pl.Boolean, True),
    "1::smallint": (pl.Int16, 1),
    "2::int": (pl.Int32, 2),
    "3::bigint": (pl.Int64, 3),
    "1.5::real": (pl.Float32, 1.5),
    "2.5::float8": (pl.Float64, 2.5),
    "0.013315::numeric": (pl.Float64, 0.013315),
    "sum(3::bigint)": (pl.Float64, 3.0),
    "'Infinity'::numeric": (pl.Float64, float("inf")),
    "NULL::numeric": (pl.Float64, None),
    "'ß€😀'::text": (pl.String, "ß€😀"),
    "''::text": (pl.String, ""),
    "NULL::text": (pl.String, None),
    "timestamptz '2026-05-01 14:00+02'": (UTC_TIME, NOON),
    "timestamp '2026-05-01 12:00'": (UTC_TIME, NOON),
    "date '2026-05-01'": (pl.Date, NOON.date()),
    "time '12:00'": (pl.Time, dt.time(12)),
    """'{"a": 1}'::jsonb""": (pl.String, '{"a": 1}'),
    """'{"a": 1}'::json""": (pl.String, '{"a": 1}'),
    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid": (pl.String, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "NULL::uuid": (pl.String, None),
    r"'\x00ff'::bytea": (pl.Binary, b"\x00\xff"),
    "'{1,NULL,3}'::int[]": (pl.List(pl.Int32), [1, None, 3]),
    "'{}'::int[]": (pl.List(pl.Int32), []),
    "NULL::int[]": (pl.List(pl.Int32), None),
    "'{0.5}'::float8[]": (pl.List(pl.Float64), [0.5]),
    "'{0.5,NULL}'::numeric[]": (pl.List(pl.Float64), [0.5, None]),
    "'{a,b}'::text[]": (pl.List(pl.String), ["a", "b"]),
    "ARRAY['{}'::jsonb]": (pl.List(pl.String), ["{}"]),
}


def test_every_type_is_what_it_is_said_to_be(store):
    found = fetched(store, "SELECT " + ", ".join(f'{expression} AS "{n}"' for n, expression in enumerate(TYPES)))
    for n, (expression, (dtype, value)) in enumerate(TYPES.items()):
        assert found.schema[str(n)] == dtype, expression
        assert found[str(n)].to_list() == [value], expression


@pytest.mark.parametrize(
    ("expression", "name"),
    [("'10.0.0.1'::inet", "inet"), ("interval '1 day'", "interval"), ("tstzrange(now(), NULL)", "3910")],
)
def test_other_types_are_refused(store, expression, name):
    with pytest.raises(StoreError, match=rf"'what'.*{name}.*what::text"):
        fetched(store, f"SELECT {expression} AS what")


def test_every_table_and_rollup_can_be_read(any_store):
    with connect(any_store) as connection:
        names = connection.execute("""
            SELECT table_schema || '.' || table_name FROM information_schema.tables
            WHERE table_schema IN ('metrics', 'analytics') AND table_name ~ '^(llm|rabbitmq|forecasts|anomalies|report)'
        """).fetchall()
    assert {("metrics.llm_requests",), ("metrics.llm_requests_hourly",), ("analytics.report_run",)} <= set(names)
    for (name,) in names:
        assert fetched(any_store, f"SELECT * FROM {name} LIMIT 0").width > 1


def test_the_session_is_in_utc_and_only_reads(store):
    with connect(store, autocommit=True) as connection:
        connection.execute(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone TO ''Asia/Kolkata''', current_database()); END $$"
        )
        connection.execute("CREATE SEQUENCE numbers")
    assert fetched(store, "SELECT current_setting('TimeZone') AS zone")["zone"].to_list() == ["UTC"]
    with pytest.raises(StoreError, match="read-only"):
        fetched(store, "SELECT nextval('numbers') AS n")


def test_an_empty_result_has_its_columns(store):
    span = {"since": NOON, "until": NOON}
    whole = read(store, "llm_points", **span)
    assert whole.shape == (0, 5)
    assert whole.schema["ts"] == UTC_TIME
    assert [part.schema for part in stream(store, "llm_points", **span)] == [whole.schema]


@pytest.fixture
def samples(store):
    """A store with 1000 samples."""
    rows = [(NOON + dt.timedelta(seconds=n), "c", None if n % 7 else n, n / 3) for n in range(1000)]
    with connect(store) as connection:
        write(connection, "metrics.rabbitmq_queues", ("ts", "cluster", "vhost", "queue", "messages", "published_per_s"), [
            (ts, cluster, "/", f"queue-{messages}", messages, rate) for ts, cluster, messages, rate in rows
        ])  # fmt: skip
    return store


SPAN = {"since": NOON, "until": NOON + dt.timedelta(days=1)}


def test_a_stream_is_the_whole_in_parts(samples):
    whole = read(samples, "queue_samples", **SPAN)
    parts = list(stream(samples, "queue_samples", rows=300, **SPAN))
    assert [len(part) for part in parts] == [300, 300, 300, 100]
    assert pl.concat(parts).equals(whole)
    with pytest.raises(ParameterInvalid, match="'rows'"):
        stream(samples, "queue_samples", rows=0, **SPAN)


def test_pandas_has_the_types_of_arrow(samples):
    found = read(samples, "queue_samples", as_="pandas", **SPAN)
    assert {type(dtype).__name__ for dtype in found.dtypes} == {"ArrowDtype"}
    assert str(found["ts"].dtype) == "timestamp[us, tz=UTC][pyarrow]"
    assert found["messages"].isna().sum() == 857
    with pytest.raises(UnknownName, match="kind of frame 'panda'"):
        read(samples, "queue_samples", as_="panda", **SPAN)


def test_the_replica_is_read_where_there_is_one(samples):
    settings = load(dsn="postgresql://me@127.0.0.1:1/x", dsn_read=samples.dsn)
    assert len(read(settings, "queue_samples", **SPAN)) == 1000


ENDLESS = "SELECT generate_series(1, 1000000000) AS n, repeat('x', 100) AS text"


def test_a_stream_that_is_left_ends_in_the_server(store):
    found = batches(conninfo_for_reading(store), ENDLESS, "query 'x'")
    assert len(next(found)) > 1000
    assert running(store, "1000000000")
    begun = time.monotonic()
    found.close()
    assert time.monotonic() - begun < 3
    assert ends(store, "1000000000")


def test_ctrl_c_ends_it_at_once(store):
    timer = threading.Timer(0.7, os.kill, [os.getpid(), signal.SIGINT])
    begun = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        fetched(store, "SELECT pg_sleep(60)::text AS slept")
    assert time.monotonic() - begun < 5
    assert ends(store, "pg_sleep(60)")


def test_an_error_in_the_midst_of_a_result_is_told(store):
    found = batches(conninfo_for_reading(store), "SELECT 1 / (900000 - generate_series(1, 1000000)) AS n", "query 'x'")
    assert len(next(found)) > 1000
    with pytest.raises(StoreError, match=r"query 'x': division by zero"):
        list(found)


def test_a_statement_timeout_is_told(store):
    with connect(store, autocommit=True) as connection:
        connection.execute(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET statement_timeout TO 200', current_database()); END $$"
        )
    with pytest.raises(StoreError, match=r"query 'x': canceling statement due to statement timeout"):
        fetched(store, "SELECT pg_sleep(60)::text AS slept")


def test_a_stream_needs_little_memory(store):
    """240 MB go through a process of their own."""
    program = """
import re, sys
from store.arrow import frame
from store.batches import batches
query = "SELECT generate_series(1, 2000000) AS n, repeat('x', 100) || random() AS text"
rows = sum(len(frame(batch)) for batch in batches(sys.argv[1], query, "x"))
print(rows, re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, conninfo_for_reading(store)], capture_output=True, text=True, check=True
    )
    rows, kilobytes = map(int, ended.stdout.split())
    assert rows == 2_000_000
    assert kilobytes < 220 * 1024
