"""Refreshing the rollups: many at once take turns, and what commits in between is not lost, as it is with a naive trigger."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from store.connect import connect
from store.queries import named
from store.rollup import refresh
from store.write import write
from tests.fix_postgres import migrated

HOUR = datetime(2026, 5, 4, 10, tzinfo=UTC)
COLUMNS = ("ts", "request_id", "source")

# What comes to mind first: a trigger keeps one mark for each hour that is dirty.
NAIVE = """
CREATE SCHEMA naive;
CREATE TABLE naive.raw (ts timestamptz);
CREATE TABLE naive.dirty (bucket timestamptz PRIMARY KEY);
CREATE TABLE naive.hourly (bucket timestamptz PRIMARY KEY, requests bigint);
CREATE FUNCTION naive.mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO naive.dirty SELECT DISTINCT date_trunc('hour', ts) FROM new_rows ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER mark AFTER INSERT ON naive.raw REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION naive.mark();
CREATE PROCEDURE naive.refresh() LANGUAGE sql AS $$
    INSERT INTO naive.hourly SELECT bucket, count(*) FROM naive.dirty JOIN naive.raw ON date_trunc('hour', ts) = bucket GROUP BY bucket
    ON CONFLICT (bucket) DO UPDATE SET requests = excluded.requests;
    DELETE FROM naive.dirty;
$$;
"""


def test_refreshers_at_once_take_turns(any_store):
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            list(pool.map(refresh, [any_store] * 4))


def lags(settings):
    with connect(settings) as connection:
        return {name: (lag_s, late) for name, lag_s, late in connection.execute(named("rollup_lag").sql)}


def test_the_lag_of_rollups_is_since_the_last_refresh_where_something_waits(any_store):
    refresh(any_store)
    assert lags(any_store).keys() == {"llm_requests", "llm_usage", "rabbitmq_queues"}
    assert all(0 <= lag_s < 60 and not late for lag_s, late in lags(any_store).values())
    with connect(any_store) as connection:
        plain = connection.execute("SELECT to_regclass('metrics.rollup_log') IS NOT NULL").fetchone() == (True,)
        now = datetime.now(UTC)
        rows = [(now, "now", "test"), *((HOUR + timedelta(hours=n // 2), f"r{n}", "test") for n in range(6))]
        write(connection, "metrics.llm_requests", COLUMNS, rows)
        connection.execute("UPDATE metrics.policies SET last_refresh = now() - interval '3 hours'")
    found = lags(any_store)
    if plain:  # TimescaleDB's policies have been at it meanwhile, or are yet to begin
        assert found["llm_requests"] == (pytest.approx(10_800, abs=60), 3)
        assert found["llm_usage"] == (0, 0)
        refresh(any_store)
        assert lags(any_store)["llm_requests"] == (0, 0)
    else:
        assert all(late is None for _, late in found.values())
        with connect(any_store) as connection:
            connection.execute("UPDATE audit.schema_migrations SET applied_at = applied_at - interval '4 hours'")
        assert all(0 <= lag_s <= 10_860 for lag_s, _ in lags(any_store).values())


def test_the_lag_of_rollups_before_the_first_refresh_is_since_there_is_a_schema(store):
    with connect(store) as connection:
        write(connection, "metrics.llm_requests", COLUMNS, [(HOUR, "r", "test")])
        connection.execute("UPDATE metrics.policies SET last_refresh = NULL")
        connection.execute("UPDATE audit.schema_migrations SET applied_at = now() - interval '5 hours'")
    assert lags(store)["llm_requests"] == (pytest.approx(18_000, abs=60), 1)


def test_a_naive_trigger_loses_the_row_of_a_writer_that_commits_after_the_refresh(store):
    with connect(store) as early, connect(store) as late, connect(store, autocommit=True) as refresher:
        refresher.execute(NAIVE)
        early.execute("INSERT INTO naive.raw VALUES (%s)", [HOUR])
        early.commit()
        late.execute("INSERT INTO naive.raw VALUES (%s)", [HOUR])  # finds the mark there, and adds none
        refresher.execute("CALL naive.refresh()")
        late.commit()
        refresher.execute("CALL naive.refresh()")
        assert refresher.execute("SELECT requests FROM naive.hourly").fetchone() == (1,)  # of two


def test_ours_does_not(any_store):
    def request(name: str) -> list[tuple[object, ...]]:
        return [(HOUR, name, "test")]

    with connect(any_store) as early, connect(any_store) as late, connect(any_store) as reader:
        write(early, "metrics.llm_requests", COLUMNS, request("early"))
        early.commit()
        write(late, "metrics.llm_requests", COLUMNS, request("late"))  # not committed: the caller's transaction is open
        refresh(any_store)
        late.commit()
        refresh(any_store)
        assert reader.execute("SELECT requests FROM metrics.llm_requests_hourly").fetchone() == (2,)


def test_what_is_truncated_leaves_the_rollups(any_store):
    old = HOUR - timedelta(hours=30)
    with connect(any_store, autocommit=True) as connection:

        def counted() -> list[tuple[object, ...]]:
            both = "SELECT sum(requests) FROM metrics.llm_requests_hourly UNION ALL SELECT sum(requests) FROM metrics.llm_requests_daily"
            return connection.execute(both).fetchall()

        write(connection, "metrics.llm_requests", COLUMNS, [(HOUR, "a", "test"), (old, "b", "test")])
        refresh(any_store)
        assert counted() == [(2,), (2,)]
        connection.execute("TRUNCATE metrics.llm_requests")
        write(connection, "metrics.llm_requests", COLUMNS, [(HOUR, "c", "test")])
        refresh(any_store)
        assert counted() == [(1,), (1,)]


STORED = """
SELECT bucket, model, team, requests, errors, input_tokens, cost_usd, round(ttft_sum::numeric, 6), round(ttft_sumsq::numeric, 6),
       ttft_min, ttft_max, ttft_hist, duration_hist, tpot_hist
