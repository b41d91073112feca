-- Brings the continuous aggregates up to date, late rows included; the current hour and day stay live.
CREATE PROCEDURE metrics.refresh_rollups()
LANGUAGE plpgsql AS $$
DECLARE
    raw text;
BEGIN
    FOREACH raw IN ARRAY ARRAY['llm_requests', 'llm_usage', 'rabbitmq_queues'] LOOP
        CALL refresh_continuous_aggregate(format('metrics.%I', raw || '_hourly')::regclass, NULL, time_bucket('1 hour', now()));
        COMMIT;
        CALL refresh_continuous_aggregate(format('metrics.%I', raw || '_daily')::regclass, NULL, time_bucket('1 day', now()));
        COMMIT;
    END LOOP;
END $$;
