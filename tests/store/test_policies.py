"""What is kept for how long: retention, the column store, and partitions made ahead of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from store.connect import connect
from store.errors import SettingsError
from store.policies import apply
from store.rollup import refresh
from store.settings import Settings
from store.write import write

COLUMNS = ("ts", "request_id", "source", "input_tokens")
NOW = datetime.now(UTC)
DAYS = range(0, 400, 20)


def with_retention(settings: Settings, **days: int) -> Settings:
    changed = settings.model_copy(update=days)
    apply(changed)
    return changed


def fill(settings: Settings) -> None:
    with connect(settings) as connection:
        write(
            connection, "metrics.llm_requests", COLUMNS, [(NOW - timedelta(days=n), f"r{n}", "test", 1) for n in DAYS]
        )


def one(settings: Settings, query: str) -> object:
    with connect(settings) as connection:
        return connection.execute(query.encode()).fetchone()[0]


def drop_old(settings: Settings) -> None:
    """What the plain back end does with a refresh and TimescaleDB's jobs do by themselves, now."""
    refresh(settings)
    with connect(settings, autocommit=True) as connection:
        if one(settings, "SELECT to_regclass('metrics.rollup_log') IS NULL"):
            for (job,) in connection.execute(
                "SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention' ORDER BY job_id"
            ).fetchall():
                connection.execute("CALL run_job(%s)", [job])


def test_old_raw_rows_go_and_their_rollups_stay(any_store):
    fill(any_store)
    kept = with_retention(any_store, keep_raw_days=90)
    assert one(kept, "SELECT count(*) FROM metrics.llm_requests") == len(DAYS)  # nothing goes before it is rolled up
    drop_old(kept)
    left = one(kept, "SELECT count(*) FROM metrics.llm_requests")
    assert 5 <= left <= 7  # 90 days, and what shares a month or a chunk with them
    for grain in ("hourly", "daily"):
        assert one(kept, f"SELECT sum(requests) FROM metrics.llm_requests_{grain}") == len(DAYS)


def test_rollups_of_dropped_rows_survive_late_rows_and_a_longer_policy(any_store):
    fill(any_store)
    drop_old(with_retention(any_store, keep_raw_days=90))
    longer = with_retention(any_store, keep_raw_days=10_000)
    late = (NOW - timedelta(days=380) + timedelta(seconds=1), "late", "test", 1)
    with connect(longer) as connection:
        assert [r.row for r in write(connection, "metrics.llm_requests", COLUMNS, [late]).rejected] == [late]
    drop_old(longer)
    assert one(longer, "SELECT sum(requests) FROM metrics.llm_requests_daily") == len(DAYS)


def test_hourly_rollups_go_and_the_daily_ones_stay(any_store):
    fill(any_store)
    drop_old(with_retention(any_store, keep_raw_days=60, keep_hourly_days=120))
    kept = one(any_store, "SELECT count(*) FROM metrics.llm_requests_hourly")
    assert 6 <= kept <= 7 + 14  # TimescaleDB drops whole chunks of the rollup
    assert one(any_store, "SELECT sum(requests) FROM metrics.llm_requests_daily") == len(DAYS)


def test_an_hour_that_is_not_rolled_up_is_not_dropped(store):
    fill(store)
    refresh(store)
    with connect(store, autocommit=True) as connection:
        connection.execute("CALL metrics.set_policies('90 days', NULL, '14 days', '60 s')")
        connection.execute("UPDATE metrics.llm_requests SET input_tokens = 2 WHERE request_id IN ('r300', 'r380')")
        connection.execute("CALL metrics.maintain()")
        old = connection.execute("SELECT request_id FROM metrics.llm_requests WHERE ts < now() - interval '125 days'")
        left = {name for (name,) in old}
        assert left >= {"r300", "r380"}  # and what shares their months
        assert not left & {"r160", "r200", "r240"}
    refresh(store)
    assert one(store, "SELECT count(*) FROM metrics.llm_requests WHERE ts < now() - interval '125 days'") == 0
    assert one(store, "SELECT sum(input_tokens) FROM metrics.llm_requests_daily") == len(DAYS) + 2


def test_hourly_rollups_outlive_the_raw_rows(store):
    for days in ({"keep_hourly_days": 30}, {"keep_raw_days": 30, "keep_hourly_days": 30}):
        with pytest.raises(SettingsError, match="keep_raw_days"):
            with_retention(store, **days)
    with connect(store) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("UPDATE metrics.policies SET keep_raw = '2 days', keep_hourly = '1 day'")


def test_partitions_are_there_before_they_are_needed(store):
    refresh(store)
    coming = (NOW.replace(day=1) + timedelta(days=70)).strftime("%Y_%m")
    ahead = (NOW.replace(day=1) + timedelta(days=40)).strftime("%Y_%m")
    assert coming >= ahead
    for table in ("llm_requests", "llm_usage", "rabbitmq_queues", "rabbitmq_nodes", "rabbitmq_overview"):
        assert one(store, f"SELECT to_regclass('metrics.{table}_{ahead}') IS NOT NULL")


def test_policies_are_shown_and_replaced(any_store):
    for days in (30, 60):
        changed = with_retention(any_store, keep_raw_days=days, keep_hourly_days=120, compress_after_days=3)
        with connect(changed) as connection:
            shown = connection.execute("SELECT object, policy, setting FROM metrics.policy_status").fetchall()
        assert len(shown) == len(set(shown))
        policies = {policy for _, policy, _ in shown}
        assert {"refresh", "retention"} <= policies
        assert any(setting == "keep 120 days" for _, _, setting in shown)
    if "column store" in policies:
        assert sum(policy == "column store" for _, policy, _ in shown) == 5
        assert all(setting == "after 3 days" for _, policy, setting in shown if policy == "column store")


def test_late_rows_reach_the_column_store_and_the_rollups(any_store):
    fill(any_store)
    refresh(any_store)
    with connect(any_store, autocommit=True) as connection:
        if one(any_store, "SELECT to_regclass('metrics.rollup_log') IS NULL"):
            connection.execute("SELECT compress_chunk(c) FROM show_chunks('metrics.llm_requests', older_than => interval '14 days') AS c")  # fmt: skip
        again = [(NOW - timedelta(days=n), f"r{n}", "test", 1) for n in DAYS]
        late = [(NOW - timedelta(days=n, seconds=5), f"late{n}", "test", 1) for n in DAYS]
        written = write(connection, "metrics.llm_requests", COLUMNS, again + late)
    assert (written.written, written.duplicate) == (len(DAYS), len(DAYS))
    refresh(any_store)
    assert one(any_store, "SELECT sum(requests) FROM metrics.llm_requests_daily") == 2 * len(DAYS)
