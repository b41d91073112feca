"""Precedence: one call that two sources report is one row, whoever comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import permutations
from threading import Barrier

import polars as pl
import psycopg
import pytest

from store.connect import connect
from store.rollup import refresh
from store.settings import load
from store.write import Precedence, Written, write, write_frame

TABLE, COLUMNS = "metrics.llm_requests", ("ts", "request_id", "provider", "source")
START = datetime(2026, 1, 31, 23, 59, 30, tzinfo=UTC)
RULE = Precedence(("tap", "otlp", "litellm"), 120)


def report(source: str, seconds: float = 0, name: str = "a", provider: str = "openai") -> tuple[object, ...]:
    return (START + timedelta(seconds=seconds), name, provider, source)


def found(settings) -> list[tuple[str, str]]:
    with connect(settings) as connection:
        return connection.execute("SELECT request_id, source FROM metrics.llm_requests ORDER BY 1, ts, 2").fetchall()


def by_rows(connection, rows, rule=RULE) -> Written:
    return write(connection, TABLE, COLUMNS, rows, precedence=rule)


def by_frame(connection, rows, rule=RULE) -> Written:
    return write_frame(connection, TABLE, pl.DataFrame(rows, COLUMNS, orient="row"), precedence=rule)


@pytest.mark.parametrize("way", [by_rows, by_frame])
def test_the_better_source_is_kept_whichever_comes_first(any_store, way):
    reports = [report("tap", 0), report("otlp", 40), report("litellm", -40)]
    with connect(any_store) as connection:
        for order in permutations(reports):
            for together in (True, False):
                parts = [list(order)] if together else [[one] for one in order]
                total = sum((way(connection, part) for part in parts), Written())
                assert (total.written, total.duplicate) == (1, 2), (order, together)
                assert connection.execute("SELECT source FROM metrics.llm_requests").fetchall() == [("tap",)]
                again = sum((way(connection, part) for part in parts), Written())
                assert again == Written(0, 3)
                connection.execute("DELETE FROM metrics.llm_requests")
                connection.commit()


def test_at_the_same_moment_the_key_is_the_same_and_the_better_one_still_wins(any_store):
    with connect(any_store) as connection:
        assert by_rows(connection, [report("otlp")]) == Written(1)
        assert by_rows(connection, [report("tap")]) == Written(0, 1)
        assert by_rows(connection, [report("litellm")]) == Written(0, 1)
    assert found(any_store) == [("a", "tap")]


def test_what_is_no_match(store):
    with connect(store) as connection:
        by_rows(connection, [report("tap")])
        others = [
            report("otlp", 121),  # too late
            report("otlp", -121),  # too early
            report("tap", -0.5),  # the same source
            report("otlp", 1, provider="anthropic"),
            report("otlp", 2, name="b"),
            report("import", 3),  # a source that is not listed
        ]
        assert by_rows(connection, others) == Written(6)
        assert by_rows(connection, [report("otlp", 120.5), report("otlp", 4, name="c")], None) == Written(2)
        assert by_rows(connection, [report("otlp", 5)], Precedence(("tap", "otlp"), 0)) == Written(1)
        assert by_rows(connection, [report("otlp", 6)], Precedence(("tap",), 60)) == Written(1)
        assert by_rows(connection, [report("otlp", 7)], Precedence(("tap", "otlp"), 0.5)) == Written(1)


def test_settings_make_the_rule():
    rule = Precedence.of(load(source_precedence=("otlp", "tap"), precedence_window_s=5))
    assert rule == Precedence(("otlp", "tap"), 5)
    assert rule.concerns({"tap"})
    assert not rule.concerns({"import", None})


def test_a_report_that_the_table_refuses_takes_nobodys_place(any_store):
    columns = (*COLUMNS, "input_tokens")
    with connect(any_store) as connection:
        assert by_rows(connection, [report("otlp")]) == Written(1)
        rows = [(*report("tap", 1), -1), (*report("tap", 1, "b"), 1)]
        outcome = write(connection, TABLE, columns, rows, precedence=RULE)
        assert (outcome.written, len(outcome.rejected)) == (1, 1)
    assert found(any_store) == [("a", "otlp"), ("b", "tap")]


def test_rollups_follow(any_store):
    with connect(any_store) as connection:
        by_rows(connection, [report("otlp", -40)])  # in the hour before, and the month before
    refresh(any_store)
    with connect(any_store) as connection:
        by_rows(connection, [report("tap", 40)])
    refresh(any_store)
    with connect(any_store) as connection:
        rows = connection.execute("SELECT bucket, requests FROM metrics.llm_requests_hourly").fetchall()
    assert rows == [(datetime(2026, 2, 1, tzinfo=UTC), 1)]


def test_two_writers_at_once_never_miss_each_other(any_store):
    calls, barrier = 60, Barrier(3)

    def one(source: str) -> Written:
        outcome = Written()
        with connect(any_store) as connection:
            by_rows(connection, [report("import", 0, f"first-{source}")])
            for n in range(0, calls, 3):
                barrier.wait()
                rows = [report(source, n + len(source), f"c{m}") for m in range(n, n + 3)]
                outcome += by_rows(connection, rows if source != "otlp" else rows[::-1])
        return outcome

    with ThreadPoolExecutor(3) as pool:
        total = sum(pool.map(one, RULE.sources), Written())
    assert (total.written, total.duplicate) == (calls, 2 * calls)
    rows = [source for name, source in found(any_store) if name.startswith("c")]
    assert rows == ["tap"] * calls


def test_a_batch_of_a_year_reads_what_is_near_and_not_the_year(store):
    day = timedelta(days=1)
    with connect(store) as connection:
        stored = [(START + n * day / 24, f"x{n}", "openai", "otlp") for n in range(365 * 24)]
        assert by_rows(connection, stored, None) == Written(len(stored))
        connection.execute("SET statement_timeout = '20s'")
        batch = [(START + n * day + timedelta(seconds=9), f"x{24 * n}", "openai", "tap") for n in range(365)]
        begun = datetime.now(UTC)
        assert by_rows(connection, batch) == Written(0, 365)
        assert datetime.now(UTC) - begun < timedelta(seconds=10)
        connection.rollback()


def test_the_function_is_nobodys_by_default_and_bounds_its_reach(store):
    with connect(store) as connection:
        allowed = connection.execute("SELECT has_function_privilege('pg_monitor', oid, 'EXECUTE') FROM pg_proc WHERE proname = 'supersede'")  # fmt: skip
        assert allowed.fetchall() == [(False,)]
        by_rows(connection, [report("otlp", 7200)], None)
        assert by_rows(connection, [report("tap")], Precedence(("tap", "otlp"), 10**6)) == Written(1)
    assert len(found(store)) == 2


def test_without_a_column_of_the_rule_nothing_is_matched(store):
    with connect(store) as connection:
        for n, source in enumerate(("tap", "otlp")):
            row = (START + timedelta(seconds=n), "a", source)
            assert write(connection, TABLE, ("ts", "request_id", "source"), [row], precedence=RULE) == Written(1)
        with pytest.raises(psycopg.errors.UndefinedTable):
            write(connection, "metrics.nothing", COLUMNS, [report("tap")], precedence=RULE)
