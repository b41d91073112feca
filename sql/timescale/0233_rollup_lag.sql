-- How far the stored rollups of each family are behind. The views above them are never behind: they work out live what waits, which
-- takes longer the more there is. TimescaleDB's policies refresh them whether or not there is something new; the worse of the hours and the days
-- counts, and a refresh by hand is one of all. How many hours wait only TimescaleDB knows.
CREATE VIEW metrics.rollup_lag AS
SELECT
    families.family,
    extract(epoch FROM now() - greatest(done.at, min(coalesce(nullif(stats.last_successful_finish, '-infinity'), done.begun))))::float8 AS lag_s,
    NULL::bigint AS late_hours
FROM unnest(ARRAY['llm_requests', 'llm_usage', 'rabbitmq_queues']) AS families (family)
CROSS JOIN (
    SELECT last_refresh AS at, (SELECT min(applied_at) FROM audit.schema_migrations) AS begun FROM metrics.policies
) AS done
JOIN timescaledb_information.continuous_aggregates AS rollups
    ON rollups.view_schema = 'metrics' AND rollups.view_name IN (families.family || '_hourly_stored', families.family || '_daily_stored')
LEFT JOIN timescaledb_information.jobs AS jobs
    ON jobs.proc_name = 'policy_refresh_continuous_aggregate'
    AND ((jobs.hypertable_schema, jobs.hypertable_name) = (rollups.materialization_hypertable_schema, rollups.materialization_hypertable_name)
         OR (jobs.hypertable_schema, jobs.hypertable_name) = (rollups.view_schema, rollups.view_name))
LEFT JOIN timescaledb_information.job_stats AS stats USING (job_id)
GROUP BY families.family, done.at, done.begun;

COMMENT ON VIEW metrics.rollup_lag IS 'seconds since the last refresh, and null: the hours that wait for one';
