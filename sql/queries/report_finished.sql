-- Note in the ledger how a report run ended.
--   :run_id       uuid
--   :finished_at  timestamptz
--   :outcome      text         ok or failed
--   :error        text         what went wrong, or null
UPDATE analytics.report_run
SET finished_at = :finished_at,
    outcome     = :outcome,
    error       = :error
WHERE run_id = :run_id;
