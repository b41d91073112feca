-- The queue rollup as people read it: one row per bucket and queue.
--   :grain          text          hourly or daily
--   :since, :until  timestamptz   buckets from, to (half-open)
WITH rollup AS (
    SELECT bucket, cluster, vhost, queue, samples, avg_messages, min_messages, max_messages, last_messages, avg_ready,
           avg_unacked, avg_consumers, min_consumers, max_consumers, max_head_age, avg_published_per_s,
           avg_delivered_per_s, avg_acked_per_s
    FROM metrics.rabbitmq_metrics_hourly
    WHERE :grain = 'hourly'
    UNION ALL
    SELECT bucket, cluster, vhost, queue, samples, avg_messages, min_messages, max_messages, last_messages, avg_ready,
           avg_unacked, avg_consumers, min_consumers, max_consumers, max_head_age, avg_published_per_s,
           avg_delivered_per_s, avg_acked_per_s
    FROM metrics.rabbitmq_metrics_daily
    WHERE :grain = 'daily'
)
SELECT *
FROM rollup
WHERE bucket >= :since::timestamptz
  AND bucket <  :until::timestamptz
ORDER BY bucket, cluster, vhost, queue;
