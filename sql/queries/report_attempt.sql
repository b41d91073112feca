-- The number of the next attempt at a slot, and how many of those before it failed; none of them is to be tried again after this.
--   :job   text
--   :slot  timestamptz
WITH before AS (
    UPDATE analytics.report_run SET retry_at = NULL
    WHERE job = :job AND slot = :slot
    RETURNING attempt, outcome
)
SELECT coalesce(max(attempt), 0) + 1 AS attempt, count(*) FILTER (WHERE outcome = 'failed') AS failed FROM before;
