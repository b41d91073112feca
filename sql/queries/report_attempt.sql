-- The number of the next attempt at a slot, and how many of those before it failed.
--   :job   text         name of the job
--   :slot  timestamptz  when it was due
SELECT coalesce(max(attempt), 0) + 1 AS attempt, count(*) FILTER (WHERE outcome = 'failed') AS failed
FROM analytics.report_run
WHERE job = :job AND slot = :slot;
