-- Brings the continuous aggregates up to date, late rows included; two at once take turns. The current hour and day stay live.
CREATE PROCEDURE metrics.refresh_rollups()
LANGUAGE plpgsql AS $$
DECLARE
    raw text;
BEGIN
    -- TimescaleDB refuses a second refresh instead of waiting. A lock of the session, since each refresh is committed.
    PERFORM pg_advisory_lock(hashtext('gaugebook.refresh_rollups'));
    COMMIT;
    FOREACH raw IN ARRAY ARRAY['llm_requests', 'llm_usage', 'rabbitmq_queues'] LOOP
        CALL refresh_continuous_aggregate(format('metrics.%I', raw || '_hourly')::regclass, NULL, time_bucket('1 hour', now()));
        COMMIT;
        CALL refresh_continuous_aggregate(format('metrics.%I', raw || '_daily')::regclass, NULL, time_bucket('1 day', now()));
        COMMIT;
    END LOOP;
    PERFORM pg_advisory_unlock(hashtext('gaugebook.refresh_rollups'));
END $$;
