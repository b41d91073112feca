-- Note how the deliveries of a run went.
--   :run_id      uuid
--   :deliveries  jsonb
UPDATE analytics.report_run SET deliveries = :deliveries WHERE run_id = :run_id;
