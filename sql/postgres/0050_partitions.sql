-- Raw tables become range partitions of one month. A table keeps its columns, checks, key and comments.
CREATE PROCEDURE metrics.partition_by_month(raw regclass)
LANGUAGE plpgsql AS $$
DECLARE
    name text := (SELECT relname FROM pg_class WHERE oid = raw);
BEGIN
    EXECUTE format('ALTER TABLE metrics.%I RENAME TO %I', name, name || '_plain');
    EXECUTE format('CREATE TABLE metrics.%I (LIKE metrics.%I INCLUDING ALL) PARTITION BY RANGE (ts)', name, name || '_plain');
    EXECUTE format('COMMENT ON TABLE metrics.%I IS %L', name, obj_description(raw, 'pg_class'));
    EXECUTE format('DROP TABLE metrics.%I', name || '_plain');
END $$;

-- Makes the partitions of the given months (any moment in them). Cheap when they are there, safe from many writers at once.
CREATE PROCEDURE metrics.ensure_partitions(raw regclass, months timestamptz[])
LANGUAGE plpgsql AS $$
DECLARE
    name  text := (SELECT relname FROM pg_class WHERE oid = raw);
    since timestamptz;
    part  text;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = raw) <> 'p' THEN
        RETURN;
    END IF;
    FOR since, part IN
        SELECT DISTINCT date_trunc('month', month, 'UTC'), name || to_char(month AT TIME ZONE 'UTC', '_YYYY_MM')
        FROM unnest(months) AS month
        ORDER BY 1
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_class WHERE relname = part AND relnamespace = 'metrics'::regnamespace);
        PERFORM pg_advisory_xact_lock(hashtext('gaugebook.ensure_partitions'));
        CONTINUE WHEN EXISTS (SELECT FROM pg_class WHERE relname = part AND relnamespace = 'metrics'::regnamespace);
        -- Made apart and then attached: ATTACH lets readers and writers of the parent go on, PARTITION OF would not.
        EXECUTE format('CREATE TABLE metrics.%I (LIKE metrics.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, name);
        EXECUTE format(
            'ALTER TABLE metrics.%I ATTACH PARTITION metrics.%I FOR VALUES FROM (%L) TO (%L)',
            name, part, since, since + interval '1 month');
    END LOOP;
END $$;

CALL metrics.partition_by_month('metrics.llm_requests');
CALL metrics.partition_by_month('metrics.llm_usage');
CALL metrics.partition_by_month('metrics.rabbitmq_queues');
CALL metrics.partition_by_month('metrics.rabbitmq_nodes');
CALL metrics.partition_by_month('metrics.rabbitmq_overview');
