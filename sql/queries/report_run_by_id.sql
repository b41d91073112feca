-- One run of a report.
--   :run_id  text  its id, or how that begins
SELECT
    run_id, report, slot, parameters, started_at, finished_at, outcome, error, output, job, attempt, retry_at, duration_s, peak_mb,
    host, code_version, data_spans, deliveries
FROM analytics.report_run
WHERE run_id::text LIKE replace(replace(:run_id, '%', ''), '_', '') || '%'
LIMIT 2;
