-- The raw tables: how many rows, how large, from when until when. One row per table.
WITH spans AS (
    SELECT 'llm_requests' AS name, count(*) AS rows, min(ts) AS since, max(ts) AS until FROM metrics.llm_requests_visible
    UNION ALL
    SELECT 'llm_usage', count(*), min(ts), max(ts) FROM metrics.llm_usage_visible
    UNION ALL
    SELECT 'rabbitmq_queues', count(*), min(ts), max(ts) FROM metrics.rabbitmq_queues
    UNION ALL
    SELECT 'rabbitmq_nodes', count(*), min(ts), max(ts) FROM metrics.rabbitmq_nodes
    UNION ALL
    SELECT 'rabbitmq_overview', count(*), min(ts), max(ts) FROM metrics.rabbitmq_overview
)
SELECT name, rows, since, until FROM spans;
