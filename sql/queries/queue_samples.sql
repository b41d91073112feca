-- Single samples of queues with all that is known of each: one row per queue and sample, in no order.
--   :since, :until  timestamptz  when it was taken (half-open)
SELECT
    ts, cluster, vhost, queue, type, state, policy, messages, messages_ready, messages_unacked, message_bytes,
    memory_bytes, consumers, consumer_utilisation, head_age_s, published_total, delivered_total, acked_total,
    redelivered_total, published_per_s, delivered_per_s, acked_per_s, redelivered_per_s, attrs
FROM metrics.rabbitmq_queues
WHERE ts >= :since::timestamptz
  AND ts <  :until::timestamptz;
