-- Refresh, partitions ahead of time, and retention.
-- Works out again what the log of one family says. What is written meanwhile keeps its mark.
CREATE FUNCTION metrics.refresh_family(raw text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    spans tstzmultirange;
    days  tstzmultirange;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('gaugebook.refresh_rollups'));
    -- The marks go first: under READ COMMITTED the statements after it see at least every row that these marks stand for.
    WITH taken AS (DELETE FROM metrics.rollup_log WHERE family = raw RETURNING bucket)
    SELECT range_agg(tstzrange(bucket, bucket + interval '1 hour')),
           range_agg(tstzrange(date_trunc('day', bucket, 'UTC'), date_trunc('day', bucket, 'UTC') + interval '1 day'))
    INTO spans, days FROM taken;
    IF spans IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('DELETE FROM metrics.%I USING unnest($1) AS span WHERE bucket >= lower(span) AND bucket < upper(span)',
                   raw || '_hourly_stored') USING spans;
    -- A day at a time, so that what a long span needs stays in memory.
    EXECUTE format('INSERT INTO metrics.%I SELECT live.* FROM unnest($1) AS span,
                    generate_series(date_trunc(''day'', lower(span), ''UTC''), upper(span) - interval ''1 hour'', interval ''24 hours'') AS day,
                    metrics.%I(greatest(lower(span), day), least(upper(span), day + interval ''24 hours'')) AS live',
                   raw || '_hourly_stored', raw || '_rollup') USING spans;
    EXECUTE format('DELETE FROM metrics.%I USING unnest($1) AS span WHERE bucket >= lower(span) AND bucket < upper(span)',
                   raw || '_daily_stored') USING days;
    EXECUTE format('INSERT INTO metrics.%I SELECT live.* FROM unnest($1) AS span, metrics.%I(lower(span), upper(span)) AS live',
                   raw || '_daily_stored', raw || '_merge') USING days;
END $$;

-- Brings the stored rollups up to date; two at once take turns.
CREATE PROCEDURE metrics.refresh_rollups()
LANGUAGE plpgsql AS $$
DECLARE
    raw text;
BEGIN
    FOREACH raw IN ARRAY ARRAY['llm_requests', 'llm_usage', 'rabbitmq_queues'] LOOP
        PERFORM metrics.refresh_family(raw);
        COMMIT;
    END LOOP;
    PERFORM metrics.note_refresh();
END $$;

CREATE FUNCTION metrics.note_refresh() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE metrics.policies SET last_refresh = clock_timestamp()
$$;

-- Writers need not own the tables: marks and partitions are made in the name of their owner.
ALTER FUNCTION metrics.log_changed_hours() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;

