-- The time of the newest raw row of each table within the last day: one row per table, null where it has none.
-- TimescaleDB does not look into the views of LLM calls from their end: where rows come all the time, an hour of them is enough.
SELECT
    'llm_requests' AS name,
    coalesce((SELECT max(ts) FROM metrics.llm_requests_visible WHERE ts >= now() - interval '1 hour'),
             (SELECT max(ts) FROM metrics.llm_requests_visible WHERE ts >= now() - interval '1 day')) AS until
UNION ALL
SELECT
    'llm_usage',
    coalesce((SELECT max(ts) FROM metrics.llm_usage_visible WHERE ts >= now() - interval '1 hour'),
             (SELECT max(ts) FROM metrics.llm_usage_visible WHERE ts >= now() - interval '1 day'))
UNION ALL
SELECT
    'rabbitmq_queues',
    coalesce((SELECT max(ts) FROM metrics.rabbitmq_queues WHERE ts >= now() - interval '1 hour'),
             (SELECT max(ts) FROM metrics.rabbitmq_queues WHERE ts >= now() - interval '1 day'))
UNION ALL
SELECT
    'rabbitmq_nodes',
    coalesce((SELECT max(ts) FROM metrics.rabbitmq_nodes WHERE ts >= now() - interval '1 hour'),
             (SELECT max(ts) FROM metrics.rabbitmq_nodes WHERE ts >= now() - interval '1 day'))
UNION ALL
SELECT
    'rabbitmq_overview',
    coalesce((SELECT max(ts) FROM metrics.rabbitmq_overview WHERE ts >= now() - interval '1 hour'),
             (SELECT max(ts) FROM metrics.rabbitmq_overview WHERE ts >= now() - interval '1 day'));