FROM {} ORDER BY bucket, model, team
"""
ANEW = {
    "metrics.llm_requests_hourly_stored": "metrics.llm_requests_rollup('-infinity', 'infinity')",
    "metrics.llm_requests_daily_stored": "(SELECT array_agg(ts), array_agg(request_id) FROM metrics.llm_requests) AS late (at, id),"
    " metrics.llm_requests_rollup_of('day', at, id)",
}
LATE = ("ts", "request_id", "source", "model", "team", "status", "input_tokens", "cost_usd", "ttft_s", "duration_s")


def late(count: int, seed: int, *, hours: int = 24 * 20) -> list[tuple[object, ...]]:
    """Requests that fall into any hour of a few weeks."""
    draw = random.Random(seed)
    return [
        (
            HOUR + timedelta(seconds=draw.uniform(0, 3600 * hours)),
            f"{seed}-{n}",
            "test",
            draw.choice(["a", "b"]),
            draw.choice(["x", "y"]),
            draw.choice(["ok", "ok", "error"]),
            draw.randrange(1000),
            Decimal(draw.randrange(10**6)) / 10**9,
            draw.lognormvariate(0, 1),
            draw.choice([None, draw.lognormvariate(1, 1)]),
        )
        for n in range(count)
    ]


def assert_as_if_made_anew(settings):
    with connect(settings) as connection:
        assert connection.execute("SELECT count(*) FROM metrics.rollup_log").fetchone() == (0,)
        for stored, anew in ANEW.items():
            assert (
                connection.execute(STORED.format(stored)).fetchall()
                == connection.execute(STORED.format(anew)).fetchall()
            )


@pytest.mark.parametrize("back_end", ["embedded", "debian"])
def test_late_rows_are_added_to_their_buckets(request, back_end):
    with migrated(request, back_end) as settings:
        with connect(settings) as connection:
            write(connection, "metrics.llm_requests", LATE, late(5_000, 1))
        refresh(settings)
        with connect(settings) as connection:
            kept = "SELECT bucket, model, team FROM metrics.llm_requests_hourly_stored WHERE bucket < %s ORDER BY ctid"
            before = connection.execute(kept, [HOUR + timedelta(days=19)]).fetchall()
            write(connection, "metrics.llm_requests", LATE, late(100, 2))
            whole = connection.execute("SELECT count(*) FROM metrics.rollup_log WHERE ts IS NULL").fetchone()
            assert whole == (0,)
            everything = "SELECT sum(requests), sum(cost_usd) FROM metrics.llm_requests_{}"
            read = [connection.execute(everything.format(grain)).fetchone() for grain in ("hourly", "daily")]
        assert read[0] == read[1]
        assert read[0][0] == 5_100  # before any refresh
        refresh(settings)
        assert_as_if_made_anew(settings)
        assert len(before) > 1_000


@pytest.mark.parametrize("back_end", ["embedded", "debian"])
@pytest.mark.parametrize(("hours", "pause", "counts"), [(30, 0.0, (1, 3, 40, 400)), (288, 0.2, (1, 1, 3))])
def test_late_rows_changed_rows_and_refreshers_at_once(request, back_end, hours, pause, counts):
    """Every kind of mark meets every other, in the same few hours or a few times in many days, while two refresh without a pause."""
    with migrated(request, back_end) as settings:
        with connect(settings) as connection:
            write(connection, "metrics.llm_requests", LATE, late(2_000, 0, hours=hours))
        refresh(settings)
        stop = threading.Event()

        def write_late(seed: int) -> int:
            written = 0
            with connect(settings, autocommit=True) as connection:
                while not stop.is_set():
                    written += 1
                    rows = late(random.choice(counts), seed * 10**6 + written, hours=hours)
                    write(connection, "metrics.llm_requests", LATE, rows)
            return written

        def change(statement: str) -> int:
            changed = 0
            with connect(settings, autocommit=True) as connection:
                while not stop.is_set():
                    changed += connection.execute(statement).rowcount
                    time.sleep(pause)
            return changed

        def refresh_on() -> int:
            rounds = 0
            while not stop.is_set():
                refresh(settings)
                rounds += 1
            return rounds

        some = "WHERE (ts, request_id) IN (SELECT ts, request_id FROM metrics.llm_requests ORDER BY random() LIMIT 3)"
        with ThreadPoolExecutor(6) as pool:
            doing = [
                pool.submit(write_late, 1),
                pool.submit(write_late, 2),
                pool.submit(change, f"DELETE FROM metrics.llm_requests {some}"),
                pool.submit(change, f"UPDATE metrics.llm_requests SET ttft_s = ttft_s * 2 {some}"),
                pool.submit(refresh_on),
                pool.submit(refresh_on),
            ]
            time.sleep(5)
            stop.set()
            assert all(done.result() > 1 for done in doing)
        refresh(settings)
        assert_as_if_made_anew(settings)
