-- From which hour to which hour each source has data: one row per source, nulls where it has none.
SELECT 'llm_requests' AS source, min(bucket) AS first, max(bucket) AS last FROM metrics.llm_requests_hourly
UNION ALL
SELECT 'llm_usage', min(bucket), max(bucket) FROM metrics.llm_usage_hourly
UNION ALL
SELECT 'rabbitmq_queues', min(bucket), max(bucket) FROM metrics.rabbitmq_queues_hourly;
