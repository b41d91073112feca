-- How complete the hours of a source are, one row: how many have rows, what lacks a price or tokens, and the longest silence between two of them.
--   :source         text          llm_requests, llm_usage or rabbitmq_queues
--   :since, :until  timestamptz   whole hours from, to (half-open)
WITH rollup AS (
    SELECT bucket, requests, unpriced, unmetered FROM metrics.llm_requests_hourly
    WHERE :source = 'llm_requests' AND bucket >= :since::timestamptz AND bucket < :until::timestamptz
    UNION ALL
    SELECT bucket, requests, CASE WHEN cost_usd IS NULL THEN requests ELSE 0 END, 0 FROM metrics.llm_usage_hourly
    WHERE :source = 'llm_usage' AND bucket >= :since::timestamptz AND bucket < :until::timestamptz
    UNION ALL
    SELECT bucket, 0, 0, 0 FROM metrics.rabbitmq_queues_hourly
    WHERE :source = 'rabbitmq_queues' AND bucket >= :since::timestamptz AND bucket < :until::timestamptz
),
hours AS (
    SELECT bucket, sum(requests) AS requests, sum(unpriced) AS unpriced, sum(unmetered) AS unmetered FROM rollup GROUP BY bucket
),
silences AS (
    SELECT bucket + interval '1 hour' AS silent_since, lead(bucket, 1, :until::timestamptz) OVER (ORDER BY bucket) AS silent_until FROM hours
),
longest AS (
    SELECT * FROM silences WHERE silent_until > silent_since ORDER BY silent_until - silent_since DESC, silent_since DESC LIMIT 1
)
SELECT
    (SELECT count(*) FROM hours)::bigint                     AS hours,
    (SELECT coalesce(sum(requests), 0) FROM hours)::bigint   AS requests,
    (SELECT coalesce(sum(unpriced), 0) FROM hours)::bigint   AS unpriced,
    (SELECT coalesce(sum(unmetered), 0) FROM hours)::bigint  AS unmetered,
    (SELECT silent_since FROM longest)                       AS silent_since,
    (SELECT silent_until FROM longest)                       AS silent_until;
