"""Each role sees and does what it may, and finds no way around it: on every back end, with ours and hidden rows in every table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from store import roles
from store.audit import note
from store.connect import connect
from store.errors import ParameterInvalid, UnknownName
from store.files import sql_folder
from store.queries import named
from store.rollup import refresh
from store.settings import Settings
from store.write import write
from tests.fix_postgres import BACK_ENDS, migrated
from tests.people import person

SINCE, UNTIL = datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 5, tzinfo=UTC)
OURS, HIDDEN = "payments", "hiddenteam"  # the second stands in every text of a row that only others may see
RAW = ("llm_requests", "llm_usage", "llm_billed", "rabbitmq_queues", "rabbitmq_nodes", "rabbitmq_overview")
SIGHTINGS = """
    DO $$
    DECLARE
        relation record;
        found    boolean;
        names    text[] := '{}';
    BEGIN
        FOR relation IN
            SELECT nspname, relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE relkind IN ('r', 'v', 'm', 'p', 'f') AND relname <> 'pg_stat_activity'
              AND nspname <> 'information_schema' -- slow, and made of the catalogues
        LOOP
            BEGIN
                EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I AS shown WHERE strpos(shown::text, $1) > 0)',
                               relation.nspname, relation.relname) INTO found USING 'hidden' || 'team';
                IF found THEN
                    names := names || format('%s.%s', relation.nspname, relation.relname);
                END IF;
            EXCEPTION WHEN others THEN
                NULL;
            END;
        END LOOP;
        PERFORM set_config('test.sightings', array_to_string(names, ' '), false);
    END $$
"""
OF_OURS = """
    SELECT nspname || '.' || relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'v', 'm', 'p') AND nspname IN ('metrics', 'analytics', 'audit', 'grafana')
      AND has_schema_privilege(relnamespace, 'USAGE') AND has_table_privilege(pg_class.oid, %s)
"""
WITH_TEAM = """
    SELECT nspname, relname FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE attname = 'team' AND relkind IN ('r', 'v', 'm', 'p') AND nspname = 'metrics' AND relname <> 'team_grants'
      AND has_table_privilege(pg_class.oid, 'SELECT') ORDER BY 1, 2
