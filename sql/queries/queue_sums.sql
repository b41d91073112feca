-- The queue rollup added up over the queues of a vhost, those without a row of their own included: one row per bucket and vhost.
--   :grain          text          hourly or daily
--   :since, :until  timestamptz   buckets from, to (half-open)
WITH rollup AS (
    SELECT bucket, cluster, vhost, messages_samples, messages_sum, ready_sum, unacked_sum, consumers_samples, consumers_sum, head_age_max,
           rate_samples, published_per_s_sum, delivered_per_s_sum, acked_per_s_sum
    FROM metrics.rabbitmq_queues_hourly
    WHERE :grain = 'hourly' AND bucket >= :since::timestamptz AND bucket < :until::timestamptz
    UNION ALL
    SELECT bucket, cluster, vhost, messages_samples, messages_sum, ready_sum, unacked_sum, consumers_samples, consumers_sum, head_age_max,
           rate_samples, published_per_s_sum, delivered_per_s_sum, acked_per_s_sum
    FROM metrics.rabbitmq_queues_daily
    WHERE :grain = 'daily' AND bucket >= :since::timestamptz AND bucket < :until::timestamptz
),
-- A queue has a row in some samples and is in the sum of the others in the rest: means of the two do not add up. Sums do, and a
-- cluster was sampled as often as its most sampled queue.
times AS (
    SELECT bucket, cluster, max(messages_samples) AS messages, max(consumers_samples) AS consumers, max(rate_samples) AS rates
    FROM rollup
    GROUP BY bucket, cluster
)
SELECT
    bucket, cluster, vhost,
    sum(messages_sum)::float8 / nullif(times.messages, 0)   AS avg_messages,
    sum(ready_sum)::float8 / nullif(times.messages, 0)      AS avg_ready,
    sum(unacked_sum)::float8 / nullif(times.messages, 0)    AS avg_unacked,
    sum(consumers_sum)::float8 / nullif(times.consumers, 0) AS avg_consumers,
    max(head_age_max)                                       AS max_head_age,
    sum(published_per_s_sum) / nullif(times.rates, 0)       AS avg_published_per_s,
    sum(delivered_per_s_sum) / nullif(times.rates, 0)       AS avg_delivered_per_s,
    sum(acked_per_s_sum) / nullif(times.rates, 0)           AS avg_acked_per_s
FROM rollup
JOIN times USING (bucket, cluster)
GROUP BY bucket, cluster, vhost, times.messages, times.consumers, times.rates
ORDER BY bucket, cluster, vhost;
