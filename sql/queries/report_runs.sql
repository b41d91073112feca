-- The last runs of each report that wrote into a folder: one row per run, by report, newest first.
--   :folder  text  the folder of the pages, absolute, without a slash at its end
--   :latest  int   how many runs of each report
SELECT run_id, report, slot, parameters, started_at, finished_at, outcome, error, output
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY report ORDER BY started_at DESC, run_id) AS nth
    FROM analytics.report_run
    WHERE regexp_replace(output, '/[^/]*$', '') = :folder
) AS runs
WHERE nth <= :latest
ORDER BY report, nth;
