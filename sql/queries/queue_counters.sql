-- Single samples of queues with their counters and limits: one row per queue and sample, in the order of time.
--   :since, :until  timestamptz  when it was taken (half-open)
SELECT
    ts, cluster, vhost, queue, messages, messages_ready, messages_unacked, consumers, consumer_utilisation, head_age_s,
    published_total, delivered_total, acked_total,
    CASE WHEN jsonb_typeof(attrs -> 'max_length') = 'number' THEN (attrs -> 'max_length')::float8 END AS max_length
FROM metrics.rabbitmq_queues
WHERE ts >= :since::timestamptz
  AND ts <  :until::timestamptz
  AND queue <> ''
ORDER BY ts, cluster, vhost, queue;
