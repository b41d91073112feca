"""Who logs in gets what a member does not inherit by itself; the commands that make roles and grant teams; and what goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pipelines import ledger
from store import roles
from store.audit import note
from store.connect import connect
from store.embedded import EmbeddedServer
from store.errors import MigrationError, StoreError
from store.files import sql_folder
from store.migrate import migrate
from store.read import read
from store.rollup import refresh
from store.settings import Settings, load
from store.write import write
from tests.fix_postgres import QUICK
from tests.servers import need, open_folder

AT = datetime(2025, 3, 2, tzinfo=UTC)
COLUMNS = ("ts", "request_id", "team", "source")
SPAN = {"grain": "hourly", "since": AT, "until": datetime(2025, 3, 3, tzinfo=UTC)}


@dataclass(frozen=True)
class Service:
    """A server that believes everybody's name, with two databases that were given the roles at the same time."""

    server: EmbeddedServer

    def settings(self, user: str, database: str = "one") -> Settings:
        return load(dsn=make_conninfo(self.server.conninfo(database), user=user))

    def owner(self, statement: str, database: str = "one") -> list[tuple[object, ...]]:
        with connect(self.settings("gaugebook", database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with open_folder() as home:
        server = EmbeddedServer(home, configuration=QUICK)
        server.start()
        try:
            (server.data / "pg_hba.conf").write_text("local all all trust\n")
            with psycopg.connect(server.conninfo(), autocommit=True) as connection:
                connection.execute("SELECT pg_reload_conf()")
                connection.execute("CREATE DATABASE one")
            made = Service(server)
            migrate(made.settings("gaugebook"))
            made.owner("CREATE DATABASE two TEMPLATE one", "postgres")
            both = [made.settings("gaugebook", database) for database in ("one", "two")] * 3
            with ThreadPoolExecutor(len(both)) as at_once:
                assert list(at_once.map(roles.ensure, both)) == [None] * len(both)
            rows = [(AT, f"{team}-1", team, "tap") for team in ("payments", "search")]
            with connect(made.settings("gaugebook")) as connection:
                write(connection, "metrics.llm_requests", COLUMNS, rows)
            yield made
        finally:
            server.stop()


def test_a_collector_logs_in_as_the_writer(service):
    roles.ensure(service.settings("gaugebook"), login="collector", of="writer")
    mine = service.settings("collector")
    assert migrate(mine) == []  # what every command begins with
    with connect(mine) as connection:
        assert connection.execute("SELECT session_user::text, current_user::text").fetchone() == (
            "collector",
            "gaugebook_writer",
        )
        assert write(connection, "metrics.llm_requests", COLUMNS, [(AT, "collected", "search", "tap")]).written == 1
    refresh(mine)
    assert service.owner("SELECT requests FROM metrics.llm_requests_hourly_stored WHERE team = 'search'") == [(2,)]
    with pytest.raises(StoreError, match="permission denied"):
        read(mine, "llm_rows", **SPAN)
    assert service.owner("DELETE FROM metrics.llm_requests WHERE request_id = 'collected'") == []


def test_a_reader_reads_its_teams_through_adbc(service):
    roles.ensure(service.settings("gaugebook"), login="rita", of="reader")
    roles.grant(service.settings("gaugebook"), "rita", ["payments"])
    mine = service.settings("rita")
    assert migrate(mine) == []
    assert read(mine, "llm_rows", **SPAN)["team"].to_list() == ["payments"]
    with connect(mine, autocommit=True) as connection:
        for statement in (
            "SET SESSION AUTHORIZATION gaugebook",
            "SET ROLE gaugebook",
            "RESET ROLE; SET ROLE gaugebook_admin",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        note(connection, "export", "llm_rows")
    assert service.owner("SELECT user_id FROM audit.access_log WHERE action = 'export'") == [("rita",)]
    run = ledger.Run(uuid4(), "llm_cost", AT, {}, AT, None, "running", None, "/reports/llm_cost.html")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ledger.started(mine, run)


def test_a_writer_who_is_a_reader_too_bypasses_nothing(service):
    roles.ensure(service.settings("gaugebook"), login="walter", of="writer")
    roles.ensure(service.settings("gaugebook"), login="winnie", of="reader")
    roles.ensure(service.settings("gaugebook"), login="winnie", of="writer")
    with connect(service.settings("winnie")) as connection:
        assert connection.execute("SELECT current_user::text").fetchone() == ("winnie",)
        assert connection.execute("SELECT FROM metrics.llm_requests").fetchall() == []
        connection.execute("SET ROLE gaugebook_writer")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM metrics.llm_requests")


def test_a_writer_who_becomes_a_reader_starts_as_himself(service):
    roles.ensure(service.settings("gaugebook"), login="wendy", of="writer")
    roles.ensure(service.settings("gaugebook"), login="wendy", of="reader")
    with connect(service.settings("wendy")) as connection:
        assert connection.execute("SELECT current_user::text").fetchone() == ("wendy",)


def test_grafana_has_its_limits(service):
    roles.ensure(service.settings("gaugebook"), login="grafana_login", of="grafana")
    limits = {
        "statement_timeout": "10s",
        "lock_timeout": "2s",
        "idle_in_transaction_session_timeout": "30s",
        "default_transaction_read_only": "on",
        "work_mem": "16MB",
        "temp_file_limit": "1GB",
    }
    with connect(service.settings("grafana_login"), autocommit=True) as connection:
        for name, value in limits.items():
            assert connection.execute("SELECT current_setting(%s)", [name]).fetchone() == (value,)
        connection.execute("SET statement_timeout = '50ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(5)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SET temp_file_limit = -1")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE scratch ()")
    assert service.owner("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'grafana_login'") == [(20,)]
    with connect(service.settings("grafana_login", "two")) as connection:  # the limits are those of a database
        assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)
    roles.ensure(service.settings("gaugebook", "two"))
    with connect(service.settings("grafana_login", "two")) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("10s",)


def test_an_administrator_writes_and_grants_under_her_own_name(service):
    roles.ensure(service.settings("gaugebook"), login="ada", of="admin")
    mine = service.settings("ada")
    run = ledger.Run(uuid4(), "llm_cost", AT, {}, AT, None, "running", None, "/reports/llm_cost.html")
    ledger.started(mine, run)
    ledger.finished(mine, run)
    columns = ("run_id", "made_at", "target", "unique_id", "ds", "until", "y", "expected", "score")
    with connect(mine) as connection:
        write(connection, "analytics.anomalies", columns, [(run.run_id, AT, "cost", "all", AT, AT, 2.0, 1.0, 9.0)])
    roles.grant(mine, "gaugebook_reader", ["everyone"])
    roles.revoke(mine, "gaugebook_reader")
    signed = service.owner(
        "SELECT action, outcome, details FROM audit.access_log WHERE user_id = 'ada' ORDER BY timestamp"
    )
    assert [row[:2] for row in signed] == [
        ("report.start", "ok"),
        ("report.end", "ok"),
        ("grant", "ok"),
        ("revoke", "ok"),
    ]
    assert signed[3][2] == {"teams": [], "changed": 1}


def test_whoever_may_not_is_told_who_may(service):
    roles.ensure(service.settings("gaugebook"), login="rob", of="reader")
    with pytest.raises(
        StoreError, match="rob is not the owner of schema metrics. Have a superuser run `gaugebook db roles`"
    ):
        roles.ensure(service.settings("rob"))
    with pytest.raises(StoreError, match="may not grant teams: .*member of gaugebook_admin"):
        roles.grant(service.settings("rob"), "rob", ["search"])
    denied = "SELECT action, outcome FROM audit.access_log WHERE user_id = 'rob' ORDER BY timestamp"
    assert service.owner(denied) == [("roles", "denied"), ("grant", "denied")]


def test_a_role_that_may_not_migrate_is_told_who_may(service):
    service.owner("CREATE ROLE stranger LOGIN")
    with pytest.raises(
        MigrationError, match="permission denied for schema audit; run `gaugebook db migrate` as the owner"
    ):
        migrate(service.settings("stranger"))
    service.owner("CREATE DATABASE empty", "postgres")
    with pytest.raises(
        MigrationError, match="permission denied for database empty; run `gaugebook db migrate` as the owner"
    ):
        migrate(service.settings("stranger", "empty"))


def test_an_owner_who_is_no_superuser_renews_the_rights(service):
    service.owner("CREATE ROLE olga LOGIN")
    service.owner("CREATE DATABASE olgas OWNER olga", "postgres")
    mine = service.settings("olga", "olgas")
    migrate(mine)
    roles.ensure(service.settings("gaugebook", "olgas"))
    service.owner("REVOKE SELECT ON metrics.llm_metrics_hourly FROM gaugebook_reader", "olgas")
    service.owner("GRANT SELECT ON audit.access_log TO gaugebook_reader", "olgas")
    roles.ensure(mine)
    assert service.owner(
        "SELECT has_table_privilege('gaugebook_reader', 'metrics.llm_metrics_hourly', 'SELECT'), "
        "has_table_privilege('gaugebook_reader', 'audit.access_log', 'SELECT')", "olgas"
    ) == [(True, False)]  # fmt: skip


def test_a_reader_that_was_made_too_strong_is_refused(service):
    service.owner("ALTER ROLE gaugebook_reader BYPASSRLS")
    try:
        with pytest.raises(psycopg.errors.RaiseException, match="gaugebook_reader has been given BYPASSRLS"):
            roles.ensure(service.settings("gaugebook"))
    finally:
        service.owner("ALTER ROLE gaugebook_reader NOBYPASSRLS")


def test_the_file_runs_in_psql(service):
    psql = need("psql", package="postgresql-client-15")
    command = [
        psql,
        "-1",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        str(sql_folder() / "roles.sql"),
        service.server.conninfo("one"),
    ]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")


def gaugebook(service: Service, user: str, *words: str) -> tuple[int, str, str]:
    dsn = service.settings(user).dsn.get_secret_value()
    ended = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "db", *words],
        env={**os.environ, "GAUGEBOOK_DSN": dsn, "COLUMNS": "200"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr


def row(out: str, name: str) -> list[str]:
    (line,) = [line for line in out.splitlines() if line.split()[:1] == [name]]
    return line.split()


def test_the_commands(service):
    code, out, _ = gaugebook(service, "gaugebook", "roles", "--login", "clara", "--of", "reader")
    assert code == 0
    assert row(out, "clara")[-3:] == ["clara", "gaugebook_reader", "-"]
    assert row(out, "gaugebook_admin")[-1] == "all"
    assert "in psql: \\password clara" in out
    code, out, _ = gaugebook(service, "gaugebook", "grant", "clara", "--team", "payments", "--team", "search")
    assert code == 0
    assert row(out, "clara") == ["clara", "gaugebook_reader", "payments,", "search"]
    _, out, _ = gaugebook(service, "gaugebook", "grant", "clara", "--all-teams")
    assert row(out, "clara")[-1] == "all"
    _, out, _ = gaugebook(service, "gaugebook", "grant", "clara", "--revoke")
    assert row(out, "clara")[-1] == "-"
    for words, says in {
        ("clarra", "--team", "search"): "no role 'clarra': did you mean 'clara'?",
        ("clara", "--team", "*"): "for all of them: --all-teams",
    }.items():
        code, out, err = gaugebook(service, "gaugebook", "grant", *words)
        assert (code, out) == (2, "")
        assert says in err
    code, _, err = gaugebook(service, "clara", "roles")
    assert code == 2
    assert "clara is not the owner of schema metrics" in err
