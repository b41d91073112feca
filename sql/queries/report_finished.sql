-- Note in the ledger how a report run ended, if it is still running there; no row is touched if it is not.
-- Another good run of the same slot is replaced.
--   :run_id      uuid
--   :outcome     text         ok or failed
--   :error       text         what went wrong, or null
--   :retry_at    timestamptz  when to try again, or null
--   :duration_s  float8
--   :peak_mb     float8       of the kernel, or null
--   :deliveries  jsonb
WITH this AS (
    SELECT run_id, job, slot FROM analytics.report_run WHERE run_id = :run_id AND outcome = 'running' FOR UPDATE
), replaced AS (
    UPDATE analytics.report_run AS other
    SET outcome = 'replaced', retry_at = NULL
    FROM this
    WHERE :outcome = 'ok' AND other.job = this.job AND other.slot = this.slot AND other.outcome = 'ok'
    RETURNING other.run_id
)
UPDATE analytics.report_run AS run
SET finished_at = greatest(clock_timestamp(), run.started_at),
    outcome     = :outcome,
    error       = :error,
    retry_at    = :retry_at,
    duration_s  = :duration_s,
    peak_mb     = :peak_mb,
    deliveries  = :deliveries
FROM this, (SELECT count(*) FROM replaced) AS first
WHERE run.run_id = this.run_id;
