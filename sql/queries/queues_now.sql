-- Queues as they are now, the latest depth and what arrives: one row per queue that is asked for and was seen.
-- Where nobody tells what arrives, it is what was served and what the depth grew by.
--   :cluster, :vhost, :queue  text[]       which queues, entry by entry
--   :since, :until            timestamptz  the minutes that count as now (half-open)
WITH seen AS (
    SELECT
        cluster, vhost, queue, extract(epoch FROM max(ts) - min(ts))::float8 AS passed_s,
        avg(published_per_s) AS published_per_s, avg(acked_per_s) AS acked_per_s,
        (array_agg(messages ORDER BY ts))[1] AS first, (array_agg(messages ORDER BY ts DESC))[1] AS messages
    FROM metrics.rabbitmq_queues
    WHERE ts >= :since::timestamptz
      AND ts <  :until::timestamptz
      AND (cluster, vhost, queue) IN (SELECT * FROM unnest(:cluster::text[], :vhost::text[], :queue::text[]))
      AND messages IS NOT NULL
    GROUP BY cluster, vhost, queue
)
SELECT
    cluster, vhost, queue, messages,
    coalesce(published_per_s, acked_per_s + (messages - first) / nullif(passed_s, 0)) AS arriving_per_s
FROM seen
ORDER BY cluster, vhost, queue;
