-- The latest good run of each of these jobs: what they found last is what holds. A job that has none has no row. It is one SELECT, which PostgreSQL
-- puts into the query that calls it; the index report_run_latest answers it with one row a job.
CREATE FUNCTION analytics.latest_good(jobs text[]) RETURNS TABLE (job text, slot timestamptz, run_id uuid)
LANGUAGE sql STABLE AS $$
    SELECT good.job, good.slot, good.run_id
    FROM unnest(jobs) AS asked (name)
    CROSS JOIN LATERAL (
        SELECT run.job, run.slot, run.run_id
        FROM analytics.report_run AS run
        WHERE run.job = asked.name AND run.outcome = 'ok'
        ORDER BY run.slot DESC LIMIT 1
    ) AS good
$$;

REVOKE ALL ON FUNCTION analytics.latest_good FROM PUBLIC;
