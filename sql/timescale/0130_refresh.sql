-- Refresh, column store and retention.
ALTER TABLE metrics.llm_requests SET (timescaledb.compress, timescaledb.compress_segmentby = 'model', timescaledb.compress_orderby = 'ts, request_id');
ALTER TABLE metrics.llm_usage SET (timescaledb.compress, timescaledb.compress_segmentby = 'source, model',
                                   timescaledb.compress_orderby = 'ts, width_s, provider, team, project');
ALTER TABLE metrics.rabbitmq_queues SET (timescaledb.compress, timescaledb.compress_segmentby = 'cluster, vhost, queue', timescaledb.compress_orderby = 'ts');
ALTER TABLE metrics.rabbitmq_nodes SET (timescaledb.compress, timescaledb.compress_segmentby = 'cluster, node', timescaledb.compress_orderby = 'ts');
ALTER TABLE metrics.rabbitmq_overview SET (timescaledb.compress, timescaledb.compress_segmentby = 'cluster', timescaledb.compress_orderby = 'ts');

-- Brings the continuous aggregates up to date, late rows included; two at once take turns. The current hour and day stay live, and
-- hours whose raw rows retention may have dropped are left as they are.
CREATE PROCEDURE metrics.refresh_rollups()
LANGUAGE plpgsql AS $$
DECLARE
    raw   text;
    since timestamptz := nullif(metrics.raw_since(), '-infinity');
BEGIN
    -- TimescaleDB refuses a second refresh instead of waiting. A lock of the session, since each refresh is committed.
    PERFORM pg_advisory_lock(hashtext('gaugebook.refresh_rollups'));
    COMMIT;
    FOREACH raw IN ARRAY ARRAY['llm_requests', 'llm_usage', 'rabbitmq_queues'] LOOP
        CALL refresh_continuous_aggregate(format('metrics.%I', raw || '_hourly_stored')::regclass, since, time_bucket('1 hour', now()));
        COMMIT;
        CALL refresh_continuous_aggregate(format('metrics.%I', raw || '_daily_stored')::regclass, since, time_bucket('1 day', now()));
        COMMIT;
    END LOOP;
    UPDATE metrics.policies SET last_refresh = clock_timestamp();
    COMMIT;
    PERFORM pg_advisory_unlock(hashtext('gaugebook.refresh_rollups'));
END $$;

-- Chunks are made as rows come and dropped by a policy; there is nothing to do by hand.
CREATE PROCEDURE metrics.maintain()
LANGUAGE sql AS '';

-- A hypertable makes its own chunks, also where retention has dropped them.
CREATE OR REPLACE PROCEDURE metrics.ensure_partitions(raw regclass, months timestamptz[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    month timestamptz;
BEGIN
    FOREACH month IN ARRAY months LOOP
        IF date_trunc('month', month, 'UTC') + interval '1 month' <= metrics.raw_since() THEN
            RAISE EXCEPTION 'raw rows of % are no longer kept', to_char(month AT TIME ZONE 'UTC', 'YYYY-MM') USING ERRCODE = 'GB001';
        END IF;
    END LOOP;
END $$;

-- Replaces TimescaleDB's policies by those that are asked for; null keeps for ever. Raw rows are taken in by whole months, and stay
-- until the month is over: 32 days more, of which the refresh looks at 31, so that each has been rolled up before its chunk is dropped.
CREATE PROCEDURE metrics.set_policies(new_raw interval, new_hourly interval, new_compress interval, new_refresh interval)
LANGUAGE plpgsql AS $$
DECLARE
    raw    text;
    rollup regclass;
BEGIN
    UPDATE metrics.policies
    SET raw_until = metrics.raw_since(),
        keep_raw = new_raw, keep_hourly = new_hourly, compress_after = new_compress, refresh_every = new_refresh;
    FOREACH raw IN ARRAY ARRAY['metrics.llm_requests', 'metrics.llm_usage', 'metrics.rabbitmq_queues', 'metrics.rabbitmq_nodes', 'metrics.rabbitmq_overview'] LOOP
        PERFORM remove_retention_policy(raw::regclass, if_exists => true);
        PERFORM remove_compression_policy(raw::regclass, if_exists => true);
        PERFORM add_compression_policy(raw::regclass, new_compress);
        IF new_raw IS NOT NULL THEN
            PERFORM add_retention_policy(raw::regclass, new_raw + interval '32 days');
        END IF;
    END LOOP;
    FOREACH raw IN ARRAY ARRAY['metrics.llm_requests', 'metrics.llm_usage', 'metrics.rabbitmq_queues'] LOOP
        rollup := raw || '_hourly_stored';
        PERFORM remove_continuous_aggregate_policy(rollup, if_exists => true);
        PERFORM remove_retention_policy(rollup, if_exists => true);
        PERFORM add_continuous_aggregate_policy(rollup, new_raw + interval '31 days', interval '1 hour', new_refresh);
        IF new_hourly IS NOT NULL THEN
            PERFORM add_retention_policy(rollup, greatest(new_hourly, new_raw + interval '33 days'));
        END IF;
        rollup := raw || '_daily_stored';
        PERFORM remove_continuous_aggregate_policy(rollup, if_exists => true);
        PERFORM add_continuous_aggregate_policy(rollup, new_raw + interval '31 days', interval '1 day', new_refresh);
    END LOOP;
END $$;

-- What is done by itself: one row per policy.
CREATE VIEW metrics.policy_status AS
SELECT
    coalesce(rollups.view_name, jobs.hypertable_name)::text AS object,
    CASE jobs.proc_name
        WHEN 'policy_refresh_continuous_aggregate' THEN 'refresh'
        WHEN 'policy_compression'                  THEN 'column store'
        WHEN 'policy_retention'                    THEN 'retention'
        ELSE jobs.proc_name::text
    END                                                     AS policy,
    CASE
        WHEN jobs.config ? 'drop_after' AND rollups.view_name IS NULL
            THEN (SELECT 'keep ' || keep_raw || ', by whole months' FROM metrics.policies)
        WHEN jobs.config ? 'drop_after'     THEN 'keep ' || (jobs.config ->> 'drop_after')
        WHEN jobs.config ? 'compress_after' THEN 'after ' || (jobs.config ->> 'compress_after')
        ELSE 'every ' || jobs.schedule_interval
    END                                                     AS setting,
    nullif(stats.last_run_started_at, '-infinity')          AS last_run,
    nullif(jobs.next_start, '-infinity')                    AS next_run,
    coalesce(stats.last_run_status, 'not run yet')::text    AS outcome
FROM timescaledb_information.jobs
LEFT JOIN timescaledb_information.job_stats AS stats USING (job_id)
LEFT JOIN timescaledb_information.continuous_aggregates AS rollups
    ON (rollups.materialization_hypertable_schema, rollups.materialization_hypertable_name) = (jobs.hypertable_schema, jobs.hypertable_name)
    OR (rollups.view_schema, rollups.view_name) = (jobs.hypertable_schema, jobs.hypertable_name)
WHERE jobs.hypertable_name IS NOT NULL;
