-- Runs of reports, newest first.
--   :name     text         of a job or a report; null: all
--   :slot     timestamptz  null: all
--   :skipped  boolean      slots that were skipped, too
--   :latest   int          how many
SELECT
    run_id, report, slot, parameters, started_at, finished_at, outcome, error, output, job, attempt, retry_at, duration_s, peak_mb,
    host, code_version, data_spans, deliveries
FROM analytics.report_run
WHERE (:name::text IS NULL OR coalesce(job, report) = :name OR report = :name)
  AND (:slot::timestamptz IS NULL OR slot = :slot)
  AND (:skipped OR outcome <> 'skipped')
ORDER BY started_at DESC, slot DESC, attempt DESC
LIMIT :latest;
