-- What a report could see when it was made, so that the next one can say what has come late since then.
ALTER TABLE analytics.report_run ADD COLUMN data_rows jsonb;
COMMENT ON COLUMN analytics.report_run.data_rows IS
    'rows of each source and day (UTC) that the store held when the run began: of 35 days, up to a whole hour that was over for an hour';

-- Rows of a source, day by day, from a whole day (UTC) to a whole hour (half-open). Of LLM usage a row is a window of a provider's report.
-- With a setting of its own it is not taken apart into its caller, where TimescaleDB loses whose views these are.
CREATE FUNCTION analytics.rows_by_day(family text, since timestamptz, until timestamptz) RETURNS TABLE (day date, held bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (bucket AT TIME ZONE 'UTC')::date, sum(n)::bigint
    FROM (
        SELECT 'llm_requests' AS source, bucket, requests AS n FROM metrics.llm_requests_daily WHERE bucket < date_trunc('day', until, 'UTC')
        UNION ALL
        SELECT 'llm_requests', bucket, requests FROM metrics.llm_requests_hourly WHERE bucket >= date_trunc('day', until, 'UTC')
        UNION ALL
        SELECT 'llm_usage', bucket, windows FROM metrics.llm_usage_daily WHERE bucket < date_trunc('day', until, 'UTC')
        UNION ALL
        SELECT 'llm_usage', bucket, windows FROM metrics.llm_usage_hourly WHERE bucket >= date_trunc('day', until, 'UTC')
        UNION ALL
        SELECT 'rabbitmq_queues', bucket, samples FROM metrics.rabbitmq_queues_daily WHERE bucket < date_trunc('day', until, 'UTC')
        UNION ALL
        SELECT 'rabbitmq_queues', bucket, samples FROM metrics.rabbitmq_queues_hourly WHERE bucket >= date_trunc('day', until, 'UTC')
    ) AS counted
    WHERE source = family AND bucket >= since AND bucket < until
    GROUP BY 1
$$;

REVOKE ALL ON FUNCTION analytics.rows_by_day FROM PUBLIC;
