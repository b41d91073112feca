-- How the jobs of a schedule are: one row per job, its latest good run, and what failed since.
--   :jobs  text[]  names
SELECT
    job.name AS job,
    now()    AS now,
    good.slot,
    good.finished_at,
    good.duration_s,
    (
        SELECT count(*) FROM analytics.report_run AS run
        WHERE run.job = job.name AND run.outcome IN ('failed', 'interrupted')
          AND run.slot >= coalesce(good.slot, '-infinity') AND run.started_at >= coalesce(good.started_at, '-infinity')
    ) AS failures,
    EXISTS (SELECT FROM analytics.report_run AS run WHERE run.job = job.name AND run.outcome = 'running') AS running,
    (SELECT min(since) FROM analytics.report_job AS seen WHERE seen.job = job.name) AS since
FROM unnest(:jobs::text[]) AS job (name)
LEFT JOIN LATERAL (
    SELECT run.slot, run.started_at, run.finished_at, run.duration_s
    FROM analytics.report_run AS run
    WHERE run.job = job.name AND run.outcome = 'ok'
    ORDER BY run.slot DESC LIMIT 1
) AS good ON true;
