"""The audit log: signed by the session, never changed, and written by what changes or shows data."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from pipelines import ledger
from store import audit
from store.connect import connect
from store.errors import MigrationError, StoreError
from store.files import sql_folder
from store.migrate import migrate, migrations
from tests.people import person

LOG = "SELECT user_id, action, resource, outcome, details FROM audit.access_log ORDER BY timestamp"


def log(settings, action):
    with connect(settings) as connection:
        return [row for row in connection.execute(LOG) if row[1] == action]


def test_a_line_is_signed_by_the_session(any_store):
    with connect(any_store) as connection:
        assert connection.execute("SELECT session_user").fetchone() == ("gaugebook",)
        audit.note(connection, "export", "llm_rows", details={"rows": 3})
    with connect(any_store) as connection:
        row = connection.execute("SELECT * FROM audit.access_log WHERE action = 'export'")
        assert [column.name for column in row.description] == [
            *("timestamp", "user_id", "action", "resource", "ip_address", "outcome", "details")
        ]
        when, *rest = row.fetchone()
    assert rest == ["gaugebook", "export", "llm_rows", None, "ok", {"rows": 3}]
    assert datetime.now(UTC) - when < timedelta(minutes=5)


def test_nobody_signs_for_another(any_store):
    with (
        connect(any_store, autocommit=True) as connection,
        person(connection, "alice") as alice,
        person(connection, "bob") as bob,
    ):
        connection.execute(f"GRANT USAGE ON SCHEMA audit TO {alice}")
        connection.execute(f"GRANT EXECUTE ON FUNCTION audit.note TO {alice}")
        connection.execute(f"GRANT {bob} TO {alice}")
        connection.execute(f"SET SESSION AUTHORIZATION {alice}")
        connection.execute("CREATE FUNCTION pg_temp.inet_client_addr() RETURNS inet RETURN '10.9.8.7'::inet")
        connection.execute("SET search_path = pg_temp, pg_catalog")
        connection.execute(f"SET ROLE {bob}")
        forged = "INSERT INTO audit.access_log (user_id, action, resource, outcome) VALUES ('bob', 'x', 'y', 'ok')"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(forged)
        connection.execute("RESET ROLE")
        audit.note(connection, "export", "llm_rows")
        connection.execute("RESET SESSION AUTHORIZATION")
        signed = connection.execute("SELECT user_id, ip_address FROM audit.access_log WHERE action = 'export'")
        assert signed.fetchall() == [(alice, None)]


def test_not_even_the_owner_changes_a_line(any_store):
    before = log(any_store, "migrate")
    with connect(any_store, autocommit=True) as connection:
        for replica in ("SET session_replication_role = origin", "SET session_replication_role = replica"):
            connection.execute(replica)
            for statement in (
                "UPDATE audit.access_log SET user_id = 'nobody'",
                "DELETE FROM audit.access_log",
                "DELETE FROM audit.access_log WHERE false",
                "TRUNCATE audit.access_log",
                "MERGE INTO audit.access_log USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                    connection.execute(statement)
    assert log(any_store, "migrate") == before


def test_a_line_has_bounds(store):
    with connect(store, autocommit=True) as connection:
        for wrong in (
            {"action": ""},
            {"action": "a" * 101},
            {"resource": "r" * 1001},
            {"outcome": "fine"},
            {"details": {"rows": "x" * 10_001}},
        ):
            with pytest.raises(psycopg.errors.CheckViolation):
                audit.note(connection, **({"action": "export", "resource": "llm_rows"} | wrong))


def test_a_line_goes_with_its_transaction(store):
    with connect(store, autocommit=True) as connection, connection.transaction(force_rollback=True):
        audit.note(connection, "export", "llm_rows")
    assert log(store, "export") == []


def test_without_a_log_it_says_what_to_do(empty_database):
    with (
        connect(empty_database, autocommit=True) as connection,
        pytest.raises(StoreError, match="run `gaugebook db migrate`"),
    ):
        audit.note(connection, "export", "llm_rows")


def test_a_stranger_is_told_who_may_help(store):
    with connect(store, autocommit=True) as connection, person(connection, "alice") as alice:
        connection.execute(f"SET SESSION AUTHORIZATION {alice}")
        with pytest.raises(StoreError, match="run `gaugebook db roles`"):
            audit.note(connection, "export", "llm_rows")


def test_every_migration_is_noted_once(any_store):
    with connect(any_store) as connection:
        files = [file for (file,) in connection.execute("SELECT file FROM audit.schema_migrations ORDER BY number")]
    assert [row[2] for row in log(any_store, "migrate")] == files
    assert migrate(any_store) == []
    assert len(log(any_store, "migrate")) == len(files)


def test_a_refused_migration_is_noted(any_store, tmp_path):
    folder = Path(shutil.copytree(sql_folder(), tmp_path / "sql"))
    broken = folder / "common/9000_half.sql"
    broken.write_text("CREATE TABLE metrics.half ();\nSELECT 1 / 0;")
    with pytest.raises(MigrationError):
        migrate(any_store, folder=folder)
    assert log(any_store, "migrate")[-1] == (
        *("gaugebook", "migrate", "common/9000_half.sql", "error"),
        {"reason": "division by zero"},
    )
    broken.write_text("CREATE TABLE metrics.half ();")
    migrate(any_store, folder=folder)
    assert [row[2:4] for row in log(any_store, "migrate")[-2:]] == [
        ("common/9000_half.sql", "error"),
        ("common/9000_half.sql", "ok"),
    ]


def test_a_database_of_an_older_release_gets_its_past(empty_database, tmp_path):
    old = Path(shutil.copytree(sql_folder(), tmp_path / "sql"))
    for path in old.glob("*/*.sql"):
        if path.name[:4].isdigit() and int(path.name[:4]) > 90:
            path.unlink()
    first = migrate(empty_database, folder=old)
    with connect(empty_database) as connection:
        assert not audit.kept(connection)
    second = migrate(empty_database)
    assert [row[2] for row in log(empty_database, "migrate")] == [*first, *second]
    assert first + second == [migration.file for migration in migrations("postgres")]


def test_a_report_run_is_noted(store):
    begun = datetime.now(UTC)
    parameters = {"password": "hunter2"}
    run = ledger.Run(uuid4(), "llm_cost", begun, parameters, begun, None, "running", None, "/reports/llm_cost.html")
    ledger.started(store, run)
    ledger.finished(store, run, error="it broke: hunter2")
    noted = log(store, "report.start") + log(store, "report.end")
    assert [row[1:4] for row in noted] == [
        ("report.start", "llm_cost", "ok"),
        ("report.end", "llm_cost", "error"),
    ]
    assert noted[0][4] == {"run_id": str(run.run_id), "output": run.output}
    assert "hunter2" not in str(noted)
