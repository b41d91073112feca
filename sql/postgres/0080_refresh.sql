-- Brings the stored rollups up to date with what the log says. Two at once take turns; what is written meanwhile keeps its mark.
CREATE PROCEDURE metrics.refresh_rollups()
LANGUAGE plpgsql AS $$
DECLARE
    raw   text;
    spans tstzmultirange;
    days  tstzmultirange;
BEGIN
    FOREACH raw IN ARRAY ARRAY['llm_requests', 'llm_usage', 'rabbitmq_queues'] LOOP
        PERFORM pg_advisory_xact_lock(hashtext('gaugebook.refresh_rollups'));
        -- The marks go first: under READ COMMITTED the statements after it see at least every row that these marks stand for.
        WITH taken AS (DELETE FROM metrics.rollup_log WHERE family = raw RETURNING bucket)
        SELECT range_agg(tstzrange(bucket, bucket + interval '1 hour')),
               range_agg(tstzrange(date_trunc('day', bucket, 'UTC'), date_trunc('day', bucket, 'UTC') + interval '1 day'))
        INTO spans, days FROM taken;
        IF spans IS NOT NULL THEN
            EXECUTE format('DELETE FROM metrics.%I USING unnest($1) AS span WHERE bucket >= lower(span) AND bucket < upper(span)',
                           raw || '_hourly_stored') USING spans;
            EXECUTE format('INSERT INTO metrics.%I SELECT live.* FROM unnest($1) AS span, metrics.%I(lower(span), upper(span)) AS live',
                           raw || '_hourly_stored', raw || '_rollup') USING spans;
            EXECUTE format('DELETE FROM metrics.%I USING unnest($1) AS span WHERE bucket >= lower(span) AND bucket < upper(span)',
                           raw || '_daily_stored') USING days;
            EXECUTE format('INSERT INTO metrics.%I SELECT live.* FROM unnest($1) AS span, metrics.%I(lower(span), upper(span)) AS live',
                           raw || '_daily_stored', raw || '_merge') USING days;
        END IF;
        COMMIT;
    END LOOP;
END $$;
