-- Hold a run in the ledger until the transaction ends: one row if it still runs, none if it was taken for dead.
--   :run_id  uuid  of the ledger
UPDATE analytics.report_run SET outcome = 'running' WHERE run_id = :run_id AND outcome = 'running' RETURNING run_id;
