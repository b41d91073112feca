-- The last runs of each page in a folder, and the good one that it is to show: one row per run, by page, newest first. Slots that were skipped are left out.
--   :folder  text  the folder of the pages, absolute, without a slash at its end
--   :latest  int   how many runs of each page
SELECT
    run_id, report, slot, parameters, started_at, finished_at, outcome, error, output, job, attempt, retry_at, duration_s, peak_mb,
    host, code_version, data_spans, deliveries
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY output ORDER BY started_at DESC, run_id) AS nth,
        row_number() OVER (PARTITION BY output, outcome ORDER BY slot DESC, started_at DESC) AS of_outcome
    FROM analytics.report_run
    WHERE regexp_replace(output, '/[^/]*$', '') = :folder AND outcome <> 'skipped'
) AS runs
WHERE nth <= :latest OR (outcome = 'ok' AND of_outcome = 1)
ORDER BY output, nth;
