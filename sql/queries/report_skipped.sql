-- Note that slots of a job are not made, since a later one is made in their place; what was to be tried again is not.
--   :job     text
--   :report  text           name of the notebook
--   :slots   timestamptz[]  those that were missed
--   :until   timestamptz    the slot that is made in their place
--   :now     timestamptz
--   :output  text           path of the page
WITH dropped AS (
    UPDATE analytics.report_run SET retry_at = NULL
    WHERE job = :job AND slot < :until AND retry_at IS NOT NULL AND outcome IN ('failed', 'interrupted')
)
INSERT INTO analytics.report_run (run_id, report, slot, parameters, started_at, finished_at, outcome, output, job)
SELECT gen_random_uuid(), :report, slot, '{}', :now, :now, 'skipped', :output, :job
FROM unnest(:slots::timestamptz[]) AS slot
ON CONFLICT DO NOTHING;
