-- From which hour to which hour each source has data.
SELECT 'requests' AS source, min(bucket) AS "from", max(bucket) AS until FROM metrics.llm_requests_hourly
UNION ALL
SELECT 'usage', min(bucket), max(bucket) FROM metrics.llm_usage_hourly
UNION ALL
SELECT 'queues', min(bucket), max(bucket) FROM metrics.rabbitmq_queues_hourly
