-- Which queues have a sample when, and which of these samples were copied from Prometheus: one row per queue and sample, in no order.
--   :since, :until  timestamptz  when it was taken (half-open)
SELECT ts, cluster, vhost, queue, coalesce(attrs ->> 'source' = 'prometheus', false) AS copied
FROM metrics.rabbitmq_queues
WHERE ts >= :since::timestamptz
  AND ts <  :until::timestamptz;