"""
WRITING = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


@dataclass(frozen=True)
class House:
    """A database with rows of two teams, the connection of its owner, and what that connection is told."""

    settings: Settings
    owner: psycopg.Connection
    notices: list[str] = field(default_factory=list)

    @contextmanager
    def as_(self, name: str, *groups: str, teams: tuple[str, ...] = ()) -> Iterator[psycopg.Connection]:
        """The connection, while its session is that of a new member of `groups` who has been granted `teams`."""
        with person(self.owner, name, *(f"gaugebook_{group}" for group in groups)) as role:
            if teams:
                roles.grant(self.settings, role, teams)
            self.owner.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(role)))
            yield self.owner
            self.owner.execute("RESET SESSION AUTHORIZATION")
            roles.revoke(self.settings, role)


def request(ts: datetime, team: str, number: int) -> tuple[object, ...]:
    names = (f"{team}-{number}", f"provider-{team}", f"model-{team}", team, f"project-{team}")
    ended = ("error", f"refused-{team}") if number == 0 else ("ok", None)
    return (ts, *names, "tap", *ended, 0.1, 1.0, 10, 5, {"said": team})


def fill(settings: Settings) -> None:
    """Rows of both teams in every table that has teams: rolled up, and not yet."""
    requests = ("ts", "request_id", "provider", "model", "team", "project", "source", "status", "error_type")
    measured = ("ttft_s", "duration_s", "input_tokens", "output_tokens", "attrs")
    usage = ("ts", "width_s", "provider", "model", "team", "project", "source", "requests", "attrs")
    queues = ("ts", "cluster", "vhost", "queue", "messages", "messages_ready", "messages_unacked")
    for day in (1, 3):
        at = SINCE + timedelta(days=day)
        with connect(settings) as connection:
            rows = [request(at, team, number) for team in (OURS, HIDDEN) for number in range(20)]
            write(connection, "metrics.llm_requests", (*requests, *measured), rows)
            rows = [
                (at, 60, f"provider-{t}", f"model-{t}", t, f"project-{t}", "sheet", 3, {"of": t})
                for t in (OURS, HIDDEN)
            ]
            write(connection, "metrics.llm_usage", usage, rows)
            write(connection, "metrics.rabbitmq_queues", queues, [(at, "east", "/", "orders", 3, 2, 1)])
        if day == 1:
            refresh(settings)
    with connect(settings, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO analytics.forecasts SELECT gen_random_uuid(), now(), 'hourly cost_usd', %s, now(), 1, 1, 1, 1, 1, 'x', now(), now()",
            [HIDDEN],
        )
        connection.execute(
            "INSERT INTO analytics.anomalies SELECT gen_random_uuid(), now(), 'hourly cost_usd', %s, now(), now(), 1, 1, 1",
            [HIDDEN],
        )
        connection.execute(
            "INSERT INTO analytics.report_run (run_id, report, slot, parameters) SELECT gen_random_uuid(), %s, now(), '{}'",
            [HIDDEN],
        )
        connection.execute(
            "INSERT INTO metrics.llm_billed (ts, width_s, source, reported_at, provider, line_item, cost_usd) "
            "VALUES ('2025-03-02Z', 86400, 'openai-costs', now(), 'openai', %s, 1)",
            [HIDDEN],
        )
        note(connection, "export", HIDDEN)
        connection.execute("INSERT INTO metrics.team_grants VALUES ('somebody_else', %s)", [HIDDEN])
        connection.execute(
            "CALL metrics.ensure_partitions('metrics.rabbitmq_queues', ARRAY['2025-05-02Z'::timestamptz])"
        )
        connection.execute(
            "INSERT INTO metrics.rabbitmq_queues (ts, cluster, vhost, queue) SELECT '2025-05-02Z'::timestamptz + "
            "n * interval '1 second', 'east', '/', 'long' FROM generate_series(1, 10001) AS n"
        )
        if connection.execute("SELECT FROM pg_extension WHERE extname = 'timescaledb'").rowcount:
            connection.execute("SELECT compress_chunk(chunk) FROM show_chunks('metrics.llm_requests') AS chunk")
        connection.execute("ANALYZE")


@pytest.fixture(scope="module", params=BACK_ENDS)
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """One for all tests of the module: what they change there stays out of the way of the others."""
    with migrated(request, request.param) as settings, connect(settings, autocommit=True) as owner:
        roles.ensure(settings)
        fill(settings)
        opened = House(settings, owner)
        owner.add_notice_handler(lambda said: opened.notices.append(said.message_primary or ""))
        yield opened


def tried(connection: psycopg.Connection, statement: sql.Composable | str) -> list[tuple[object, ...]]:
    """The rows of a statement; none where the database refuses it, in words that show nothing either."""
    try:
        return connection.execute(statement).fetchall()
    except psycopg.Error as error:
        said = str(error)
    assert HIDDEN not in said
    return []


def sightings(connection: psycopg.Connection) -> set[str]:
    """Every relation of the database, catalogues and chunks included, that shows this session a hidden row."""
    connection.execute(SIGHTINGS)
    (names,) = connection.execute("SELECT current_setting('test.sightings')").fetchone()
    return set(names.split())


def of_team(connection: psycopg.Connection) -> list[sql.Identifier]:
    relations = [sql.Identifier(*row) for row in connection.execute(WITH_TEAM).fetchall()]
    assert len(relations) >= 8
    return relations


def test_the_owner_sees_what_the_others_must_not(house):
    """The search that the other tests rely on finds hidden rows where they are."""
    seen = sightings(house.owner)
    assert {"metrics.llm_requests", "metrics.llm_metrics_hourly", "analytics.forecasts", "audit.access_log"} <= seen
    assert {"metrics.llm_billed", "metrics.llm_billed_latest"} <= seen
    assert {"pg_catalog.pg_stats", "metrics.llm_usage_daily_stored", "metrics.team_grants"} <= seen
    assert any(re.search(r"llm_requests_2025_03|_hyper_", name) for name in seen)  # partitions and chunks


@pytest.mark.parametrize("kind", ["reader", "grafana"])
def test_a_reader_sees_its_teams_everywhere_and_no_other_anywhere(house, kind):
    with house.as_("alice", kind, teams=(OURS,)) as alice:
        for relation in of_team(alice):
            assert alice.execute(sql.SQL("SELECT DISTINCT team FROM {}").format(relation)).fetchall() == [(OURS,)], (
                relation
            )
        assert sightings(alice) == set()


def test_whoever_is_granted_nothing_sees_no_team_but_every_queue(house):
    with house.as_("carol", "reader") as carol:
        for relation in of_team(carol):
            assert carol.execute(sql.SQL("SELECT count(*)::int FROM {}").format(relation)).fetchone() == (0,)
        assert len(carol.execute("SELECT FROM metrics.rabbitmq_metrics_hourly WHERE queue = 'orders'").fetchall()) == 2


def test_all_teams_and_grants_that_come_and_go(house):
    query = "SELECT DISTINCT team FROM metrics.llm_requests_hourly ORDER BY 1"
    with person(house.owner, "analysts") as group, house.as_("dave", "reader", teams=(OURS,)) as dave:
        (name,) = dave.execute("SELECT current_user").fetchone()
        assert dave.execute(query).fetchall() == [(OURS,)]
        dave.execute("RESET SESSION AUTHORIZATION")
        dave.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(name)))
        roles.grant(house.settings, group, [roles.ALL_TEAMS])
        dave.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(name)))
        assert dave.execute(query).fetchall() == [(HIDDEN,), (OURS,)]
        assert dave.execute("SELECT unique_id FROM analytics.forecasts").fetchall() == [(HIDDEN,)]
        assert dave.execute("SELECT count(*)::int FROM audit.schema_migrations").fetchone() > (0,)
        assert roles.revoke(house.settings, group) == 1
        assert roles.revoke(house.settings, group) == 0
        assert dave.execute(query).fetchall() == [(OURS,)]
        assert roles.revoke(house.settings, name, [OURS, "another"]) == 1
        assert dave.execute(query).fetchall() == []
        dave.execute("RESET SESSION AUTHORIZATION")


def test_a_function_that_tells_what_it_meets_meets_no_hidden_row(house):
    with house.as_("eve", "reader", teams=(OURS,)) as eve:
        eve.execute(
            "CREATE FUNCTION pg_temp.tell(what text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 "
            "AS $$ BEGIN RAISE NOTICE '%', what; RETURN true; END $$"
        )
        eve.execute(
            "CREATE FUNCTION pg_temp.told(l text, r text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 "
            "AS $$ BEGIN RAISE NOTICE '%', l; RETURN true; END $$"
        )
        eve.execute("CREATE OPERATOR pg_temp.=% (leftarg = text, rightarg = text, function = pg_temp.told)")
        for relation in of_team(eve):
            for condition in (
                "pg_temp.tell(team)",
                "pg_temp.tell(model) AND pg_temp.tell(provider)",
                "team OPERATOR(pg_temp.=%) 'x'",
                "model::integer = 1",
                "1 / (CASE WHEN team LIKE 'hid%' THEN 0 ELSE 1 END) = 1",
            ):
                tried(eve, sql.SQL("SELECT * FROM {} WHERE ").format(relation) + sql.SQL(condition))
            tried(eve, sql.SQL("SELECT max(model::integer) FROM {}").format(relation))
            assert tried(
                eve,
                sql.SQL("SELECT DISTINCT 1 / (CASE WHEN team LIKE 'hid%' THEN 0 ELSE 1 END) FROM {}").format(relation),
            ) == [(1,)]
        assert any(OURS in said for said in house.notices)
        assert not any(HIDDEN in said for said in house.notices)


def test_functions_and_copies_show_no_more_than_tables(house):
    with house.as_("frank", "grafana", teams=(OURS,)) as frank:
        spans = frank.execute(
            "SELECT oid::regproc::text FROM pg_proc WHERE pronamespace IN ('metrics'::regnamespace, 'grafana'::regnamespace) "
            "AND oidvectortypes(proargtypes) = 'timestamp with time zone, timestamp with time zone' AND proretset"
        ).fetchall()
        assert len(spans) >= 6
        for (function,) in spans:
            for (text,) in tried(frank, f"SELECT shown::text FROM {function}('2000-01-01Z', '2200-01-01Z') AS shown"):
                assert HIDDEN not in text
        for relation in of_team(frank):
            for form in ("COPY (SELECT * FROM {}) TO STDOUT", "COPY {} TO STDOUT"):
                with (
                    suppress(psycopg.errors.WrongObjectType),  # a view is not copied as a table is
                    frank.cursor().copy(sql.SQL(form).format(relation)) as copy,
                ):
                    assert HIDDEN not in b"".join(bytes(chunk) for chunk in copy).decode()
            plan = tried(frank, sql.SQL("EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM {}").format(relation))
            assert plan
            assert HIDDEN not in str(plan)


@pytest.mark.parametrize("kind", ["reader", "grafana", "writer"])
def test_nobody_becomes_another(house, kind):
    with house.as_("grace", kind, teams=(OURS,)) as grace:
        for role in ("gaugebook", "gaugebook_admin", "pg_read_all_data"):
            for statement in ("SET ROLE {}", "GRANT {} TO current_user"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    grace.execute(sql.SQL(statement).format(sql.Identifier(role)))
        for statement in (
            "SELECT pg_read_file('postgresql.conf')",
            "SELECT lo_import('/etc/hostname')",
            "COPY (SELECT 1) TO '/tmp/gaugebook-never'",
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "CREATE TABLE metrics.mine ()",
            "CREATE FUNCTION metrics.mine() RETURNS int RETURN 1",
            "CREATE SCHEMA mine",
            "INSERT INTO metrics.team_grants VALUES (current_user, '*')",
            "UPDATE metrics.team_grants SET team = '*'",
            "DELETE FROM metrics.team_grants",
            "SELECT * FROM audit.access_log",
            "INSERT INTO audit.access_log (user_id, action, resource, outcome) VALUES ('x', 'x', 'x', 'ok')",
            "ALTER TABLE metrics.llm_requests DISABLE ROW LEVEL SECURITY",
            "DROP VIEW metrics.llm_metrics_hourly",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                grace.execute(statement)


def test_without_row_security_there_are_no_rows(house):
    with house.as_("heidi", "reader", teams=(OURS,)) as heidi:
        heidi.execute("SET row_security = off")
        for relation in of_team(heidi):
            assert not any(HIDDEN in str(row) for row in tried(heidi, sql.SQL("SELECT * FROM {}").format(relation)))


def test_names_in_the_way_of_the_functions_are_passed_by(house):
    with house.as_("ivan", "reader", teams=(OURS,)) as ivan:
        ivan.execute(
            "CREATE TEMP TABLE pg_roles AS SELECT oid, 'gaugebook_admin'::name AS rolname FROM pg_catalog.pg_roles"
        )
        ivan.execute("CREATE TEMP TABLE team_grants AS SELECT current_user::name AS role_name, '*' AS team")
        ivan.execute("CREATE FUNCTION pg_temp.pg_has_role(name, oid, text) RETURNS boolean RETURN true")
        ivan.execute("CREATE FUNCTION pg_temp.pg_has_role(name, name, text) RETURNS boolean RETURN true")
        ivan.execute("SET search_path = pg_temp, pg_catalog, metrics")
        for relation in of_team(ivan):
            assert ivan.execute(sql.SQL("SELECT DISTINCT team FROM {}").format(relation)).fetchall() == [(OURS,)]


def test_operators_in_the_way_of_the_rollups_meet_no_hidden_row(house):
    """The functions under the views run as their caller, who may keep a schema of his own."""
    with house.as_("kate", "reader", teams=(OURS,)) as kate:
        (name,) = kate.execute("SELECT current_user").fetchone()
        kate.execute("RESET SESSION AUTHORIZATION")
        kate.execute(sql.SQL("CREATE SCHEMA scratch AUTHORIZATION {}").format(sql.Identifier(name)))
        kate.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(name)))
        kate.execute(
            "CREATE FUNCTION scratch.tell(l text, r text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 "
            "AS $$ BEGIN RAISE NOTICE '% %', l, r; RETURN true; END $$"
        )
        for operator in ("=", "<>", "~", "~*", "~~", "~~*"):
            kate.execute(
                f"CREATE OPERATOR scratch.{operator} (leftarg = text, rightarg = text, function = scratch.tell)"
            )
        relations = of_team(kate)
        kate.execute("SET search_path = scratch, pg_catalog, metrics")
        before = len(house.notices)
        for relation in relations:
            tried(kate, sql.SQL("SELECT * FROM {}").format(relation))
        assert len(house.notices) > before  # they were called
        assert not any(HIDDEN in said for said in house.notices)


def test_no_trigger_function_can_be_put_on_a_table_of_ones_own(house):
    """One that runs as its owner would call the casts of the table's types as the owner."""
    for kind in ("reader", "writer", "admin"):
        with house.as_("judy", kind) as judy:
            judy.execute("CREATE TEMP TABLE mine (ts timestamptz)")
            functions = judy.execute(
                "SELECT oid::regproc::text FROM pg_proc WHERE prorettype = 'trigger'::regtype AND pronamespace IN ('metrics'::regnamespace, 'audit'::regnamespace)"
            ).fetchall()
            assert functions
            for (function,) in functions:
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied for function"):
                    judy.execute(f"CREATE TRIGGER t BEFORE INSERT ON mine EXECUTE FUNCTION {function}('llm_requests')")


