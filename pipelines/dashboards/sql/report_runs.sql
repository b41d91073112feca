-- The last runs of the ledger.
SELECT coalesce(job, report) AS job, slot, started_at AS started, duration_s AS took, outcome, left(error, 80) AS error
FROM analytics.report_run
WHERE $__timeFilter(started_at)
ORDER BY started_at DESC
LIMIT 100
