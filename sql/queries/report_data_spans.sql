-- Note with a report run which hours the store holds of each source, and how many rows of each of the last 35 days.
--   :run_id  uuid
WITH spans AS (
    SELECT 'llm_requests' AS source, min(bucket) AS first, max(bucket) AS last FROM metrics.llm_requests_hourly
    UNION ALL
    SELECT 'llm_usage', min(bucket), max(bucket) FROM metrics.llm_usage_hourly
    UNION ALL
    SELECT 'rabbitmq_queues', min(bucket), max(bucket) FROM metrics.rabbitmq_queues_hourly
)
UPDATE analytics.report_run
SET data_spans = (SELECT coalesce(jsonb_object_agg(source, jsonb_build_array(first, last)), '{}') FROM spans WHERE first IS NOT NULL),
    data_rows  = (
        SELECT coalesce(jsonb_object_agg(source, days), '{}')
        FROM spans
        CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(day, held) AS days
            FROM analytics.rows_by_day(source, date_trunc('day', started_at, 'UTC') - interval '840 hours', date_trunc('hour', started_at, 'UTC') - interval '1 hour')
        ) AS counted
        WHERE days IS NOT NULL
    )
WHERE run_id = :run_id;