def test_what_runs_as_its_owner_is_pinned_and_not_for_everybody(house):
    for name, pinned, acl in house.owner.execute(
        "SELECT proname, proconfig, proacl::text[] FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace "
        "WHERE prosecdef AND nspname IN ('metrics', 'analytics', 'audit', 'grafana')"
    ):
        assert "search_path=pg_catalog, pg_temp" in pinned, name
        assert acl is not None, name
        assert not any(item.startswith("=") for item in acl), name


def privileges(connection: psycopg.Connection, *kinds: str) -> dict[str, set[str]]:
    """The relations of ours on which this session has one of `kinds`."""
    return {kind: names for kind in kinds if (names := {name for (name,) in connection.execute(OF_OURS, [kind])})}


def test_a_reader_changes_nothing(house):
    for kind in ("reader", "grafana"):
        with house.as_("kim", kind, teams=(roles.ALL_TEAMS,)) as kim:
            assert privileges(kim, *WRITING) == {}
            for routine, runs_as_owner in kim.execute(
                "SELECT oid::regprocedure::text, prosecdef FROM pg_proc WHERE pronamespace = 'metrics'::regnamespace "
                "AND has_function_privilege(oid, 'EXECUTE')"
            ).fetchall():
                assert not runs_as_owner or routine == "metrics.raw_since()"


