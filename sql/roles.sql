-- The roles of Gaugebook and what each may do in this database. Run it after each migration; again, it does no harm:
--     gaugebook db roles        or        psql -1 -v ON_ERROR_STOP=1 -f roles.sql DATABASE
-- Roles belong to the server and need a superuser the first time; rights belong to the database and need its owner.
SET LOCAL search_path = pg_catalog, pg_temp;
SELECT pg_advisory_xact_lock(hashtext('gaugebook.migrate'));

DO $$
DECLARE
    named name;
BEGIN
    -- GRANT by somebody else would only warn, and change nothing.
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'metrics' AND pg_has_role(nspowner, 'USAGE')) THEN
        RAISE EXCEPTION '% is not the owner of schema metrics', current_user USING ERRCODE = 'insufficient_privilege';
    END IF;
    FOREACH named IN ARRAY ARRAY['gaugebook_writer', 'gaugebook_reader', 'gaugebook_grafana', 'gaugebook_admin'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = named);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', named);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- made for another database of the server at this very moment
        END;
    END LOOP;
    -- PostgreSQL refuses COPY into a table with row-level security. A writer may not read, so this shows it nothing.
    FOR named IN SELECT rolname FROM pg_roles WHERE rolname IN ('gaugebook_writer', 'gaugebook_admin') AND NOT rolbypassrls LOOP
        EXECUTE format('ALTER ROLE %I BYPASSRLS', named);
    END LOOP;
    FOR named IN SELECT rolname FROM pg_roles WHERE rolname IN ('gaugebook_reader', 'gaugebook_grafana') AND (rolbypassrls OR rolsuper) LOOP
        RAISE EXCEPTION '% has been given BYPASSRLS or SUPERUSER and would see every team; take it away first', named;
    END LOOP;
    IF NOT pg_has_role('gaugebook_grafana', 'gaugebook_reader', 'USAGE') THEN
        GRANT gaugebook_reader TO gaugebook_grafana;
    END IF;
END $$;

-- What was granted before goes, so that this file alone says what holds.
REVOKE ALL ON SCHEMA metrics, analytics, audit, grafana FROM gaugebook_writer, gaugebook_reader, gaugebook_grafana, gaugebook_admin;
REVOKE ALL ON ALL TABLES IN SCHEMA metrics, analytics, audit, grafana FROM PUBLIC, gaugebook_writer, gaugebook_reader, gaugebook_grafana, gaugebook_admin;
REVOKE ALL ON ALL ROUTINES IN SCHEMA metrics, analytics, audit, grafana FROM PUBLIC, gaugebook_writer, gaugebook_reader, gaugebook_grafana, gaugebook_admin;

-- The writer adds raw rows, and does what that takes. It reads none.
GRANT USAGE ON SCHEMA metrics, audit TO gaugebook_writer;
GRANT INSERT ON metrics.llm_requests, metrics.llm_usage, metrics.llm_billed TO gaugebook_writer;
GRANT INSERT ON metrics.rabbitmq_queues, metrics.rabbitmq_nodes, metrics.rabbitmq_overview TO gaugebook_writer;
GRANT SELECT ON metrics.policies, metrics.policy_status, audit.schema_migrations TO gaugebook_writer;
GRANT EXECUTE ON FUNCTION audit.note TO gaugebook_writer;

-- It books calls on budgets, through functions that run as the owner: it neither reads nor changes them.
GRANT USAGE ON SCHEMA analytics TO gaugebook_writer;
GRANT EXECUTE ON FUNCTION analytics.reserve, analytics.settle, analytics.expire_leases, analytics.budgets_left TO gaugebook_writer, gaugebook_admin;

-- The reader sees rows of the teams that it has been granted. A table that holds rows of all teams is named here only where
-- row-level security hides those of the others; on TimescaleDB there is none, and it reads views.
GRANT USAGE ON SCHEMA metrics, analytics, audit TO gaugebook_reader;
GRANT SELECT ON
    metrics.llm_requests_visible, metrics.llm_requests_hourly, metrics.llm_requests_daily, metrics.llm_metrics_hourly, metrics.llm_metrics_daily,
    metrics.llm_usage_visible, metrics.llm_usage_hourly, metrics.llm_usage_daily,
    metrics.llm_billed, metrics.llm_billed_latest,
    metrics.rabbitmq_queues, metrics.rabbitmq_nodes, metrics.rabbitmq_overview, metrics.rabbitmq_queues_hourly, metrics.rabbitmq_queues_daily,
    metrics.rabbitmq_queues_hourly_stored, metrics.rabbitmq_queues_daily_stored, metrics.rabbitmq_metrics_hourly, metrics.rabbitmq_metrics_daily,
    metrics.team_grants, metrics.policies, metrics.policy_status, metrics.rollup_lag,
    analytics.forecasts, analytics.forecast_totals, analytics.anomalies, analytics.change_points, analytics.budget_outlooks, analytics.queue_outlooks,
    analytics.scorer_states, analytics.anomaly_verdicts, analytics.report_run, analytics.report_job, audit.schema_migrations
TO gaugebook_reader;
-- Of budgets everything but the address of the webhook, which may hold a secret.
GRANT SELECT (budget_id, name, team, project, model, key, period, limit_usd, soft_limits, enabled, created_at, changed_at, changed_by, removed_at)
    ON analytics.budgets TO gaugebook_reader;
