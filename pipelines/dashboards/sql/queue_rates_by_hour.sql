-- Rates of a queue, mean of each hour.
SELECT
    bucket AS "time", avg(avg_published_per_s) AS published, avg(avg_delivered_per_s) AS delivered, avg(avg_acked_per_s) AS acknowledged
FROM metrics.rabbitmq_metrics_hourly
WHERE $__timeFilter(bucket) AND cluster IN (${cluster:sqlstring}) AND vhost IN (${vhost:sqlstring}) AND queue = ${queue:sqlstring}
GROUP BY bucket
ORDER BY bucket
