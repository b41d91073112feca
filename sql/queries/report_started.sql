-- Note in the ledger that a report run has begun.
--   :run_id      uuid
--   :report      text         name of the notebook
--   :slot        timestamptz  the moment that the run stands for
--   :parameters  jsonb        every parameter with the value it runs with
--   :started_at  timestamptz
--   :output      text         path of the page that the run is to replace
INSERT INTO analytics.report_run (run_id, report, slot, parameters, started_at, output)
VALUES (:run_id, :report, :slot, :parameters, :started_at, :output);
