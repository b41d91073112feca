"""Named queries and what comes back."""

from __future__ import annotations

import datetime as dt

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.connect import connect, engine
from store.errors import ParameterInvalid, StoreError, UnknownName, Unreachable
from store.queries import Query, named
from store.read import read
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
