"""Migrations: once each, never a changed one, two processes at a time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from store.connect import connect
from store.errors import MigrationChanged, MigrationError, SchemaNewer
from store.files import sql_folder
from store.migrate import migrate, migrations

OBJECTS = """
    SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema IN ('metrics', 'analytics', 'audit') ORDER BY 1, 2, 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the files, to change."""
    return Path(shutil.copytree(sql_folder(), tmp_path / "sql"))


def test_a_second_run_does_nothing(any_store):
    with connect(any_store) as connection:
        before = connection.execute(OBJECTS).fetchall()
    assert migrate(any_store) == []
    with connect(any_store) as connection:
        assert connection.execute(OBJECTS).fetchall() == before


def test_files_are_merged_by_number(any_store):
    with connect(any_store) as connection:
        numbers = [
            row[0]
            for row in connection.execute("SELECT number FROM audit.schema_migrations ORDER BY applied_at, number")
        ]
    assert numbers == sorted(numbers)
    of_both = [
        {m.file for m in migrations(back_end) if m.file.startswith("common/")} for back_end in ("postgres", "timescale")
    ]
    assert of_both[0] == of_both[1] != set()


def test_both_back_ends_show_the_same_rollups(empty_database, any_store):
    query = OBJECTS.replace("ORDER BY", "AND table_name ~ '(hourly|daily)$' ORDER BY")
    migrate(empty_database)
    with connect(empty_database) as plain, connect(any_store) as other:
        assert plain.execute(query).fetchall() == other.execute(query).fetchall()


def test_a_changed_file_is_refused(store, folder):
    changed = folder / "common/0010_llm_requests.sql"
    changed.write_text(changed.read_text() + "-- a harmless word\n")
    with pytest.raises(MigrationChanged, match=r"0010_llm_requests.sql: was applied and has been edited"):
        migrate(store, folder=folder)


def test_a_newer_database_is_refused(store, folder):
    (folder / "common/9000_tomorrow.sql").write_text("CREATE TABLE metrics.tomorrow ();")
    assert migrate(store, folder=folder) == ["common/9000_tomorrow.sql"]
    with pytest.raises(SchemaNewer, match=r"9000_tomorrow.sql: .*Upgrade gaugebook"):
        migrate(store)


def test_a_file_that_fails_leaves_nothing_behind(store, folder):
    (folder / "common/9000_half.sql").write_text("CREATE TABLE metrics.half ();\nSELECT 1 / 0;")
    with pytest.raises(MigrationError, match=r"9000_half.sql: division by zero"):
        migrate(store, folder=folder)
    with connect(store) as connection:
        assert connection.execute("SELECT to_regclass('metrics.half')").fetchone() == (None,)
    (folder / "common/9000_half.sql").write_text("CREATE TABLE metrics.half ();")
    assert migrate(store, folder=folder) == ["common/9000_half.sql"]


def test_a_file_can_ask_for_no_transaction(store, folder):
    (folder / "common/9000_index.sql").write_text(
        "-- no transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS runs ON analytics.report_run (started_at);"
    )
    assert migrate(store, folder=folder) == ["common/9000_index.sql"]


@pytest.mark.parametrize(("name", "says"), [("01_short.sql", "NNNN_name"), ("0050_again.sql", "has the number of")])
def test_a_wrong_name_is_refused(store, folder, name, says):
    (folder / "common" / name).write_text("SELECT 1;")
    with pytest.raises(MigrationError, match=says):
        migrate(store, folder=folder)


def test_processes_at_once_apply_each_file_once(empty_database):
    dsn = empty_database.dsn.get_secret_value()
    program = (
        f"from store.settings import load; from store.migrate import migrate; print(len(migrate(load(dsn={dsn!r}))))"
    )
    racing = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    finished = [process.communicate(timeout=60) for process in racing]
    assert not any(errors for _, errors in finished), finished
    assert sorted(int(output) for output, _ in finished) == [0, 0, 0, len(migrations("postgres"))]


def test_killed_half_way_it_goes_on_from_there(empty_database, folder):
    (folder / "common/0015_slow.sql").write_text("SELECT pg_sleep(30);")
    dsn = empty_database.dsn.get_secret_value()
    program = f"from pathlib import Path; from store.settings import load; from store.migrate import migrate; migrate(load(dsn={dsn!r}), folder=Path({str(folder)!r}))"
    process = subprocess.Popen([sys.executable, "-c", program])
    with psycopg.connect(dsn, autocommit=True) as connection:
        while (
            connection.execute(
                "SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND datname = current_database()"
            ).rowcount
            == 0
        ):
            assert process.poll() is None
        process.kill()
        process.wait()
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND datname = current_database()"
        )
    (folder / "common/0015_slow.sql").write_text("SELECT 1;")
    applied = migrate(empty_database, folder=folder)
    assert applied[0] == "common/0015_slow.sql"