def test_a_writer_adds_raw_rows_and_reads_none(house):
    with house.as_("lou", "writer") as lou:
        assert privileges(lou, *WRITING) == {"INSERT": {f"metrics.{table}" for table in RAW}}
        assert privileges(lou, "SELECT")["SELECT"] == {
            "metrics.policies",
            "metrics.policy_status",
            "audit.schema_migrations",
        }
        lou.execute("SET ROLE gaugebook_writer")  # which bypasses row-level security
        assert sightings(lou) == set()
        insert = "INSERT INTO metrics.rabbitmq_overview (ts, cluster) VALUES ('2025-03-02Z', 'east') "
        for more in ("RETURNING ts", "ON CONFLICT (ts, cluster) DO UPDATE SET channels = 1"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                lou.execute(insert + more)


def test_a_writer_writes_as_the_collectors_do(house):
    with house.as_("mallory", "writer") as mallory:
        mallory.execute("SET ROLE gaugebook_writer")
        columns = ("ts", "request_id", "team", "source")
        rows = [(datetime(2025, 6, day, tzinfo=UTC), f"new-{day}", OURS, "tap") for day in range(1, 6)]
        assert write(mallory, "metrics.llm_requests", columns, rows).written == 5
        again = write(mallory, "metrics.llm_requests", columns, [*rows, (*rows[0][:1], "new-6", *rows[0][2:])])
        assert (again.written, again.duplicate) == (1, 5)
        note(mallory, "import", "metrics.llm_requests", details={"rows": 6})
    assert house.owner.execute(
        "SELECT count(*)::int FROM metrics.llm_requests WHERE request_id LIKE 'new-%'"
    ).fetchone() == (6,)
    assert house.owner.execute(
        "SELECT user_id LIKE 'mallory%' FROM audit.access_log WHERE action = 'import'"
    ).fetchone() == (True,)


def test_an_administrator_reads_all_and_rewrites_no_history(house):
    with house.as_("nina", "admin") as nina:
        for put_on in ("RESET ROLE", "SET ROLE gaugebook_admin"):
            nina.execute(put_on)
            for relation in of_team(nina):
                assert nina.execute(
                    sql.SQL("SELECT count(DISTINCT team)::int FROM {}").format(relation)
                ).fetchone() == (2,)
            assert nina.execute(
                "SELECT count(*)::int FROM audit.access_log WHERE resource = %s", [HIDDEN]
            ).fetchone() == (1,)
        with nina.transaction(force_rollback=True):
            nina.execute("INSERT INTO metrics.team_grants VALUES ('somebody_else', 'one more')")
            assert nina.execute("DELETE FROM analytics.forecasts").rowcount == 1
            assert nina.execute("DELETE FROM metrics.llm_requests").rowcount >= 80
        for statement in (
            "UPDATE audit.access_log SET outcome = 'ok'",
            "DELETE FROM audit.access_log",
            "TRUNCATE audit.access_log",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                nina.execute(statement)
        for table in ("metrics.llm_requests", "audit.access_log"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                nina.execute(f"CREATE TRIGGER mine BEFORE INSERT ON {table} EXECUTE FUNCTION tsvector_update_trigger()")


@pytest.mark.parametrize("teams", [(), (OURS,), (roles.ALL_TEAMS,)])
def test_every_named_query_that_reads_is_for_readers(house, teams):
    values = {
        "grain": "hourly",
        "by": ["team"],
        "quantiles": [0.5],
        "since": SINCE,
        "until": UNTIL,
        "folder": "/",
        "latest": 1,
        "source": "llm_requests",
        "value": "requests",
    }
    with house.as_("olivia", "reader", teams=teams) as olivia:
        for path in sorted((sql_folder() / "queries").glob("*.sql")):
            query = named(path.stem)
            if re.search(r"^(INSERT|UPDATE|DELETE)", query.text, re.MULTILINE):
                continue
            bound = {name: values.get(name) for name in query.parameters}
            rows = olivia.execute(query.sql, bound).fetchall()
            assert (HIDDEN in str(rows)) <= (teams == (roles.ALL_TEAMS,)), path.stem


def test_a_panel_gets_ten_thousand_rows_at_most(house):
    with house.as_("peggy", "grafana") as peggy:
        call = "SELECT count(*)::int, min(ts) FROM grafana.queues('2025-05-02Z', '2025-05-03Z')"
        assert peggy.execute(call).fetchone() == (10_000, datetime(2025, 5, 2, 0, 0, 2, tzinfo=UTC))
    with house.as_("peggy", "reader") as peggy, pytest.raises(psycopg.errors.InsufficientPrivilege):
        peggy.execute("SELECT * FROM grafana.queues(now(), now())")


def test_grants_are_checked_at_the_door(store):
    roles.ensure(store)
    with pytest.raises(UnknownName, match="did you mean 'gaugebook_reader'"):
        roles.grant(store, "gaugebook_raeder", [OURS])
    for teams in ([], [" "]):
        with pytest.raises(ParameterInvalid):
            roles.grant(store, "gaugebook_reader", teams)
    with pytest.raises(UnknownName, match="no kind of role 'boss'"):
        roles.ensure(store, login="x", of="boss")