CREATE OR REPLACE PROCEDURE metrics.ensure_partitions(raw regclass, months timestamptz[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name  text := (SELECT relname FROM pg_class WHERE oid = raw AND relkind = 'p' AND relnamespace = 'metrics'::regnamespace);
    since timestamptz;
    part  text;
BEGIN
    FOR since, part IN
        SELECT DISTINCT date_trunc('month', month, 'UTC'), name || to_char(month AT TIME ZONE 'UTC', '_YYYY_MM')
        FROM unnest(months) AS month
        WHERE name IS NOT NULL
        ORDER BY 1
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_class WHERE relname = part AND relnamespace = 'metrics'::regnamespace);
        IF since + interval '1 month' <= metrics.raw_since() THEN
            RAISE EXCEPTION 'raw rows of % are no longer kept', to_char(since AT TIME ZONE 'UTC', 'YYYY-MM') USING ERRCODE = 'GB001';
        END IF;
        PERFORM pg_advisory_xact_lock(hashtext('gaugebook.ensure_partitions'));
        CONTINUE WHEN EXISTS (SELECT FROM pg_class WHERE relname = part AND relnamespace = 'metrics'::regnamespace);
        -- Made apart and then attached: ATTACH lets readers and writers of the parent go on, PARTITION OF would not.
        EXECUTE format('CREATE TABLE metrics.%I (LIKE metrics.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, name);
        EXECUTE format(
            'ALTER TABLE metrics.%I ATTACH PARTITION metrics.%I FOR VALUES FROM (%L) TO (%L)',
            name, part, since, since + interval '1 month');
    END LOOP;
END $$;

-- The partitions of the raw tables with the moment at which each ends.
CREATE VIEW metrics.raw_partitions AS
SELECT
    parent.relname AS raw, child.oid::regclass AS part,
    substring(pg_get_expr(child.relpartbound, child.oid) FROM 'FROM \(''([^'']+)''\)')::timestamptz AS since,
    substring(pg_get_expr(child.relpartbound, child.oid) FROM 'TO \(''([^'']+)''\)')::timestamptz   AS until
FROM pg_inherits
JOIN pg_class AS parent ON parent.oid = inhparent
JOIN pg_class AS child  ON child.oid = inhrelid
WHERE parent.relnamespace = 'metrics'::regnamespace AND parent.relkind = 'p';

-- Makes the partitions of this month and the next two; drops what is no longer to be kept, and never an hour that is not rolled up.
CREATE PROCEDURE metrics.maintain()
LANGUAGE plpgsql AS $$
DECLARE
    named      text;
    month      timestamptz;
    old        record;
    hourly_age interval := (SELECT keep_hourly FROM metrics.policies);
BEGIN
    FOREACH named IN ARRAY ARRAY['llm_requests', 'llm_usage', 'rabbitmq_queues', 'rabbitmq_nodes', 'rabbitmq_overview'] LOOP
        FOR month IN SELECT now() + n * interval '1 month' FROM generate_series(0, 2) AS n
        WHERE now() + n * interval '1 month' >= metrics.raw_since() LOOP
            CALL metrics.ensure_partitions(format('metrics.%I', named)::regclass, ARRAY[month]);
        END LOOP;
    END LOOP;
    COMMIT;
    FOR old IN SELECT * FROM metrics.raw_partitions WHERE until <= metrics.raw_since() ORDER BY until LOOP
        -- The lock lets no writer in while the log is asked whether an hour of this partition is still to be rolled up.
        PERFORM set_config('lock_timeout', '5s', true);
        EXECUTE format('LOCK TABLE ONLY metrics.%I, ONLY %s IN ACCESS EXCLUSIVE MODE', old.raw, old.part);
        IF NOT EXISTS (SELECT FROM metrics.rollup_log
                       WHERE family = old.raw AND bucket >= old.since AND bucket < old.until) THEN
            EXECUTE format('DROP TABLE %s', old.part);
            UPDATE metrics.policies SET raw_until = greatest(raw_until, old.until);
        END IF;
        COMMIT;
    END LOOP;
    IF hourly_age IS NOT NULL THEN
        FOREACH named IN ARRAY ARRAY['llm_requests', 'llm_usage', 'rabbitmq_queues'] LOOP
            EXECUTE format('DELETE FROM metrics.%I WHERE bucket < least(date_trunc(''day'', now() - $1, ''UTC''), metrics.raw_since())',
                           named || '_hourly_stored')
            USING hourly_age;
            COMMIT;
        END LOOP;
    END IF;
END $$;

CREATE PROCEDURE metrics.set_policies(new_raw interval, new_hourly interval, new_compress interval, new_refresh interval)
LANGUAGE sql AS $$
    UPDATE metrics.policies
    SET keep_raw = new_raw, keep_hourly = new_hourly, compress_after = new_compress, refresh_every = new_refresh
$$;

-- What is done by itself: one row per policy.
CREATE VIEW metrics.policy_status AS
SELECT 'rollups' AS object, 'refresh' AS policy, 'every ' || refresh_every AS setting, last_refresh AS last_run, NULL::timestamptz AS next_run,
       'by the collectors or gaugebook db refresh' AS outcome FROM metrics.policies
UNION ALL
SELECT 'raw rows', 'retention', coalesce('keep ' || keep_raw, 'keep for ever'), last_refresh, NULL, 'with each refresh, by whole months' FROM metrics.policies
UNION ALL
SELECT 'hourly rollups', 'retention', coalesce('keep ' || keep_hourly, 'keep for ever'), last_refresh, NULL, 'with each refresh' FROM metrics.policies
UNION ALL
SELECT raw::text, 'partitions', count(*) || ' months, until ' || to_char(max(until) AT TIME ZONE 'UTC', 'YYYY-MM-DD'), NULL, NULL, 'two months ahead, with each refresh'
FROM metrics.raw_partitions GROUP BY raw;
