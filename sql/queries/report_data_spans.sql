-- Note with a report run which hours the store holds of each source.
--   :run_id  uuid
UPDATE analytics.report_run
SET data_spans = (
    SELECT coalesce(jsonb_object_agg(source, jsonb_build_array(first, last)), '{}')
    FROM (
        SELECT 'llm_requests' AS source, min(bucket) AS first, max(bucket) AS last FROM metrics.llm_requests_hourly
        UNION ALL
        SELECT 'llm_usage', min(bucket), max(bucket) FROM metrics.llm_usage_hourly
        UNION ALL
        SELECT 'rabbitmq_queues', min(bucket), max(bucket) FROM metrics.rabbitmq_queues_hourly
    ) AS spans
    WHERE first IS NOT NULL
)
WHERE run_id = :run_id;
