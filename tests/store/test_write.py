"""Writing: once each, whatever comes twice; nothing of a batch that is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from store.connect import connect
from store.write import Written, write

COLUMNS = ("ts", "request_id", "source", "input_tokens", "attrs")
START = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)


def requests(numbers: range) -> list[tuple[object, ...]]:
    return [(START + timedelta(seconds=n), f"r{n}", "test", n, {"n": n}) for n in numbers]


def stored(settings) -> list[int]:
    with connect(settings) as connection:
        rows = connection.execute(
            "SELECT input_tokens, (attrs->>'n')::int FROM metrics.llm_requests ORDER BY ts"
        ).fetchall()
    assert all(tokens == n for tokens, n in rows)
    return [n for n, _ in rows]


def test_a_row_that_comes_twice_is_one(any_store):
    with connect(any_store) as connection:
        assert write(connection, "metrics.llm_requests", COLUMNS, requests(range(100))) == Written(100, 0)
        assert write(connection, "metrics.llm_requests", COLUMNS, requests(range(50, 150))) == Written(50, 50)
        assert write(
            connection, "metrics.llm_requests", COLUMNS, [*requests(range(150, 152)), *requests(range(150, 152))]
        ) == Written(2, 2)
    assert stored(any_store) == list(range(152))


def test_the_first_to_come_stays(store):
    with connect(store) as connection:
        write(connection, "metrics.llm_requests", COLUMNS, requests(range(1)))
        later = [(START, "r0", "test", 999, {"n": 999})]
        assert write(connection, "metrics.llm_requests", COLUMNS, later) == Written(0, 1)
    assert stored(store) == [0]


def test_a_refused_batch_leaves_nothing_and_the_connection_lives(any_store):
    with connect(any_store) as connection:
        bad = [*requests(range(5)), (START, "bad", "test", -1, {})]
        with pytest.raises(psycopg.errors.CheckViolation):
            write(connection, "metrics.llm_requests", COLUMNS, bad)
        assert write(connection, "metrics.llm_requests", COLUMNS, requests(range(3))) == Written(3, 0)
    assert stored(any_store) == [0, 1, 2]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1])
def test_the_table_itself_refuses_what_is_no_latency(store, value):
    with connect(store) as connection, pytest.raises(psycopg.errors.CheckViolation):
        write(
            connection, "metrics.llm_requests", ("ts", "request_id", "source", "ttft_s"), [(START, "x", "test", value)]
        )


def test_every_month_from_the_first_to_the_last_has_room(any_store):
    rows = [
        (datetime(year, month, 15, tzinfo=UTC), f"{year}-{month}", "test", 0, {"n": 0})
        for year in (2003, 2026)
        for month in (1, 12)
    ]
    with connect(any_store) as connection:
        assert write(connection, "metrics.llm_requests", COLUMNS, rows) == Written(4, 0)


def test_nothing_to_write(store):
    with connect(store) as connection:
        assert write(connection, "metrics.llm_requests", COLUMNS, []) == Written()


def test_writers_of_the_same_rows_in_other_orders(any_store):
    """Eight writers, each with all rows, shuffled: every row is written once and nobody is left in a deadlock."""

    def one(seed: int) -> Written:
        rows = requests(range(400))
        rows = rows[seed * 50 :] + rows[: seed * 50]
        with connect(any_store) as connection:
            return sum(
                (write(connection, "metrics.llm_requests", COLUMNS, rows[i : i + 100]) for i in range(0, 400, 100)),
                Written(),
            )

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(8)), Written()) == Written(400, 7 * 400)
    assert stored(any_store) == list(range(400))
