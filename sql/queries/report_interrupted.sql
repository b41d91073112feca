-- Note that whatever runs of a job by the ledger does not run any more, and is to be tried again unless that happens too often.
--   :job   text
--   :now   timestamptz
--   :most  int          interruptions of one slot after which it is given up
UPDATE analytics.report_run AS run
SET finished_at = greatest(clock_timestamp(), started_at),
    outcome     = 'interrupted',
    error       = 'its process ended without a word, or lost the database',
    retry_at    = CASE WHEN (
        SELECT count(*) FROM analytics.report_run AS other
        WHERE other.job = run.job AND other.slot = run.slot AND other.outcome = 'interrupted'
    ) < :most THEN :now::timestamptz END
WHERE job = :job AND outcome = 'running';
