-- The last runs of each page in a folder: one row per run, by page, newest first.
--   :folder  text  the folder of the pages, absolute, without a slash at its end
--   :latest  int   how many runs of each page
SELECT run_id, report, slot, parameters, started_at, finished_at, outcome, error, output
FROM (
    SELECT
        *,
        row_number() OVER (PARTITION BY output ORDER BY started_at DESC, run_id) AS nth
    FROM analytics.report_run
    WHERE regexp_replace(output, '/[^/]*$', '') = :folder
) AS runs
WHERE nth <= :latest
ORDER BY output, nth;
