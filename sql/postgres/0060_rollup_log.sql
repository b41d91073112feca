-- The log of hours that have changed since they were rolled up. It is appended to and never upserted: a mark that a
-- refresh takes away was committed before the refresh reads the raw rows, and a writer that commits later leaves its own mark.
CREATE TABLE metrics.rollup_log (
    family text        NOT NULL,
    bucket timestamptz NOT NULL
);

COMMENT ON TABLE metrics.rollup_log IS 'hours of a rollup family that have changed since the last refresh';

CREATE INDEX ON metrics.rollup_log (family, bucket);

CREATE FUNCTION metrics.log_changed_hours() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        INSERT INTO metrics.rollup_log SELECT DISTINCT TG_ARGV[0], date_trunc('hour', ts, 'UTC') FROM new_rows;
    END IF;
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        INSERT INTO metrics.rollup_log SELECT DISTINCT TG_ARGV[0], date_trunc('hour', ts, 'UTC') FROM old_rows;
    END IF;
    RETURN NULL;
END $$;

CREATE PROCEDURE metrics.log_changes_of(family text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER log_insert AFTER INSERT ON metrics.%I REFERENCING NEW TABLE AS new_rows
                    FOR EACH STATEMENT EXECUTE FUNCTION metrics.log_changed_hours(%L)', family, family);
    EXECUTE format('CREATE TRIGGER log_update AFTER UPDATE ON metrics.%I REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
                    FOR EACH STATEMENT EXECUTE FUNCTION metrics.log_changed_hours(%L)', family, family);
    EXECUTE format('CREATE TRIGGER log_delete AFTER DELETE ON metrics.%I REFERENCING OLD TABLE AS old_rows
                    FOR EACH STATEMENT EXECUTE FUNCTION metrics.log_changed_hours(%L)', family, family);
END $$;

CALL metrics.log_changes_of('llm_requests');
CALL metrics.log_changes_of('llm_usage');
CALL metrics.log_changes_of('rabbitmq_queues');

-- The spans of whole hours that a refresh of `family` has to work out again; neighbours are joined.
CREATE FUNCTION metrics.changed_spans(of_family text) RETURNS TABLE (since timestamptz, until timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT lower(span), upper(span)
    FROM (SELECT unnest(range_agg(tstzrange(bucket, bucket + interval '1 hour'))) AS span
          FROM metrics.rollup_log WHERE family = of_family) AS spans
$$;

-- The same in whole days.
CREATE FUNCTION metrics.changed_days(of_family text) RETURNS TABLE (since timestamptz, until timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT lower(span), upper(span)
    FROM (SELECT unnest(range_agg(tstzrange(date_trunc('day', bucket, 'UTC'), date_trunc('day', bucket, 'UTC') + interval '1 day'))) AS span
          FROM metrics.rollup_log WHERE family = of_family) AS spans
$$;
