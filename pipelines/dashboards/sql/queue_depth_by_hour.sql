-- Depth of a queue, mean and most of each hour.
SELECT bucket AS "time", avg(avg_messages) AS mean, max(max_messages)::float8 AS most
FROM metrics.rabbitmq_metrics_hourly
WHERE $__timeFilter(bucket) AND cluster IN (${cluster:sqlstring}) AND vhost IN (${vhost:sqlstring}) AND queue = ${queue:sqlstring}
GROUP BY bucket
ORDER BY bucket
