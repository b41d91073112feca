-- The good run that a page is to show: that of the latest slot.
--   :output  text  path of the page
SELECT
    run_id, report, slot, parameters, started_at, finished_at, outcome, error, output, job, attempt, retry_at, duration_s, peak_mb,
    host, code_version, data_spans, deliveries
FROM analytics.report_run
WHERE output = :output AND outcome = 'ok'
ORDER BY slot DESC, started_at DESC
LIMIT 1;