GRANT SELECT ON analytics.budget_periods, analytics.budget_status TO gaugebook_reader;
GRANT EXECUTE ON FUNCTION audit.note TO gaugebook_reader;

DO $$
DECLARE
    named text;
BEGIN
    FOREACH named IN ARRAY ARRAY['llm_requests', 'llm_requests_hourly_stored', 'llm_requests_daily_stored',
                                 'llm_usage', 'llm_usage_hourly_stored', 'llm_usage_daily_stored'] LOOP
        IF EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('metrics.' || named) AND relrowsecurity) THEN
            EXECUTE format('GRANT SELECT ON metrics.%I TO gaugebook_reader', named);
        END IF;
    END LOOP;
    IF to_regclass('metrics.rollup_log') IS NOT NULL THEN
        GRANT SELECT (family, bucket) ON metrics.rollup_log TO gaugebook_reader;
    END IF;
END $$;

-- Grafana reads what a reader reads, and has functions that bound their rows. Its limits are set further down.
GRANT USAGE ON SCHEMA grafana TO gaugebook_grafana;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA grafana TO gaugebook_grafana;

-- The administrator reads and changes everything, and reads the audit log. Not TRUNCATE, which empties a table past every policy; not TRIGGER, whose
-- function would run as whoever writes next.
GRANT USAGE ON SCHEMA metrics, analytics, audit, grafana TO gaugebook_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA metrics, analytics TO gaugebook_admin;
GRANT SELECT ON ALL TABLES IN SCHEMA audit TO gaugebook_admin;
GRANT EXECUTE ON FUNCTION audit.note TO gaugebook_admin;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA grafana TO gaugebook_admin;

-- Routines that run as their caller can do no more than he can. Those that run as their owner are named one by one.
DO $$
DECLARE
    routine regprocedure;
BEGIN
    FOR routine IN
        SELECT oid FROM pg_proc
        WHERE pronamespace IN ('metrics'::regnamespace, 'analytics'::regnamespace) AND prorettype <> 'trigger'::regtype AND NOT prosecdef
    LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO gaugebook_writer, gaugebook_reader, gaugebook_admin', routine);
    END LOOP;
    FOR routine IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'metrics'::regnamespace AND proname IN ('raw_since', 'ensure_partitions', 'refresh_family', 'note_refresh', 'supersede', 'newest')
    LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO gaugebook_writer, gaugebook_admin', routine);
    END LOOP;
    GRANT EXECUTE ON FUNCTION metrics.raw_since TO gaugebook_reader;
END $$;

-- A member has the rights of its group, but PostgreSQL passes on neither attributes nor settings: they are given to each who can log in.
DO $$
DECLARE
    login   record;
    setting record;
BEGIN
    FOR login IN
        SELECT oid, rolname, rolconnlimit,
               pg_has_role(oid, 'gaugebook_admin', 'MEMBER')   AS admin,
               pg_has_role(oid, 'gaugebook_writer', 'MEMBER')  AS writer,
               pg_has_role(oid, 'gaugebook_reader', 'MEMBER')  AS reader,
               pg_has_role(oid, 'gaugebook_grafana', 'MEMBER') AS grafana
        FROM pg_roles WHERE rolcanlogin AND NOT rolsuper AND oid <> (SELECT nspowner FROM pg_namespace WHERE nspname = 'metrics')
    LOOP
        FOR setting IN
            SELECT key, value
            FROM (VALUES
                (login.admin,                                           'role', 'gaugebook_admin'),
                (login.writer AND NOT login.reader AND NOT login.admin, 'role', 'gaugebook_writer'),
                (login.grafana AND NOT login.admin, 'statement_timeout', '10s'),
                (login.grafana AND NOT login.admin, 'lock_timeout', '2s'),
                (login.grafana AND NOT login.admin, 'idle_in_transaction_session_timeout', '30s'),
                (login.grafana AND NOT login.admin, 'default_transaction_read_only', 'on'),
                (login.grafana AND NOT login.admin, 'work_mem', '16MB'),
                (login.grafana AND NOT login.admin, 'temp_file_limit', '1GB')) AS wanted (wanted, key, value)
            WHERE wanted AND NOT EXISTS (
                SELECT FROM pg_db_role_setting AS had JOIN pg_database ON pg_database.oid = had.setdatabase
                WHERE setrole = login.oid AND datname = current_database() AND key || '=' || value = ANY (setconfig))
        LOOP
            EXECUTE format('ALTER ROLE %I IN DATABASE %I SET %I = %L', login.rolname, current_database(), setting.key, setting.value);
        END LOOP;
        -- Whoever has become a reader too, or is no member any more, starts as himself again.
        FOR setting IN
            SELECT FROM pg_db_role_setting AS had JOIN pg_database ON pg_database.oid = had.setdatabase
            WHERE setrole = login.oid AND datname = current_database() AND NOT login.admin
              AND (setconfig @> '{role=gaugebook_admin}' OR (setconfig @> '{role=gaugebook_writer}' AND (login.reader OR NOT login.writer)))
        LOOP
            EXECUTE format('ALTER ROLE %I IN DATABASE %I RESET role', login.rolname, current_database());
        END LOOP;
        IF login.grafana AND NOT login.admin AND login.rolconnlimit = -1 THEN
            EXECUTE format('ALTER ROLE %I CONNECTION LIMIT 20', login.rolname);
        END IF;
    END LOOP;
END $$;
