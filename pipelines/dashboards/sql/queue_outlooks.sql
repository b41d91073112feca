-- What the last runs said of a queue.
SELECT
    made_at AS made, messages, consumers, arriving_per_s AS arriving, served_per_s AS served, capacity_per_s AS capacity, utilisation,
    drain_s AS "empty in", full_s AS "full in", p_full AS "chance to be full", consumers_needed::float8 AS "consumers needed"
FROM analytics.queue_outlooks
WHERE cluster IN (${cluster:sqlstring}) AND vhost IN (${vhost:sqlstring}) AND queue = ${queue:sqlstring}
ORDER BY made_at DESC
LIMIT 12
