-- Note that a tick has seen these jobs, if none has before.
--   :jobs   text[]       names
--   :crons  text[]       their cron expressions, in the same order
--   :now    timestamptz
INSERT INTO analytics.report_job (job, cron, since)
SELECT job, cron, :now FROM unnest(:jobs::text[], :crons::text[]) AS seen (job, cron)
ON CONFLICT DO NOTHING;
