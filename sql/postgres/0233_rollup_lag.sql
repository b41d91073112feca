-- How far the stored rollups of each family are behind. The views above them are never behind: they work out live what waits, which
-- takes longer the more there is. What is due is what the log holds; where it holds nothing nothing is late, however long ago a refresh was.
CREATE VIEW metrics.rollup_lag AS
SELECT
    families.family,
    CASE WHEN waiting.hours > 0 THEN extract(epoch FROM now() - done.at)::float8 ELSE 0 END AS lag_s,
    waiting.late_hours
FROM unnest(ARRAY['llm_requests', 'llm_usage', 'rabbitmq_queues']) AS families (family)
CROSS JOIN (
    SELECT coalesce(last_refresh, (SELECT min(applied_at) FROM audit.schema_migrations)) AS at FROM metrics.policies
) AS done
CROSS JOIN LATERAL (
    SELECT count(DISTINCT bucket) AS hours, count(DISTINCT bucket) FILTER (WHERE bucket < date_trunc('hour', now(), 'UTC')) AS late_hours
    FROM metrics.rollup_log WHERE rollup_log.family = families.family
) AS waiting;

COMMENT ON VIEW metrics.rollup_lag IS 'seconds since the last refresh where something waits for one, and the hours before this one that do';
