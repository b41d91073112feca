-- Where the jobs of a schedule stand: one row per job, nulls for what there is none of.
--   :jobs     text[]       names
--   :crons    text[]       their cron expressions, in the same order
--   :outputs  text[]       the paths of their pages on this host, likewise
--   :now      timestamptz  null: the database's clock
SELECT
    job.name AS job,
    clock.now,
    (SELECT seen.since FROM analytics.report_job AS seen WHERE seen.job = job.name AND seen.cron = job.cron) AS since,
    (SELECT max(run.slot) FROM analytics.report_run AS run WHERE run.job = job.name AND run.slot <= clock.now) AS last,
    EXISTS (SELECT FROM analytics.report_run AS run WHERE run.job = job.name AND run.outcome = 'running') AS running,
    ARRAY(
        SELECT run.slot FROM analytics.report_run AS run
        WHERE run.job = job.name AND run.retry_at IS NOT NULL AND run.retry_at <= clock.now
        ORDER BY run.slot
    ) AS retries,
    ARRAY(
        SELECT run.run_id FROM analytics.report_run AS run
        WHERE run.job = job.name AND run.output = job.output AND run.deliveries @> '[{"outcome": "waiting"}]'
        ORDER BY run.slot
    ) AS waiting,
    (
        SELECT run.run_id FROM analytics.report_run AS run
        WHERE run.output = job.output AND run.outcome = 'ok'
        ORDER BY run.slot DESC, run.started_at DESC LIMIT 1
    ) AS good
FROM unnest(:jobs::text[], :crons::text[], :outputs::text[]) AS job (name, cron, output),
    (SELECT coalesce(:now::timestamptz, clock_timestamp()) AS now) AS clock;
