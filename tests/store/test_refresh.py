"""Refreshing the rollups: many at once take turns, and what commits in between is not lost, as it is with a naive trigger."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from store.connect import connect
from store.rollup import refresh
from store.write import write

HOUR = datetime(2026, 5, 4, 10, tzinfo=UTC)

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
        columns = ("ts", "request_id", "source")
        write(early, "metrics.llm_requests", columns, request("early"))
        early.commit()
        write(late, "metrics.llm_requests", columns, request("late"))  # not committed: the caller's transaction is open
        refresh(any_store)
        late.commit()
        refresh(any_store)
        assert reader.execute("SELECT requests FROM metrics.llm_requests_hourly").fetchone() == (2,)
